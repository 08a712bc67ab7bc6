import type { Unmanaged } from '@landfall/adapters';
import type { InstanceSpec } from '@landfall/model';
import {
  adoptInstance,
  cancelOperation,
  changeInstance,
  changeResource,
  compareInventory,
  createAudit,
  createResource,
  deleteInstance,
  deleteResource,
  getInstance,
  getOperation,
  getResource,
  newId,
  type ResourceKind,
  type ResourcePatch,
  type ResourceSpec,
} from '@landfall/store';
import { deletePolicy, putPolicy } from '@landfall/store/policies.ts';
import { siteQueue } from '@landfall/workflows/client.ts';
import { knownOffer } from '@landfall/workflows/placement.ts';
import { type SimulatedEstate, startSimulatedEstate } from '../simulated-estate.ts';

let estate: SimulatedEstate;
const by = { organization: 'default', requestedBy: 'test', project: 'default' };

beforeAll(async () => {
  estate = await startSimulatedEstate({
    hosts: [
      { name: 'h1', vcpus: 8, memoryGiB: 32, diskGiB: 500 },
      { name: 'h2', vcpus: 8, memoryGiB: 32, diskGiB: 500 },
    ],
  });
}, 60_000);
afterAll(() => estate?.close(), 30_000);
afterEach(() => {
  for (const fault of Object.keys(estate.provider.faults) as (keyof typeof estate.provider.faults)[])
    estate.provider.faults[fault] = 0;
});

async function ask(kind: ResourceKind, name: string, spec: ResourceSpec): Promise<string> {
  const made = await createResource(estate.db, kind, { ...by, name, spec });
  return made!.operation.id;
}

async function make(kind: ResourceKind, name: string, spec: ResourceSpec) {
  expect(await estate.ended(await ask(kind, name, spec))).toMatchObject({ state: 'Succeeded' });
  return get(kind, name);
}

async function change(kind: ResourceKind, resource: string, patch: ResourcePatch) {
  const { operation } = await changeResource(estate.db, kind, { ...by, resource, patch, ifMatch: null });
  return estate.ended(operation!.id);
}

async function remove(kind: ResourceKind, resource: string) {
  const { operation } = await deleteResource(estate.db, kind, { ...by, resource, ifMatch: null });
  return operation!.id;
}

const get = (kind: ResourceKind, name: string) => getResource(estate.db, kind, 'default', name);

async function removeInstance(instance: string): Promise<string> {
  const { operation } = await deleteInstance(estate.db, { ...by, instance, ifMatch: null });
  return operation!.id;
}

/** The want that the provider last got for a resource. */
const wantAt = (id: string) =>
  [...estate.provider.resources.things.values()].find(({ want }) => want.stamp.resource === id)?.want;

test('a volume is made on the host of its instance, grows, is detached and deleted', async () => {
  await estate.ended((await estate.request('holder', { placement: { hosts: ['h2'] } })).operation);
  const volume = await make('Volume', 'data', { sizeGiB: 5, attachedTo: 'holder' });
  expect(volume.status).toMatchObject({ state: 'Ready', site: 'lab', host: 'h2', sizeGiB: 5 });
  expect(wantAt(volume.id)).toMatchObject({ spec: { attachedTo: expect.stringMatching(/^machine-/) } });

  expect(await change('Volume', 'data', { spec: { sizeGiB: 9 } })).toMatchObject({ state: 'Succeeded' });
  expect(await get('Volume', 'data')).toMatchObject({
    generation: 2,
    status: { sizeGiB: 9, state: 'Ready' },
  });
  expect(await change('Volume', 'data', { spec: { attachedTo: null } })).toMatchObject({
    state: 'Succeeded',
  });
  expect((await get('Volume', 'data')).status.attachedTo).toBeUndefined();
  expect(wantAt(volume.id)?.spec).not.toHaveProperty('attachedTo');

  await expect(change('Volume', 'data', { spec: { sizeGiB: 3 } })).rejects.toThrow('only grows');
  expect(await estate.ended(await remove('Volume', 'data'))).toMatchObject({ state: 'Succeeded' });
  expect(wantAt(volume.id)).toBeUndefined();
  await expect(get('Volume', 'data')).rejects.toThrow('there is no volume data');
});

