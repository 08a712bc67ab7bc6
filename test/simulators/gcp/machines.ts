import { regionOf } from './catalog.ts';
import type { OperationFailure } from './faults.ts';
import { inUse, invalid, named, notFound, notReady, Refused } from './refusals.ts';
import { type Json, later, type Place, pathOf, self, type World } from './world.ts';

/** Makes a machine and its boot disk; answers the operation. @throws Refused for a network that is not there. */
export function insertInstance(world: World, at: Place, body: Json, failure?: OperationFailure): Json {
  const { project, scope } = at;
  const path = `projects/${project}/${scope}/instances/${body.name}`;
  const { startMs } = world.faults.transitions();
  const interfaces = [networkInterface(world, at, body.networkInterfaces[0])];
  const boot = body.disks[0];
  const { diskName, diskSizeGb, labels } = boot.initializeParams;
  const diskPath = `projects/${project}/${scope}/disks/${diskName ?? body.name}`;
  const disk = world.put(diskPath, {
    kind: 'compute#disk',
    id: world.id(),
    name: diskName ?? body.name,
    sizeGb: diskSizeGb ?? '10',
    type: self(`projects/${project}/${scope}/diskTypes/pd-balanced`),
    labels: labels ?? {},
    labelFingerprint: world.fingerprint(),
    status: 'READY',
    architecture: 'X86_64',
    zone: self(`projects/${project}/${scope}`),
    selfLink: self(diskPath),
    creationTimestamp: world.now(),
    users: [self(path)],
  });
  world.finish(diskPath);
  const instance = world.put(path, {
    ...body,
    kind: 'compute#instance',
    id: world.id(),
    status: 'PROVISIONING',
    zone: self(`projects/${project}/${scope}`),
    machineType: self(pathOf(project, body.machineType)),
    selfLink: self(path),
    creationTimestamp: world.now(),
    labelFingerprint: world.fingerprint(),
    tags: { ...body.tags, fingerprint: world.fingerprint() },
    disks: [
      {
        boot: true,
        index: 0,
        type: 'PERSISTENT',
        deviceName: 'persistent-disk-0',
        autoDelete: boot.autoDelete ?? false,
        source: disk.selfLink,
        diskSizeGb: disk.sizeGb,
        architecture: disk.architecture,
      },
    ],
    networkInterfaces: interfaces,
  });
  const done = () => {
    if (!world.find(path)) return;
    if (!failure) {
      if (['PROVISIONING', 'STAGING'].includes(instance.status)) instance.status = 'RUNNING';
      world.finish(path);
    } else {
      world.drop(path);
      if (failure.leavesDisk) disk.users = [];
      else world.drop(diskPath);
    }
  };
  later(startMs / 2, () => {
    if (instance.status === 'PROVISIONING') instance.status = 'STAGING';
  });
  return world.operate(at, 'insert', path, startMs, done, failure);
}

function networkInterface(world: World, { project, scope }: Place, wanted: Json): Json {
  const region = regionOf(scope.replace('zones/', ''));
  const network = named(world, project, wanted.network ?? 'global/networks/default');
  const subnetwork = named(world, project, wanted.subnetwork ?? `regions/${region}/subnetworks/default`);
  const subnet = world.find(subnetwork);
  if (network.endsWith('/default') !== (subnet === undefined))
    throw invalid(
      "Invalid value for field 'resource.networkInterfaces[0].subnetwork': the subnetwork is not of the network",
    );
  const octet = (Number(world.id()) % 250) + 2;
  const prefix = String(subnet?.ipCidrRange ?? '10.128.0.0/20').replace(/\.\d+\/\d+$/, '');
  return {
    name: 'nic0',
    network: self(network),
    subnetwork: self(subnetwork),
    networkIP: `${prefix}.${octet}`,
    accessConfigs: (wanted.accessConfigs ?? []).map((config: Json) => ({
      ...config,
      natIP: `203.0.113.${octet}`,
    })),
  };
}

/**
 * The machine goes, and with it the disks that are deleted with their machine; what else it used is free.
 * @returns how it comes back, with its disks.
 */
export function vanish(world: World, path: string): () => void {
  const machine = world.find(path);
  const gone: [string, Json | undefined][] = [[path, machine]];
  world.drop(path);
  for (const attached of machine?.disks ?? []) {
    const disk = pathOf('', attached.source);
    const found = world.find(disk);
    if (attached.autoDelete) {
      gone.push([disk, found]);
      world.drop(disk);
    } else if (found) found.users = [];
  }
  for (const { body } of world.all('addresses')) if (usersOf(body).includes(self(path))) release(body);
  return () => {
    for (const [where, body] of gone) {
      if (body) world.put(where, body);
      world.finish(where);
    }
    if (machine) machine.status = 'RUNNING';
  };
}

const usersOf = (body: Json): string[] => body.users ?? [];

function release(address: Json): void {
  address.users = [];
  address.status = 'RESERVED';
}

/** Compute Engine takes a spot machine away: it notes that by an operation of its own, then stops or deletes it. */
export function preempt(world: World, at: Place, path: string): void {
  const { scheduling } = world.find(path) ?? {};
  if (scheduling?.provisioningModel !== 'SPOT') throw new Error(`${path} is no spot machine`);
  const noted = world.operate(at, 'compute.instances.preempted', path, 0, () => {});
  Object.assign(world.operation(pathOf('', noted.selfLink)) ?? {}, {
    user: 'system',
    statusMessage: 'Instance was preempted.',
  });
  const verb = scheduling.instanceTerminationAction === 'DELETE' ? 'delete' : 'stop';
  actOnInstance(world, at, path, verb, new URLSearchParams(), {});
}

