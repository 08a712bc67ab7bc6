import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { simulatedAzure } from '../../test/simulators/azure/subject.ts';
import { context, ensureReady, errorOf, listAll, removeFully } from '../conformance/probe.ts';
import type { InstanceWant, Want } from '../contract.ts';
import { whyRefused } from './discover.ts';
import { stampAsTags, stampTags } from './stamp.ts';

jest.setTimeout(60_000);

const groupOfTheirs = '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/theirs/providers';
let azure: Awaited<ReturnType<typeof simulatedAzure>>;
let planted = 0;

beforeAll(async () => {
  azure = await simulatedAzure();
}, 300_000);
afterEach(() => azure.faults.clear());
afterAll(() => azure?.close());

/** A machine of somebody else, with its disk, interface and public address. Answers its reference. */
function plant(tags: Record<string, string> = {}, deleteOption = 'Detach'): string {
  planted += 1;
  const name = `web-${planted}`;
  const compute = `${groupOfTheirs}/Microsoft.Compute`;
  const network = `${groupOfTheirs}/Microsoft.Network`;
  const id = `${compute}/virtualMachines/${name}`;
  const disk = `${compute}/disks/${name}-os`;
  const nic = `${network}/networkInterfaces/${name}-nic`;
  const address = `${network}/publicIPAddresses/${name}-ip`;
  const put = (ref: string, properties: object, more: Record<string, string> = {}) =>
    azure.simulator.plant(ref, { location: 'westeurope', tags: more, properties: { ...properties } });
  put(disk, { diskSizeGB: 64, creationData: { createOption: 'Empty' } });
  put(address, { ipAddress: `20.9.0.${planted}` });
  const publicIPAddress = { id: address };
  const applicationSecurityGroups = [{ id: `${network}/applicationSecurityGroups/theirs` }];
  const subnet = { id: `${network}/virtualNetworks/theirs/subnets/a` };
  put(`${network}/virtualNetworks/theirs`, { addressSpace: { addressPrefixes: ['10.7.0.0/16'] } });
  put(subnet.id, { addressPrefix: '10.7.0.0/24' });
  put(`${network}/applicationSecurityGroups/theirs`, {});
  const properties = { privateIPAddress: '10.7.0.4', publicIPAddress, applicationSecurityGroups, subnet };
  const ipConfigurations = [{ name: 'theirs', properties }];
  put(nic, { ipConfigurations, virtualMachine: { id } });
  put(
    id,
    {
      hardwareProfile: { vmSize: 'Standard_B1s' },
      storageProfile: {
        osDisk: { createOption: 'FromImage', managedDisk: { id: disk }, diskSizeGB: 64, deleteOption },
      },
      networkProfile: { networkInterfaces: [{ id: nic }] },
    },
    tags,
  );
  return id;
}

const exists = (ref: string) =>
  azure.simulator.truth().find(({ id }) => id.toLowerCase() === ref.toLowerCase());
const tagsOf = (ref: string) => exists(ref)?.tags ?? {};

/** What is wanted of a machine that exists: no image, as it is not known. */
function adoption(ref: string, change: Partial<InstanceWant> = {}): Want<'Instance'> {
  const { spec, ...want } = azure.want(randomUUID(), 1, { labels: {}, ...change });
  const { image: _, ...rest } = spec;
  return { ...want, spec: { ...rest, sshKeys: [] }, adopted: { ref, settled: false } };
}
const adopted = async (want: Want<'Instance'>) => (await azure.adapter()).adopt(want, context());
const targetOf = ({ stamp, location }: Want<'Instance'>, ref?: string) => ({
  kind: 'Instance' as const,
  stamp,
  location,
  ...(ref ? { ref } : {}),
});

