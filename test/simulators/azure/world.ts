import { randomUUID } from 'node:crypto';
import { images, sizes, zones } from './catalogue.ts';
import type { FaultPlan } from './faults.ts';

/** What a request may say of an object. */
export interface Content {
  location?: string;
  tags?: Record<string, string>;
  zones?: string[];
  // biome-ignore lint/suspicious/noExplicitAny: bodies are checked by the published schema, not by types.
  properties: Record<string, any>;
  managedBy?: string;
}

/** An object as Azure's answers show it. */
export interface Body extends Content {
  id: string;
  name: string;
  type: string;
}

interface Thing {
  body: Body;
  /** Looks that do not see it yet. */
  hidden: number;
  /** Of a machine: its power, absent until it first ran; and why it failed. */
  power?: 'running' | 'deallocated' | 'stopped' | 'starting' | 'deallocating';
  failure?: { code: string; message: string };
}

/** What Azure answers when it refuses. */
export class ArmError extends Error {
  readonly status: number;
  readonly code: string;
  readonly target?: string;

  constructor(status: number, code: string, message: string, target?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.target = target;
  }
}

interface LongRunning {
  id: string;
  startTime: string;
  endsAt: number;
  error?: { code: string; message: string };
  /** What it does when its time is over. */
  finish: () => void;
  finished: boolean;
}

export type World = ReturnType<typeof createWorld>;

const typesDeletedWithMs = { virtualmachines: 'deleteMs', disks: 'networkMs' } as const;

