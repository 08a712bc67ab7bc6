import type { ImageReference, VirtualMachine } from '@azure/arm-compute';
import type { Kind } from '@landfall/adapters';
import { openAccount } from '@landfall/adapters/azure/clients.ts';
import { azureCredentials, createAzureAdapter } from '@landfall/adapters/azure/index.ts';
import { idOf, type ObjectKind, partsOf } from '@landfall/adapters/azure/objects.ts';
import { groupName, kindOfTags, stampAsTags, stampTags } from '@landfall/adapters/azure/stamp.ts';
import type { Truth } from '@landfall/adapters/conformance/subject.ts';
import { secretOf } from '@landfall/adapters/secret.ts';
import { resized, wantOf } from '../simulators/azure/subject.ts';
import { askedBy, foreignStamp, type LiveAccount, type LiveSubject, patienceOf, runMark } from './subject.ts';

/** What is read of any object. */
interface Seen {
  name?: string;
  tags?: Record<string, string>;
}

/**
 * An Azure subscription for the suites. What is asked of it here goes past the adapter, by lists of Azure's own. The adapter keeps
 * a run's resources in one group; what is planted as somebody else's is there too, and its end is the group's.
 */
export async function liveAzure(account: LiveAccount): Promise<LiveSubject> {
  const { spec, run } = account;
  const [region = ''] = spec.regions ?? [];
  const { subscription = '' } = spec;
  const location = { region, zone: account.zone ?? '1' };
  const secret = secretOf(spec);
  const options = {
    site: 'live',
    subscription,
    regions: [region],
    endpoint: spec.endpoint,
    credentials: secret && (await azureCredentials(secret)),
    ...patienceOf(account),
  };
  const { compute, network, resources } = openAccount(options);
  const group = groupName(run, region);
  const id = (kind: ObjectKind, name: string) => idOf({ subscription }, group, kind, name);
  const lists: Record<ObjectKind, () => AsyncIterable<Seen>> = {
    virtualMachine: () => compute.virtualMachines.list(group),
    disk: () => compute.disks.listByResourceGroup(group),
    snapshot: () => compute.snapshots.listByResourceGroup(group),
    image: () => compute.images.listByResourceGroup(group),
    networkInterface: () => network.networkInterfaces.list(group),
    publicIPAddress: () => network.publicIPAddresses.list(group),
    virtualNetwork: () => network.virtualNetworks.list(group),
    networkSecurityGroup: () => network.networkSecurityGroups.list(group),
    applicationSecurityGroup: () => network.applicationSecurityGroups.list(group),
  };
  const hasGroup = () =>
    resources.resourceGroups.get(group).then(
      () => true,
      (error: { statusCode?: number }) => {
        if (error.statusCode === 404) return false;
        throw error;
      },
    );
  async function existing(kind: ObjectKind): Promise<Truth[]> {
    const found: Truth[] = [];
    for await (const { name = '', tags = {} } of lists[kind]()) {
      const attempt = tags[stampTags.attempt];
      // The network that machines share is no resource's: it has the broker's tag alone.
      if (tags[stampTags.broker] && attempt === undefined) continue;
      found.push({
        ref: id(kind, name),
        providerKind: kind,
        kind: kind === partsOf[kindOfTags(tags)][0] ? kindOfTags(tags) : undefined,
        machine: kind === 'virtualMachine',
        broker: tags[stampTags.broker],
        resource: tags[stampTags.resource],
        attempt: attempt === undefined ? undefined : Number(attempt),
      });
    }
    return found;
  }
  const truth = async () =>
    (await hasGroup()) ? (await Promise.all((Object.keys(lists) as ObjectKind[]).map(existing))).flat() : [];

  let planted = 0;
  async function plant(kind: Kind, name: string, tags: Record<string, string>): Promise<void> {
    const named = { location: region, tags };
    const part = { location: region, tags: { [runMark]: run } };
    const disk = (body = named, of = name) =>
      compute.disks.createOrUpdate(group, of, {
        ...body,
        diskSizeGB: 4,
        creationData: { createOption: 'Empty' },
      });
    const snapshot = async (body = named, of = name) => {
      await disk(part, `${name}-disk`);
      const creationData = { createOption: 'Copy', sourceResourceId: id('disk', `${name}-disk`) };
      await compute.snapshots.createOrUpdate(group, of, { ...body, creationData });
    };
    const plants: Record<Kind, () => PromiseLike<unknown>> = {
      async Instance() {
        const { spec: wanted } = wantOf(foreignStamp('', run), location);
        await network.virtualNetworks.createOrUpdate(group, `${name}-net`, {
          ...part,
          addressSpace: { addressPrefixes: ['10.65.0.0/16'] },
          subnets: [{ name: 'default', addressPrefix: '10.65.0.0/16' }],
        });
        const subnet = { id: `${id('virtualNetwork', `${name}-net`)}/subnets/default` };
        await network.networkInterfaces.createOrUpdate(group, `${name}-nic`, {
          ...part,
          ipConfigurations: [{ name: 'default', subnet }],
        });
        const imageReference: ImageReference = { ...wanted.image!.azure, version: 'latest' };
        const machine: VirtualMachine = {
          ...named,
          zones: [location.zone],
          hardwareProfile: { vmSize: wanted.instanceType },
          storageProfile: {
            imageReference,
            osDisk: { name: `${name}-disk`, createOption: 'FromImage', deleteOption: 'Delete' },
          },
          osProfile: {
            computerName: 'foreign',
            adminUsername: 'somebody',
            linuxConfiguration: {
              disablePasswordAuthentication: true,
              ssh: {
                publicKeys: wanted.sshKeys.map((keyData) => ({
                  path: '/home/somebody/.ssh/authorized_keys',
                  keyData,
                })),
              },
            },
          },
          networkProfile: {
            networkInterfaces: [{ id: id('networkInterface', `${name}-nic`), primary: true }],
          },
        };
        await compute.virtualMachines.createOrUpdate(group, name, machine);
      },
      Volume: () => disk(),
      Snapshot: () => snapshot(),
      async Image() {
        await snapshot(part, `${name}-snapshot`);
        const from = { id: id('snapshot', `${name}-snapshot`) };
        const osDisk = { osType: 'Linux', osState: 'Generalized', snapshot: from } as const;
        const storageProfile = { osDisk };
        await compute.images.createOrUpdate(group, name, {
          ...named,
          hyperVGeneration: 'V2',
          storageProfile,
        });
      },
      Network: () =>
        network.virtualNetworks.createOrUpdate(group, name, {
          ...named,
          addressSpace: { addressPrefixes: ['10.66.0.0/16'] },
        }),
      Firewall: () => network.applicationSecurityGroups.createOrUpdate(group, name, named),
      Address: () =>
        network.publicIPAddresses.createOrUpdate(group, name, {
          ...named,
          sku: { name: 'Standard' },
          publicIPAllocationMethod: 'Static',
        }),
    };
    await plants[kind]();
  }

  return {
    provider: 'azure',
    ...askedBy(run, location, wantOf),
    resized,
    adapter: async () => createAzureAdapter(options),
    truth,
    async plantForeign(resource, broker, kind = 'Instance') {
      planted += 1;
      const name = `foreign-${process.pid}-${planted}`;
      const stamp = broker === undefined ? {} : stampAsTags(foreignStamp(resource, broker), kind);
      await resources.resourceGroups.createOrUpdate(group, {
        location: region,
        tags: { [stampTags.broker]: run },
      });
      await plant(kind, name, { [runMark]: run, ...stamp });
      return id(partsOf[kind][0], name);
    },
    async uproot() {
      if (!(await hasGroup())) return [];
      // Its end takes minutes, and refuses where anything in it is refused.
      return resources.resourceGroups.delete(group).then(
        () => [],
        (error: Error) => [`${group}: ${error.message}`],
      );
    },
    remains: async () =>
      (await hasGroup())
        ? [`/subscriptions/${subscription}/resourceGroups/${group}`, ...(await truth()).map(({ ref }) => ref)]
        : [],
    close: async () => {},
  };
}