test('its owner’s tags stay beside the stamp; it keeps its group, its name and who reaches it, also when it is changed later', async () => {
  const ref = plant({ team: 'shop' });
  const want = adoption(ref);
  const seen = await adopted(want);
  expect(seen.details.addresses).toEqual([
    { type: 'internal', address: '10.7.0.4' },
    { type: 'external', address: `20.9.0.${planted}` },
  ]);
  expect(tagsOf(ref)).toMatchObject({ team: 'shop', [stampTags.resource]: want.stamp.resource });
  const before = azure.simulator.truth().length;
  const spec = { ...want.spec, power: 'stopped' as const, labels: { env: 'prod' } };
  const stopped = { ...want, spec, adopted: { ref, settled: true } };
  expect(await ensureReady(await azure.adapter(), stopped)).toMatchObject({
    ref,
    details: { power: 'stopped' },
    diff: [],
  });
  expect(tagsOf(ref)).toMatchObject({ team: 'shop', env: 'prod' });
  expect(azure.simulator.truth()).toHaveLength(before);
});

test('who comes second writes nothing over the first’s stamp: the machine is not any more as it was read', async () => {
  const ref = plant();
  const patches = () => azure.simulator.calls.filter(({ method }) => method === 'PATCH').length;
  const before = patches();
  azure.simulator.faults.set({ kind: 'slowAnswers', method: 'PATCH', ms: 600 });
  const [first, second] = [adoption(ref), adoption(ref)];
  const late = errorOf(adopted(first), 'Conflict');
  while (patches() === before) await sleep(10);
  expect(await adopted(second)).toMatchObject({ ref, stamp: second.stamp });
  expect((await late).message).toContain('another');
  expect(tagsOf(ref)[stampTags.resource]).toBe(second.stamp.resource);
});

test('a machine of which Azure tells no version is not adopted: two adopters could not be kept apart', async () => {
  const ref = plant();
  delete exists(ref)?.etag;
  expect((await errorOf(adopted(adoption(ref)), 'Conflict')).message).toContain('no version');
  expect(tagsOf(ref)).toEqual({});
});

test('an adopted machine is found by its reference before Azure’s index has its tags, and by its tags without a reference', async () => {
  const ref = plant();
  const want = adoption(ref);
  await adopted(want);
  const adapter = await azure.adapter();
  expect(await adapter.observe(targetOf(want))).toMatchObject({ presence: 'present', ref });
  const { stamp, ...target } = targetOf(want);
  const { attempt: _, ...anyAttempt } = stamp;
  expect(await adapter.observe({ ...target, stamp: anyAttempt })).toMatchObject({ presence: 'present', ref });
  const lists = () => azure.simulator.calls.filter(({ operation }) => operation === 'resources_list').length;
  const before = lists();
  expect(await adapter.observe(targetOf(want, ref))).toMatchObject({ presence: 'present', ref });
  expect(lists()).toBe(before);
  expect(await adapter.console(targetOf(want, ref), 32)).not.toBe('');
});

test.each([
  ['Detach', true],
  ['Delete', false],
])(
  'deleting one whose disk says %s: its disk is left: %s; its interface and address are',
  async (option, stays) => {
    const ref = plant({}, option);
    const want = adoption(ref);
    const disk = ref.replace('virtualMachines', 'disks').concat('-os');
    expect((await adopted(want)).details.children).toEqual(stays ? [] : [disk]);
    await removeFully(await azure.adapter(), targetOf(want, ref));
    expect(exists(ref)).toBeUndefined();
    expect(exists(disk) !== undefined).toBe(stays);
    expect(exists(`${groupOfTheirs}/Microsoft.Network/networkInterfaces/web-${planted}-nic`)).toBeDefined();
  },
);

