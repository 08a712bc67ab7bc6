import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { simulatedAzure } from '../../test/simulators/azure/subject.ts';
import { context, ensureReady, errorOf, removeFully } from '../conformance/probe.ts';
import { releaseFully } from '../conformance/releasing.ts';
import type { Kind, Specs, Want } from '../contract.ts';
import { stampTags } from './stamp.ts';

jest.setTimeout(60_000);

const theirs = '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/theirs/providers';
let azure: Awaited<ReturnType<typeof simulatedAzure>>;
let planted = 0;

beforeAll(async () => {
  azure = await simulatedAzure();
}, 300_000);
afterAll(() => azure?.close());

/** An object of somebody else in a group of theirs. Answers its reference. */
function plant(
  type: string,
  properties: object = {},
  more: { tags?: Record<string, string>; zones?: string[] } = {},
): string {
  planted += 1;
  const id = `${theirs}/${type}/theirs-${planted}`;
  azure.simulator.plant(id, { location: 'westeurope', tags: {}, ...more, properties: { ...properties } });
  return id;
}
const plantDisk = (tags: Record<string, string> = {}, more: object = {}) =>
  plant(
    'Microsoft.Compute/disks',
    { diskSizeGB: 8, diskSizeBytes: 8 * 2 ** 30, creationData: { createOption: 'Empty' }, ...more },
    { tags, zones: ['1'] },
  );
const plantAddress = (properties: object = {}) =>
  plant('Microsoft.Network/publicIPAddresses', {
    publicIPAllocationMethod: 'Static',
    ipAddress: '203.0.113.9',
    ...properties,
  });

/** A machine of somebody else with these disks: its reference. */
function plantMachine(root: string, data: { id: string; deleteOption: string }[] = []): string {
  const id = plant('Microsoft.Compute/virtualMachines', {
    hardwareProfile: { vmSize: 'Standard_B1s' },
    storageProfile: {
      osDisk: { createOption: 'FromImage', managedDisk: { id: root } },
      dataDisks: data.map(({ id: disk, deleteOption }, lun) => ({
        lun,
        createOption: 'Attach',
        managedDisk: { id: disk },
        deleteOption,
      })),
    },
    networkProfile: { networkInterfaces: [] },
  });
  for (const disk of [root, ...data.map(({ id: one }) => one)]) {
    const body = exists(disk);
    if (body) body.managedBy = id;
  }
  return id;
}

const exists = (ref: string) =>
  azure.simulator.truth().find(({ id }) => id.toLowerCase() === ref.toLowerCase());
const tagsOf = (ref: string) => exists(ref)?.tags ?? {};

async function discovered(kind: Kind, ref?: string) {
  const adapter = await azure.adapter();
  const query = { kind, broker: azure.broker, ...(ref ? { ref } : {}) };
  return (await adapter.discover(query, context())).items;
}

type Other = 'Volume' | 'Snapshot' | 'Network' | 'Address';

function want<K extends Other>(kind: K, ref: string | undefined, spec: Partial<Specs[K]>): Want<K> {
  return {
    kind,
    spec: { name: 'adopted', labels: {}, ...spec },
    stamp: { broker: azure.broker, project: 'test', resource: randomUUID(), attempt: 1 },
    location: { region: 'westeurope' },
    ...(ref ? { adopted: { ref, settled: false } } : {}),
  } as unknown as Want<K>;
}
const volume = (ref: string | undefined, spec: Partial<Specs['Volume']> = {}) =>
  want('Volume', ref, { sizeGiB: 8, type: 'standard', ...spec });
const adopted = async <K extends Other>(wanted: Want<K>) => (await azure.adapter()).adopt(wanted, context());
const refOf = async (kind: Kind, id: string) => (await discovered(kind, id))[0]?.ref ?? '';

test('the disk that a machine starts from is a part of it: not listed, and refused where it is asked for', async () => {
  const root = plantDisk();
  const machine = plantMachine(root);
  expect((await discovered('Volume')).map(({ ref }) => ref.toLowerCase())).not.toContain(root.toLowerCase());
  const [found] = await discovered('Volume', root);
  expect(found).toMatchObject({ attachedTo: await refOf('Instance', machine) });
  expect(found?.refused).toContain('root disk');
  await errorOf(adopted(volume(found?.ref)), 'Conflict');
  expect(tagsOf(root)).toEqual({});
});

test('a disk that goes with its machine, and one of Kubernetes, are refused', async () => {
  const data = plantDisk();
  plantMachine(plantDisk(), [{ id: data, deleteOption: 'Delete' }]);
  expect((await discovered('Volume', data))[0]?.refused).toContain('set its deleteOption to Detach');
  const claimed = plantDisk({ 'kubernetes.io-created-for-pvc-name': 'data' });
  expect((await discovered('Volume', claimed))[0]?.refused).toContain('Kubernetes');
});