test('what was attached to an instance that is deleted is attached to nothing, and stays', async () => {
  await estate.ended((await estate.request('short', {})).operation);
  const volume = await make('Volume', 'long', { sizeGiB: 1, attachedTo: 'short' });
  await estate.ended(await removeInstance('short'));
  for (let tries = 0; (await get('Volume', 'long')).status.observedGeneration < 2 && tries < 100; tries++)
    await new Promise((resolve) => setTimeout(resolve, 100));
  expect((await get('Volume', 'long')).spec).toEqual({ sizeGiB: 1, type: 'standard' });
  expect(wantAt(volume.id)?.spec).not.toHaveProperty('attachedTo');
});

test('an attached volume that is deleted is detached first', async () => {
  await estate.ended((await estate.request('keeper', {})).operation);
  const { id } = await make('Volume', 'attached', { sizeGiB: 1, attachedTo: 'keeper' });
  expect(await estate.ended(await remove('Volume', 'attached'))).toMatchObject({ state: 'Succeeded' });
  expect(wantAt(id)).toBeUndefined();
  expect(await estate.state('keeper')).toBe('Running');
});

test('a snapshot waits for its volume; a volume is made from it; it outlives what it was made of', async () => {
  estate.provider.faults.unavailable = 2;
  const volume = await ask('Volume', 'origin', { sizeGiB: 2, site: 'lab' });
  const snapshot = await ask('Snapshot', 'copy', { volume: 'origin' });
  const restored = await ask('Volume', 'again', { snapshot: 'copy' });
  for (const operation of [volume, snapshot, restored])
    expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  const [{ status: first }, { status: second }] = [
    await get('Volume', 'origin'),
    await get('Volume', 'again'),
  ];
  expect(second).toMatchObject({ host: first.host, sizeGiB: 2 });
  await estate.ended(await remove('Volume', 'origin'));
  expect(await change('Snapshot', 'copy', { labels: { kept: 'yes' } })).toMatchObject({ state: 'Succeeded' });
  expect(await change('Volume', 'again', { spec: { sizeGiB: 4 } })).toMatchObject({ state: 'Succeeded' });
});