test('a reserved address of ours leads to an adopted machine and leaves it again; one of its own is not taken from it', async () => {
  const adapter = await azure.adapter();
  const ref = plant();
  const nic = `${groupOfTheirs}/Microsoft.Network/networkInterfaces/web-${planted}-nic`;
  const configOf = () => exists(nic)!.properties.ipConfigurations[0].properties;
  const stamp = { ...adoption(ref).stamp, resource: randomUUID() };
  const address = (attachedTo?: string): Want<'Address'> => ({
    kind: 'Address',
    spec: { name: 'front', labels: {}, attachedTo },
    stamp,
    location: { region: 'westeurope' },
  });
  expect((await errorOf(adapter.ensure(address(ref), context()), 'Invalid')).details.field).toBe(
    '/attachedTo',
  );
  const { ref: reference } = await adopted(adoption(ref));
  const theirs = configOf().publicIPAddress.id;
  const taken = await errorOf(adapter.ensure(address(reference), context()), 'Conflict');
  expect(taken.message).toContain(`has the public address web-${planted}-ip already`);
  expect(configOf().publicIPAddress.id).toBe(theirs);
  delete configOf().publicIPAddress;
  expect(await ensureReady(adapter, address(reference))).toMatchObject({
    diff: [],
    details: { attachedTo: reference },
  });
  expect(configOf().publicIPAddress.id).toMatch(/landfall-/);
  expect((await ensureReady(adapter, address())).details.attachedTo).toBeUndefined();
  expect(configOf().publicIPAddress).toBeUndefined();
});

test('a machine with our stamp under another name is removed, by its reference and without one', async () => {
  for (const isReferred of [true, false]) {
    const stamp = azure.want(randomUUID(), 1).stamp;
    const ref = plant(stampAsTags(stamp));
    const adapter = await azure.adapter();
    const { items } = await listAll(adapter, azure.broker);
    expect(items).toContainEqual(expect.objectContaining({ ref, stamp, child: false }));
    const target = { ...azure.target(stamp.resource, 1), ...(isReferred ? { ref } : {}) };
    await removeFully(adapter, target);
    expect(exists(ref)).toBeUndefined();
  }
});

test('discovery takes Azure’s pages a part at a time, and knows a reference in whatever case it is written', async () => {
  const refs = Array.from({ length: 60 }, () => plant());
  azure.simulator.faults.set({ kind: 'pages', size: 40 });
  const adapter = await azure.adapter();
  const found: string[] = [];
  let largest = 0;
  let page: string | undefined;
  do {
    const answer = await adapter.discover({ kind: 'Instance', broker: azure.broker, page }, context());
    found.push(...answer.items.map((item) => item.ref));
    largest = Math.max(largest, answer.items.length);
    page = answer.nextPage;
  } while (page !== undefined);
  expect(largest).toBeLessThanOrEqual(25);
  expect(found).toEqual(expect.arrayContaining(refs));
  expect(new Set(found).size).toBe(found.length);
  const ref = refs[0]!.replace('theirs', 'THEIRS');
  const { items } = await adapter.discover({ kind: 'Instance', broker: azure.broker, ref }, context());
  expect(items).toMatchObject([{ ref: refs[0], vcpus: 1, diskGiB: 64, power: 'running' }]);
  for (const wrong of ['nonsense', Buffer.from('{"from":-1}').toString('base64url')])
    await errorOf(
      adapter.discover({ kind: 'Instance', broker: azure.broker, page: wrong }, context()),
      'Invalid',
    );
});

test('a page that would lead elsewhere than to Azure’s own is none: the token is not sent there', async () => {
  const adapter = await azure.adapter();
  const token = 'https://elsewhere.example/subscriptions/00000000-0000-0000-0000-000000000001/providers';
  const page = Buffer.from(JSON.stringify({ token, from: 0 })).toString('base64url');
  await errorOf(adapter.discover({ kind: 'Instance', broker: azure.broker, page }, context()), 'Invalid');
  await errorOf(adapter.list(azure.broker, Buffer.from(token).toString('base64url')), 'Invalid');
});

test.each([
  [{ tags: { 'aks-managed-poolName': 'system' } }, 'a Kubernetes cluster'],
  [
    { virtualMachineScaleSet: { id: `${groupOfTheirs}/Microsoft.Compute/virtualMachineScaleSets/web` } },
    'the scale set web',
  ],
  [{ managedBy: '/subscriptions/1/x' }, '/subscriptions/1/x'],
])('what carries %j is managed by %s', (marks, by) => {
  expect(whyRefused({ location: 'westeurope', ...marks })).toContain(`it is managed by ${by}`);
});

test('tags of its owner’s refuse nothing', () => {
  expect(whyRefused({ location: 'westeurope', tags: { team: 'shop' } })).toBeUndefined();
});