/** Changes a machine; answers the operation. @throws Refused as Compute Engine would answer. */
export function actOnInstance(
  world: World,
  at: Place,
  path: string,
  verb: string,
  query: URLSearchParams,
  body: Json,
  failure?: OperationFailure,
): Json {
  const thing = world.find(path);
  if (!thing) throw notFound(path);
  const { startMs, stopMs, deleteMs } = world.faults.transitions();
  const to = (status: string) => () => {
    thing.status = status;
  };
  const soon = (done: () => void = () => {}) => world.operate(at, verb, path, 20, done, failure);
  switch (verb) {
    case 'delete': {
      thing.status = 'STOPPING';
      const returnsMs = world.faults.returnsMs('Instance');
      return world.operate(at, verb, path, deleteMs, () => {
        const back = vanish(world, path);
        if (returnsMs !== undefined) later(returnsMs, back);
      });
    }
    case 'stop':
      thing.status = 'STOPPING';
      return world.operate(at, verb, path, stopMs, to('TERMINATED'));
    case 'start':
      thing.status = 'STAGING';
      return world.operate(at, verb, path, startMs, to(failure ? 'TERMINATED' : 'RUNNING'), failure);
    case 'reset':
      if (thing.status !== 'RUNNING') throw notReady(path);
      return soon();
    case 'setMachineType':
      if (thing.status !== 'TERMINATED')
        throw invalid(
          "Invalid value for field 'resource': The instance must be stopped to change its machine type",
        );
      thing.machineType = self(pathOf(at.project, body.machineType));
      return soon();
    case 'setTags':
      if (body.fingerprint !== thing.tags.fingerprint)
        throw new Refused(
          412,
          'conditionNotMet',
          'Supplied fingerprint does not match current metadata fingerprint.',
        );
      thing.tags = { items: body.items ?? [], fingerprint: world.fingerprint() };
      return soon();
    case 'attachDisk':
      return attachDisk(world, at, path, thing, body);
    case 'detachDisk':
      return detachDisk(world, at, path, thing, String(query.get('deviceName')));
    case 'addAccessConfig':
      return addAccessConfig(world, at, path, thing, body);
    case 'deleteAccessConfig':
      return deleteAccessConfig(world, at, path, thing, String(query.get('accessConfig')));
    default:
      throw new Refused(501, 'notImplemented', `the simulator has no compute.instances.${verb}`);
  }
}

const steady = (thing: Json): boolean => ['RUNNING', 'TERMINATED'].includes(thing.status);

function attachDisk(world: World, at: Place, path: string, machine: Json, body: Json): Json {
  if (!steady(machine)) throw notReady(path);
  const disk = named(world, at.project, body.source);
  if (!disk.startsWith(`projects/${at.project}/${at.scope}/`))
    throw invalid("Invalid value for field 'resource.source': the disk is in another zone");
  const found = world.find(disk) ?? {};
  const [user] = usersOf(found);
  if (user) throw inUse('disk', disk, user);
  if (machine.disks.some((one: Json) => one.deviceName === body.deviceName))
    throw invalid(`Invalid value for field 'resource.deviceName': '${body.deviceName}' is in use`);
  found.users = [self(path)];
  return world.operate(at, 'attachDisk', path, 40, () => {
    machine.disks = [
      ...machine.disks,
      { autoDelete: false, type: 'PERSISTENT', ...body, boot: false, source: self(disk) },
    ];
  });
}

function detachDisk(world: World, at: Place, path: string, machine: Json, deviceName: string): Json {
  const attached = machine.disks.find((one: Json) => one.deviceName === deviceName);
  if (!attached) throw invalid(`No attached disk found with device name '${deviceName}'`);
  return world.operate(at, 'detachDisk', path, 40, () => {
    machine.disks = machine.disks.filter((one: Json) => one !== attached);
    const disk = world.find(pathOf('', attached.source));
    if (disk) disk.users = [];
  });
}

function addAccessConfig(world: World, at: Place, path: string, machine: Json, body: Json): Json {
  const [nic] = machine.networkInterfaces;
  if (nic.accessConfigs.length > 0)
    throw invalid("Invalid value for field 'resource': ''. At most one access config currently supported.");
  const region = regionOf(at.scope.replace('zones/', ''));
  const reserved = world
    .all('addresses')
    .find(({ path: where, body: one }) => one.address === body.natIP && where.includes(`/${region}/`));
  if (body.natIP !== undefined && !reserved)
    throw invalid(
      `Invalid value for field 'resource.natIP': '${body.natIP}'. The specified IP is not reserved.`,
    );
  const [user] = usersOf(reserved?.body ?? {});
  if (user) throw inUse('address', reserved?.path ?? '', user);
  const natIP = body.natIP ?? `203.0.113.${(Number(world.id()) % 250) + 2}`;
  if (reserved) {
    reserved.body.users = [self(path)];
    reserved.body.status = 'IN_USE';
  }
  return world.operate(at, 'addAccessConfig', path, 40, () => {
    nic.accessConfigs = [{ ...body, natIP }];
  });
}

function deleteAccessConfig(world: World, at: Place, path: string, machine: Json, name: string): Json {
  const [nic] = machine.networkInterfaces;
  const config = nic.accessConfigs.find((one: Json) => one.name === name);
  if (!config) throw invalid(`Invalid value for field 'accessConfig': '${name}'. There is no such one.`);
  return world.operate(at, 'deleteAccessConfig', path, 40, () => {
    nic.accessConfigs = [];
    for (const { body } of world.all('addresses')) if (body.address === config.natIP) release(body);
  });
}