test('an address that changes, and one that leads to no machine, are refused', async () => {
  const dynamic = plantAddress({ publicIPAllocationMethod: 'Dynamic' });
  expect((await discovered('Address', dynamic))[0]?.refused).toContain('dynamic');
  const balancer = `${theirs}/Microsoft.Network/loadBalancers/lb/frontendIPConfigurations/front`;
  const balanced = plantAddress({ ipConfiguration: { id: balancer } });
  expect((await discovered('Address', balanced))[0]?.refused).toContain('which is no machine’s');
});

test('adopting leaves the owner’s tags and none of the adopter’s own; releasing takes off what is ours alone', async () => {
  const ref = await refOf('Volume', plantDisk({ team: 'shop' }));
  const wanted = volume(ref);
  await adopted(wanted);
  expect(Object.keys(tagsOf(ref)).filter((name) => name.startsWith(stampTags.adopter))).toEqual([]);
  expect(tagsOf(ref)).toMatchObject({ team: 'shop', [stampTags.resource]: wanted.stamp.resource });
  const { kind, stamp, location } = wanted;
  await releaseFully(await azure.adapter(), { kind, stamp, location, ref });
  expect(tagsOf(ref)).toEqual({ team: 'shop' });
});

test('an adopter whose write arrives late, when another has adopted already, sees so and gives up', async () => {
  const ref = await refOf('Volume', plantDisk());
  const [late, early] = [volume(ref), volume(ref)];
  azure.simulator.faults.set({ kind: 'slowAnswers', method: 'PATCH', ms: 1500 });
  const first = errorOf(adopted(late), 'Conflict');
  await sleep(300);
  expect(await adopted(early)).toMatchObject({ stamp: early.stamp });
  await first;
  expect(tagsOf(ref)).toMatchObject({ [stampTags.resource]: early.stamp.resource });
});

test('an adopted disk is grown and attached where it is, and a snapshot is made of it', async () => {
  const ref = await refOf('Volume', plantDisk());
  const wanted = volume(ref);
  await adopted(wanted);
  const adapter = await azure.adapter();
  const machine = await ensureReady(adapter, azure.want(randomUUID(), 1, { publicAddress: false }));
  const bigger = {
    ...wanted,
    spec: { ...wanted.spec, sizeGiB: 16, attachedTo: machine.ref },
    adopted: { ref, settled: true },
  };
  expect(await ensureReady(adapter, bigger)).toMatchObject({
    ref,
    diff: [],
    details: { sizeGiB: 16, attachedTo: machine.ref, device: '/dev/disk/azure/scsi1/lun0' },
  });
  const snapshot = await ensureReady(adapter, want('Snapshot', undefined, { volume: ref }));
  expect(snapshot.details.sizeGiB).toBe(16);
  const foreign = await refOf('Volume', plantDisk());
  const error = await errorOf(adapter.validate(want('Snapshot', undefined, { volume: foreign })), 'Invalid');
  expect(error.details.field).toBe('/volume');
});

test('a volume is made from an adopted snapshot', async () => {
  const planting = plant('Microsoft.Compute/snapshots', {
    diskSizeGB: 8,
    diskSizeBytes: 8 * 2 ** 30,
    creationData: { createOption: 'Copy', sourceResourceId: plantDisk() },
  });
  const [found] = await discovered('Snapshot', planting);
  expect(found?.volume).toContain('/disks/theirs-');
  const ref = found?.ref ?? '';
  await adopted(want('Snapshot', ref, { volume: found?.volume ?? '' }));
  const made = await ensureReady(await azure.adapter(), volume(undefined, { snapshot: ref }));
  expect(made.details.sizeGiB).toBe(8);
});

test('an adopted disk that somebody deleted is absent, and not made anew', async () => {
  const ref = await refOf('Volume', plantDisk());
  const wanted = volume(ref);
  await adopted(wanted);
  await removeFully(await azure.adapter(), {
    kind: 'Volume',
    stamp: wanted.stamp,
    location: wanted.location,
    ref,
  });
  const adapter = await azure.adapter();
  const { kind, stamp, location } = wanted;
  expect(await adapter.observe({ kind, stamp, location, ref })).toEqual({ presence: 'absent' });
  await errorOf(adapter.ensure({ ...wanted, adopted: { ref, settled: true } }, context()), 'NotFound');
  expect(azure.simulator.truth().filter(({ tags }) => tags?.[stampTags.resource] === stamp.resource)).toEqual(
    [],
  );
});

test('an adopted address takes the place of a machine’s own and gives it back, from another group', async () => {
  const adapter = await azure.adapter();
  const machine = await ensureReady(adapter, azure.want(randomUUID(), 1, { publicAddress: true }));
  const own = machine.details.addresses.find(({ type }) => type === 'external');
  const ref = await refOf('Address', plantAddress());
  const wanted = want('Address', ref, {});
  await adopted(wanted);
  const at = (attachedTo?: string) => ({
    ...wanted,
    spec: { ...wanted.spec, attachedTo },
    adopted: { ref, settled: true },
  });
  expect(await ensureReady(adapter, at(machine.ref))).toMatchObject({
    ref,
    details: { attachedTo: machine.ref, address: '203.0.113.9' },
  });
  expect((await ensureReady(adapter, at())).details.attachedTo).toBeUndefined();
  const target = { kind: 'Instance' as const, stamp: machine.stamp, location: machine.location };
  expect(await adapter.observe(target)).toMatchObject({
    details: { addresses: expect.arrayContaining([own]) },
  });
});