test('an instance waits for its network, is placed where that is, and gets the firewalls for its labels', async () => {
  estate.provider.faults.unavailable = 2;
  const network = await ask('Network', 'net', { site: 'lab', host: 'h2', cidr: '10.1.0.0/24' });
  const web = await estate.request('web', { network: 'net' }, { labels: { role: 'web' } });
  const other = await estate.request('other', { network: 'net' });
  for (const operation of [network, web.operation, other.operation])
    expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  const machine = (id: string) =>
    [...estate.provider.machines.values()].find(({ want }) => want.stamp.resource === id)!.want;
  const { externalReference: ref } = (await get('Network', 'net')).status;
  expect(machine(web.id)).toMatchObject({
    location: { host: 'h2' },
    spec: { network: { ref, subnet: 'subnet-default' }, firewalls: [] },
  });

  const rules = [{ protocol: 'tcp' as const, ports: { from: 80, to: 80 }, sources: ['0.0.0.0/0'] }];
  const firewall = await make('Firewall', 'http', {
    network: 'net',
    appliesTo: { labels: { role: 'web' } },
    rules,
  });
  const firewalls = async (id: string, expected: (string | undefined)[]) => {
    for (let tries = 0; tries < 100; tries++) {
      if (JSON.stringify(machine(id).spec.firewalls) === JSON.stringify(expected)) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(machine(id).spec.firewalls).toEqual(expected);
  };
  await firewalls(web.id, [firewall.status.externalReference]);
  await firewalls(other.id, []);
  await change('Firewall', 'http', { spec: { appliesTo: { labels: {} } } });
  await firewalls(other.id, [firewall.status.externalReference]);

  // Refused while they stay, and waiting for them once they go.
  await expect(remove('Network', 'net')).rejects.toThrow(
    'used by firewall/http, instance/other, instance/web',
  );
  const gone = [await remove('Firewall', 'http'), await removeInstance('web')];
  await expect(remove('Network', 'net')).rejects.toThrow('used by instance/other');
  gone.push(await removeInstance('other'), await remove('Network', 'net'));
  for (const operation of gone) expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
});

test.each([
  ['a lost response is adopted by its stamp', 'responseLost'],
  ['a request that never arrived is made again', 'requestLost'],
] as const)('R2: %s, and one volume is made', async (_, fault) => {
  const before = estate.provider.resources.created;
  estate.provider.faults[fault] = 1;
  const name = fault.toLowerCase();
  await make('Volume', name, { sizeGiB: 1, site: 'lab' });
  expect(estate.provider.resources.created - before).toBe(1);
  await estate.ended(await remove('Volume', name));
});

test('a provider’s refusal fails the operation with its words, and leaves nothing', async () => {
  estate.provider.faults.quota = 1;
  const end = await estate.ended(await ask('Address', 'front', { site: 'lab' }));
  expect(end).toMatchObject({ state: 'Failed', message: 'Quota: simulated: quota' });
  const { id, status } = await get('Address', 'front');
  expect(status.state).toBe('Failed');
  expect(wantAt(id)).toBeUndefined();
  await estate.ended(await remove('Address', 'front'));
});

test('where its host is open a volume goes to one that the policies allow; where it is not, it is refused when it is placed, and nothing is made', async () => {
  const source = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: hosts, scope: organizations/default}
spec:
  rules:
  - {name: not-there, when: request.dataClass == "restricted", deny: offer.host == "h1"}
`;
  const policy = { name: 'hosts', scope: 'organizations/default', mode: 'enforce', version: '1', rules: [] };
  await putPolicy(estate.db, 'default', { ...policy, mode: 'enforce', source }, undefined, by);
  const dataClass = 'restricted';
  for (const name of ['one', 'two', 'three'])
    expect((await make('Volume', name, { sizeGiB: 1, dataClass })).status).toMatchObject({ host: 'h2' });
  // What it is attached to was not placed yet when it was asked for, so only the workflow can tell.
  const machine = await estate.request('classified', { placement: { hosts: ['h1'] } });
  const operation = await ask('Volume', 'misplaced', { sizeGiB: 1, attachedTo: 'classified', dataClass });
  await estate.ended(machine.operation);
  const end = await estate.ended(operation);
  expect(end).toMatchObject({
    state: 'Failed',
    message: expect.stringContaining('is refused by hosts/not-there (line 6) at lab h1'),
  });
  const { error } = await getOperation(estate.db, { organization: 'default' }, operation);
  expect(error).toMatchObject({
    type: 'https://landfall.dev/problems/policy-refused',
    errors: [{ pointer: '/spec/attachedTo' }],
  });
  const { id, status } = await get('Volume', 'misplaced');
  expect(status.state).toBe('Failed');
  expect(wantAt(id)).toBeUndefined();
  const intents = estate.db.selectFrom('resource_intents').select('attempt').where('resource', '=', id);
  expect(await intents.execute()).toEqual([]);
  await deletePolicy(estate.db, 'default', 'hosts', null, by);
  for (const name of ['one', 'two', 'three', 'misplaced']) await estate.ended(await remove('Volume', name));
  await estate.ended(await removeInstance('classified'));
});

test('R8: cancelled and deleted while it is made, it leaves nothing', async () => {
  estate.provider.faults.unavailable = 1_000;
  const operation = await ask('Volume', 'regretted', { sizeGiB: 1, site: 'lab' });
  await cancelOperation(estate.db, { organization: 'default' }, operation, by);
  expect(await estate.ended(operation)).toMatchObject({ state: 'Cancelled' });
  const { id } = await get('Volume', 'regretted');
  expect(wantAt(id)).toBeUndefined();
  expect(await estate.ended(await remove('Volume', 'regretted'))).toMatchObject({ state: 'Succeeded' });
});

test('a volume that vanished is Lost when it is changed, and never replaced by an empty one', async () => {
  const { id } = await make('Volume', 'vanished', { sizeGiB: 1, site: 'lab' });
  const { created } = estate.provider.resources;
  for (const [ref, { want }] of estate.provider.resources.things)
    if (want.stamp.resource === id) estate.provider.resources.things.delete(ref);
  expect(await change('Volume', 'vanished', { spec: { sizeGiB: 2 } })).toMatchObject({ state: 'Failed' });
  expect((await get('Volume', 'vanished')).status.state).toBe('Lost');
  expect(estate.provider.resources.created).toBe(created);
  await estate.ended(await remove('Volume', 'vanished'));
});

test('an audit names a volume that is missing and one that nobody asked for', async () => {
  const { id } = await make('Volume', 'audited', { sizeGiB: 1, site: 'lab' });
  const audit = async () => {
    const { id: operation } = await createAudit(estate.db, by);
    await estate.ended(operation);
    return (await getOperation(estate.db, { organization: 'default' }, operation)).result!;
  };
  expect(await audit()).toMatchObject({ orphans: [], missing: [], doubled: [] });
  const { things } = estate.provider.resources;
  const [ref, thing] = [...things].find(([, { want }]) => want.stamp.resource === id)!;
  things.delete(ref);
  expect((await audit()).missing).toMatchObject([
    { message: expect.stringContaining('volume default/audited') },
  ]);
  things.set(ref, thing);
  const orphan = { ...thing.want, stamp: { ...thing.want.stamp, attempt: 7 } };
  things.set('volume-orphan', { ref: 'volume-orphan', want: orphan });
  expect((await audit()).orphans).toMatchObject([{ ref: 'volume-orphan', attempt: 7 }]);
  const { orphans } = await compareInventory(
    estate.db,
    ['h1', 'h2'].map((host) => ({ site: 'lab', host })),
    new Date(),
  );
  expect(orphans).toMatchObject([{ kind: 'Volume' }]);
  things.delete('volume-orphan');
});

test.each<[string, ResourceKind, ResourceSpec, string, string]>([
  [
    'a network with a subnet outside it',
    'Network',
    { cidr: '10.0.0.0/16', subnets: [{ name: 'a', cidr: '10.1.0.0/24' }] },
    '/spec/subnets/0/cidr',
    'must be inside',
  ],
  [
    'a network with a host’s address',
    'Network',
    { cidr: '10.0.0.1/16' },
    '/spec/cidr',
    '10.0.0.0/16 is the network',
  ],
  [
    'two subnets that overlap',
    'Network',
    {
      cidr: '10.0.0.0/16',
      subnets: [
        { name: 'a', cidr: '10.0.0.0/24' },
        { name: 'b', cidr: '10.0.0.128/25' },
      ],
    },
    '/spec/subnets/1/cidr',
    'overlaps with subnet a',
  ],
  ['a volume without a size', 'Volume', {}, '/spec/sizeGiB', 'is needed'],
  [
    'a volume from a snapshot that is not there',
    'Volume',
    { snapshot: 'none' },
    '/spec/snapshot',
    'there is no snapshot none',
  ],
  ['a site that is not there', 'Volume', { sizeGiB: 1, site: 'moon' }, '/spec/site', 'there are: lab'],
  [
    'ports of ICMP',
    'Firewall',
    { network: 'x', rules: [{ protocol: 'icmp', ports: { from: 1, to: 2 }, sources: ['0.0.0.0/0'] }] },
    '/spec/rules/0/ports',
    'icmp has no ports',
  ],
])('%s is refused, with the field', async (_, kind, spec, pointer, words) => {
  const refused = createResource(estate.db, kind, { ...by, name: 'bad', spec });
  await expect(refused).rejects.toMatchObject({
    code: 'invalid',
    pointer,
    message: expect.stringContaining(words),
  });
});

/** A machine on h1 that nobody of ours made. */
function plant(change: Partial<Unmanaged> = {}): Unmanaged {
  const machine: Unmanaged = {
    kind: 'Instance',
    ref: `machine-${newId()}`,
    location: { region: 'lab', host: 'h1' },
    state: 'ready',
    power: 'stopped',
    instanceType: 'old',
    vcpus: 1,
    memoryGiB: 0.5,
    diskGiB: 3,
    addresses: [],
    labels: {},
    ...change,
  };
  estate.provider.foreign.set(machine.ref, machine);
  return machine;
}

/** Adopts it as the broker does: what was found is what is wanted. */
async function adopt(name: string, { ref, location, vcpus = 0, memoryGiB = 0, diskGiB }: Unmanaged) {
  const { region, host = null } = location;
  const machine = { site: 'lab', region, zone: null, host, instanceType: 'old', vcpus, memoryGiB } as const;
  const offer = await knownOffer(estate.db, 'default', {
    ...machine,
    provider: 'onprem',
    market: 'onDemand',
    architecture: 'x86_64',
  });
  const spec = { vcpus, memoryGiB, diskGiB, power: 'running' } as InstanceSpec;
  const asked = { ...by, name, labels: {}, externalReference: ref, offer, spec };
  return (await adoptInstance(estate.db, asked)).operation.id;
}

const instance = (name: string) => getInstance(estate.db, 'default', name);

test('a machine is found, adopted as it is, managed from then on, and deleted', async () => {
  const found = plant();
  const made = estate.provider.created;
  const query = { kind: 'Instance', broker: estate.broker } as const;
  const queue = siteQueue('lab', 'h1');
  expect(await estate.signals.discover({ queue, query })).toEqual({ items: [found], complete: true });

  const operation = await adopt('found', found);
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  const adopted = await instance('found');
  // It was stopped when it got our stamp, whatever was read before: it stays so.
  expect(adopted).toMatchObject({
    spec: { vcpus: 1, memoryGiB: 0.5, power: 'stopped' },
    status: { state: 'Stopped', adopted: true, externalReference: found.ref, site: 'lab', host: 'h1' },
  });
  for (const unknown of ['image', 'sshKeys', 'userDataDigest'])
    expect(adopted.spec).not.toHaveProperty(unknown);
  expect(await estate.signals.discover({ queue, query })).toEqual({ items: [], complete: true });
  await expect(adopt('twice', found)).rejects.toThrow(
    `${found.ref} is instance found of project default already`,
  );

  const { operation: start } = await changeInstance(estate.db, {
    ...by,
    instance: 'found',
    verb: 'start',
    ifMatch: null,
  });
  expect(await estate.ended(start!.id)).toMatchObject({ state: 'Succeeded' });
  expect((await instance('found')).status).toMatchObject({ state: 'Running', externalReference: found.ref });
  expect(estate.provider.created).toBe(made);

  const audit = await createAudit(estate.db, by);
  await estate.ended(audit.id);
  const report = (await getOperation(estate.db, { organization: 'default' }, audit.id)).result;
  expect(report).toMatchObject({ orphans: [], missing: [], doubled: [] });

  expect(await estate.ended(await removeInstance('found'))).toMatchObject({ state: 'Succeeded' });
  expect([...estate.provider.machines.values()].map(({ ref }) => ref)).not.toContain(found.ref);
});

test('an adoption whose answer is lost is one adoption; one whose request is lost is repeated', async () => {
  for (const fault of ['responseLost', 'requestLost', 'unavailable'] as const) {
    const found = plant();
    estate.provider.faults[fault] = 1;
    expect(await estate.ended(await adopt(fault.toLowerCase(), found))).toMatchObject({ state: 'Succeeded' });
    expect((await instance(fault.toLowerCase())).status).toMatchObject({
      state: 'Stopped',
      externalReference: found.ref,
    });
    await estate.ended(await removeInstance(fault.toLowerCase()));
  }
});

test('a machine that is refused stays as it is: nothing is removed, nothing made in its place', async () => {
  const made = estate.provider.created;
  const theirs = plant({ refused: 'it is managed by the Auto Scaling group web' });
  const gone = plant();
  estate.provider.foreign.delete(gone.ref);
  for (const [name, found, why] of [
    ['theirs', theirs, 'Auto Scaling group web; the machine is as it was'],
    ['gone', gone, 'cannot be had; the machine is as it was'],
  ] as const) {
    const ended = await estate.ended(await adopt(name, found));
    expect(ended).toMatchObject({ state: 'Failed', message: expect.stringContaining(why) });
    expect((await instance(name)).status.state).toBe('Failed');
    // What is asked of it later finds nothing of ours, and makes nothing.
    const { operation } = await changeInstance(estate.db, {
      ...by,
      instance: name,
      verb: 'stop',
      ifMatch: null,
    });
    const later = await estate.ended(operation!.id);
    expect(later).toMatchObject({ state: 'Failed', message: expect.stringContaining('is not ours') });
    expect(await estate.ended(await removeInstance(name))).toMatchObject({ state: 'Succeeded' });
  }
  expect(estate.provider.foreign.has(theirs.ref)).toBe(true);
  expect(estate.provider.created).toBe(made);
  estate.provider.foreign.clear();
});

test('an adopted machine that somebody removes is lost, and not made anew', async () => {
  const found = plant();
  await estate.ended(await adopt('removed', found));
  const made = estate.provider.created;
  estate.provider.machines.clear();
  const { operation } = await changeInstance(estate.db, {
    ...by,
    instance: 'removed',
    verb: 'start',
    ifMatch: null,
  });
  expect(await estate.ended(operation!.id, 60_000)).toMatchObject({ state: 'Failed' });
  expect((await instance('removed')).status.state).toBe('Lost');
  expect(estate.provider.created).toBe(made);
}, 90_000);

test('an adopted machine whose stamp somebody took off is lost, and deleting the instance leaves the machine alone', async () => {
  const found = plant();
  await estate.ended(await adopt('let-go', found));
  estate.provider.machines.clear();
  estate.provider.foreign.set(found.ref, found);
  const { operation } = await changeInstance(estate.db, {
    ...by,
    instance: 'let-go',
    verb: 'start',
    ifMatch: null,
  });
  expect(await estate.ended(operation!.id, 60_000)).toMatchObject({ state: 'Failed' });
  expect((await instance('let-go')).status.state).toBe('Lost');
  expect(await estate.ended(await removeInstance('let-go'))).toMatchObject({ state: 'Succeeded' });
  expect(estate.provider.foreign.has(found.ref)).toBe(true);
  estate.provider.foreign.clear();
}, 90_000);