/** The state behind the simulated ARM: things by their ids (case does not matter), operations that take time. */
export function createWorld(faults: FaultPlan) {
  const things = new Map<string, Thing>();
  const operations = new Map<string, LongRunning>();
  let addresses = 0;

  const find = (id: string): Thing | undefined => things.get(id.toLowerCase());
  const typeOf = (id: string): string => id.toLowerCase().split('/').at(-2) ?? '';
  const all = (type: string): Thing[] => [...things.values()].filter(({ body }) => typeOf(body.id) === type);

  /** Carries out what is due: states change with time, not with looks. */
  function advance(): void {
    for (const operation of operations.values())
      if (!operation.finished && Date.now() >= operation.endsAt) {
        operation.finished = true;
        operation.finish();
      }
  }

  function begin(ms: number, finish: () => void, error?: { code: string; message: string }): LongRunning {
    const operation = {
      id: randomUUID(),
      startTime: new Date().toISOString(),
      endsAt: Date.now() + ms,
      error,
      finish,
      finished: false,
    };
    operations.set(operation.id, operation);
    return operation;
  }

  /** The thing as a look sees it: a young one may stay invisible for some looks. */
  function look(id: string): Thing | undefined {
    const thing = find(id);
    if (thing && thing.hidden > 0) {
      thing.hidden -= 1;
      return undefined;
    }
    return thing;
  }

  function need(id: string | undefined, by: string): Thing {
    const thing = id === undefined ? undefined : find(id);
    if (!thing)
      throw new ArmError(
        400,
        'InvalidResourceReference',
        `Resource ${id} referenced by resource ${by} was not found. Please make sure that the referenced resource exists, and that both resources are in the same region.`,
      );
    return thing;
  }

  /** Creates or replaces. Answers the thing, whether it is new, and the operation. */
  function put(id: string, body: Content, fail?: { code: string; message: string }) {
    const type = typeOf(id);
    const existing = find(id);
    const parts = id.split('/');
    if (existing?.body.properties.provisioningState === 'Deleting')
      throw new ArmError(409, 'Conflict', `The resource ${id} is being deleted.`);
    checkReferences(id, type, body);
    const next: Thing = {
      hidden: existing?.hidden ?? faults.lag(),
      power: existing?.power,
      failure: existing?.failure,
      body: {
        ...body,
        id,
        name: parts.at(-1) ?? '',
        type: parts
          .slice(parts.indexOf('providers') + 1)
          .filter((_, at) => at === 0 || at % 2 === 1)
          .join('/'),
        properties: { ...existing?.body.properties, ...body.properties },
      },
    };
    const made = next.body.properties;
    made.provisioningState = existing ? 'Updating' : 'Creating';
    things.set(id.toLowerCase(), next);
    if (type === 'publicipaddresses') made.ipAddress ??= `20.0.${addresses >> 8}.${addresses++ & 255}`;
    if (type === 'networkinterfaces')
      for (const config of made.ipConfigurations ?? [])
        config.properties.privateIPAddress ??= `10.0.${addresses >> 8}.${addresses++ & 255}`;
    if (type === 'virtualnetworks')
      for (const subnet of made.subnets ?? [])
        put(`${id}/subnets/${subnet.name}`, { properties: { ...subnet.properties } });
    if (type === 'virtualmachines' && !existing) born(next);
    const { machineMs, networkMs } = faults.times();
    const operation = begin(
      type === 'virtualmachines' ? machineMs : networkMs,
      () => {
        made.provisioningState = fail ? 'Failed' : 'Succeeded';
        if (type !== 'virtualmachines') return;
        next.failure = fail;
        if (!fail) next.power ??= 'running';
      },
      fail,
    );
    return { thing: next, isNew: !existing, operation };
  }

  function checkReferences(id: string, type: string, body: Content): void {
    const { properties } = body;
    if (type === 'networkinterfaces') {
      if (properties.networkSecurityGroup) need(properties.networkSecurityGroup.id, id);
      for (const { properties: config } of properties.ipConfigurations ?? []) {
        need(config.subnet?.id, id);
        if (config.publicIPAddress) need(config.publicIPAddress.id, id);
      }
    }
    if (type === 'virtualmachines') checkMachine(id, body);
  }

  function checkMachine(id: string, { properties, zones: wanted }: Content): void {
    const sold = sizes.find(({ name }) => name === properties.hardwareProfile?.vmSize);
    if (!sold)
      throw new ArmError(
        400,
        'InvalidParameter',
        `The value ${properties.hardwareProfile?.vmSize} provided for the VM size is not valid.`,
        'vmSize',
      );
    if (wanted?.some((zone) => !zones.includes(zone)))
      throw new ArmError(
        400,
        'InvalidAvailabilityZone',
        `The zone(s) '${wanted}' for resource is not supported.`,
      );
    const wantedImage = properties.storageProfile?.imageReference;
    const image = images.find(
      ({ publisher, offer, sku }) =>
        publisher === wantedImage?.publisher && offer === wantedImage.offer && sku === wantedImage.sku,
    );
    if (!image)
      throw new ArmError(
        404,
        'PlatformImageNotFound',
        'The platform image is not available.',
        'imageReference',
      );
    if (image.architecture !== sold.architecture)
      throw new ArmError(
        400,
        'BadRequest',
        `The VM size '${sold.name}' cannot boot with OS image of architecture ${image.architecture}.`,
      );
    for (const { id: ref } of properties.networkProfile?.networkInterfaces ?? []) {
      const user = need(ref, id).body.properties.virtualMachine?.id;
      if (user && user.toLowerCase() !== id.toLowerCase())
        throw new ArmError(
          400,
          'NetworkInterfaceInUse',
          `Network interface ${ref} is used by existing resource ${user}.`,
        );
    }
  }

  /** A new machine takes its interfaces, and brings its disk, which inherits its tags. */
  function born({ body }: Thing): void {
    const { properties } = body;
    properties.vmId = randomUUID();
    properties.timeCreated = new Date().toISOString();
    for (const { id } of properties.networkProfile.networkInterfaces)
      need(id, body.id).body.properties.virtualMachine = { id: body.id };
    const disk = properties.storageProfile.osDisk;
    const id = `${body.id.split('/').slice(0, 5).join('/')}/providers/Microsoft.Compute/disks/${disk.name}`;
    disk.managedDisk = { ...disk.managedDisk, id };
    put(id, {
      location: body.location,
      tags: { ...body.tags },
      zones: body.zones,
      managedBy: body.id,
      properties: {
        diskSizeGB: disk.diskSizeGB,
        creationData: { createOption: 'FromImage' },
        timeCreated: properties.timeCreated,
      },
    });
  }

  /** Deletes; nothing when it does not exist. */
  function remove(id: string): LongRunning | undefined {
    const thing = find(id);
    if (!thing) return undefined;
    const type = typeOf(id);
    const { properties } = thing.body;
    refuseInUse(thing, type);
    properties.provisioningState = 'Deleting';
    const times = faults.times();
    const ms = times[typesDeletedWithMs[type as keyof typeof typesDeletedWithMs] ?? 'networkMs'];
    return begin(ms, () => {
      things.delete(id.toLowerCase());
      if (type !== 'virtualmachines') return;
      for (const nic of properties.networkProfile?.networkInterfaces ?? [])
        delete find(nic.id)?.body.properties.virtualMachine;
      const { osDisk } = properties.storageProfile;
      const disk = find(osDisk.managedDisk.id);
      if (osDisk.deleteOption === 'Delete') things.delete(osDisk.managedDisk.id.toLowerCase());
      else if (disk) delete disk.body.managedBy;
    });
  }

  function refuseInUse({ body }: Thing, type: string): void {
    const same = (ref: { id?: string } | undefined) => ref?.id?.toLowerCase() === body.id.toLowerCase();
    const nics = all('networkinterfaces').map((nic) => nic.body.properties);
    const configs = nics.flatMap((nic) => nic.ipConfigurations ?? []).map((config) => config.properties);
    const refuse = (code: string, status = 400) => {
      throw new ArmError(status, code, `${body.id} is in use and cannot be deleted.`);
    };
    if (type === 'networkinterfaces' && body.properties.virtualMachine) refuse('NicInUse');
    if (type === 'publicipaddresses' && configs.some((config) => same(config.publicIPAddress)))
      refuse('PublicIPAddressCannotBeDeleted');
    if (type === 'networksecuritygroups' && nics.some((nic) => same(nic.networkSecurityGroup)))
      refuse('InUseNetworkSecurityGroupCannotBeDeleted');
    if (type === 'subnets' && configs.some((config) => same(config.subnet)))
      refuse('InUseSubnetCannotBeDeleted');
    if (type === 'disks' && body.managedBy) refuse('OperationNotAllowed', 409);
  }

  /** Changes tags (all of them) and properties. */
  function patch(thing: Thing, change: Partial<Body>): LongRunning {
    if (change.tags) thing.body.tags = change.tags;
    const size = change.properties?.hardwareProfile?.vmSize;
    if (size && !sizes.some(({ name }) => name === size))
      throw new ArmError(
        400,
        'InvalidParameter',
        `The value ${size} provided for the VM size is not valid.`,
        'vmSize',
      );
    Object.assign(thing.body.properties, change.properties, { provisioningState: 'Updating' });
    return begin(faults.times().networkMs, () => {
      thing.body.properties.provisioningState = 'Succeeded';
    });
  }

  /** start, deallocate, powerOff, restart. */
  function act(thing: Thing, action: string, fail?: { code: string; message: string }): LongRunning {
    const after = {
      start: 'running',
      restart: 'running',
      deallocate: 'deallocated',
      poweroff: 'stopped',
    } as const;
    if (!(action in after)) throw new ArmError(404, 'InvalidResourceType', `There is no action ${action}.`);
    if (thing.body.properties.provisioningState === 'Deleting')
      throw new ArmError(409, 'OperationNotAllowed', 'The VM is being deleted.');
    const before = thing.power;
    if (action === 'restart' && before !== 'running')
      throw new ArmError(
        409,
        'OperationNotAllowed',
        'Cannot modify extensions in the VM when the VM is not running.',
      );
    thing.power = action === 'start' ? 'starting' : action === 'restart' ? 'running' : 'deallocating';
    thing.body.properties.provisioningState = 'Updating';
    return begin(
      faults.times().machineMs,
      () => {
        thing.power = fail ? before : after[action as keyof typeof after];
        thing.failure = fail;
        thing.body.properties.provisioningState = fail ? 'Failed' : 'Succeeded';
      },
      fail,
    );
  }

  return {
    things,
    operations,
    advance,
    find,
    look,
    put,
    remove,
    patch,
    act,
    typeOf,
    clear() {
      things.clear();
      operations.clear();
    },
  };
}

/** The run-time view of a machine. */
export function instanceView({ body, power, failure }: Thing): object {
  const state = String(body.properties.provisioningState).toLowerCase();
  const statuses: object[] = [
    failure
      ? {
          code: `ProvisioningState/failed/${failure.code}`,
          level: 'Error',
          displayStatus: 'Provisioning failed',
          message: failure.message,
        }
      : { code: `ProvisioningState/${state}`, level: 'Info', displayStatus: state },
  ];
  if (power) statuses.push({ code: `PowerState/${power}`, level: 'Info', displayStatus: `VM ${power}` });
  return { statuses };
}