/** A virtual network of somebody else with these subnets. */
function plantNetwork(
  ranges: string[],
  subnets: Record<string, object>,
  more: { tags?: Record<string, string>; peerings?: { name: string }[] } = {},
): string {
  const { tags = {}, peerings = [] } = more;
  const properties = { addressSpace: { addressPrefixes: ranges }, virtualNetworkPeerings: peerings };
  const id = plant('Microsoft.Network/virtualNetworks', properties, { tags });
  for (const [name, body] of Object.entries(subnets))
    azure.simulator.plant(`${id}/subnets/${name}`, { properties: { ...body } });
  return id;
}
const networkWant = async (id: string) => {
  const [found] = await discovered('Network', id);
  return want('Network', found?.ref, { cidr: found?.cidr, subnets: found?.subnets });
};

test('of a network those subnets are shown that machines can be in, under names that can be ours', async () => {
  const id = plantNetwork(['10.30.0.0/16', 'fd00::/48'], {
    Web_Front: { addressPrefixes: ['10.30.1.0/24', 'fd00::/64'] },
    '1st': { addressPrefix: '10.30.2.0/24' },
    GatewaySubnet: { addressPrefix: '10.30.3.0/24' },
    apps: {
      addressPrefix: '10.30.4.0/24',
      delegations: [{ name: 'web', properties: { serviceName: 'Microsoft.Web/serverFarms' } }],
    },
  });
  const [found] = await discovered('Network', id);
  expect(found).toMatchObject({ kind: 'Network', cidr: '10.30.0.0/16', location: { region: 'westeurope' } });
  expect(found?.subnets).toEqual([
    { name: expect.stringMatching(/^subnet-[0-9a-f]{8}$/), cidr: '10.30.2.0/24' },
    { name: 'web-front', cidr: '10.30.1.0/24' },
  ]);
  expect(found?.refused).toBeUndefined();
  const { details } = await adopted(await networkWant(id));
  expect(details).toMatchObject({
    cidr: found?.cidr,
    subnets: [{ cidr: '10.30.2.0/24' }, { name: 'web-front', ref: `${found?.ref}/subnets/Web_Front` }],
    children: [],
  });
});

test('a network that cannot be said in our words, and those that machines share, are refused or ours', async () => {
  const subnets = { front: { addressPrefix: '10.30.1.0/24' } };
  const why = async (id: string) => (await discovered('Network', id))[0]?.refused;
  expect(await why(plantNetwork(['10.30.0.0/16', '10.31.0.0/16'], subnets))).toContain('several ranges');
  expect(await why(plantNetwork(['10.30.0.0/16'], { GatewaySubnet: subnets.front }))).toContain('no subnet');
  expect(
    await why(plantNetwork(['10.30.0.0/16'], subnets, { tags: { 'aks-managed-cluster-name': 'prod' } })),
  ).toContain('Kubernetes');
  const shared = (broker: string) =>
    plantNetwork(['10.64.0.0/16'], subnets, { tags: { [stampTags.broker]: broker } });
  expect(await why(shared('another'))).toContain('another Landfall installation');
  expect(await discovered('Network', shared(azure.broker))).toEqual([]);
});

test('an adopted network takes no firewall of ours, and is not removed while it is joined to another', async () => {
  const peerings = [{ name: 'to-hub' }];
  const id = plantNetwork(['10.30.0.0/16'], { front: { addressPrefix: '10.30.1.0/24' } }, { peerings });
  const wanted = await networkWant(id);
  const { ref, stamp, location } = await adopted(wanted);
  const adapter = await azure.adapter();
  const settled = { ...wanted, adopted: { ref, settled: true } };
  expect(await ensureReady(adapter, settled)).toMatchObject({ ref, diff: [] });
  const firewall: Want<'Firewall'> = {
    kind: 'Firewall',
    spec: { name: 'web', labels: {}, network: ref, rules: [] },
    stamp: { ...stamp, resource: randomUUID() },
    location,
  };
  const refused = await errorOf(adapter.ensure(firewall, context()), 'Invalid');
  expect(refused.details.field).toBe('/network');
  expect(refused.message).toContain('which are its owner');
  const target = { kind: 'Network', stamp, location, ref } as const;
  expect((await errorOf(adapter.remove(target, context()), 'Conflict')).message).toContain('by to-hub');
  expect(exists(id)).toBeDefined();
  delete exists(id)?.properties.virtualNetworkPeerings;
  await removeFully(adapter, target);
  expect(exists(id)).toBeUndefined();
});
