import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { simulatedAzure } from '../../test/simulators/azure/subject.ts';
import { context, ensureReady, errorOf, listAll, removeFully, truthOf } from '../conformance/probe.ts';
import type { Adapter, Kind, Present, Specs, Want } from '../contract.ts';
import { idOf } from './objects.ts';
import { groupName } from './stamp.ts';

type Other = Exclude<Kind, 'Instance'>;

describe('volumes, networks and what else is no instance on the simulated Azure', () => {
  let subject: Awaited<ReturnType<typeof simulatedAzure>>;
  let adapter: Adapter;
  let network: Present<'Network'>;
  let instance: Present;
  const ids = { network: randomUUID(), instance: randomUUID() };

  const want = <K extends Other>(kind: K, resource: string, spec: Omit<Specs[K], 'name' | 'labels'>) =>
    ({
      kind,
      spec: { name: kind.toLowerCase(), labels: {}, ...spec },
      stamp: { broker: subject.broker, project: 'test', resource, attempt: 1 },
      location: { region: 'westeurope', ...(kind === 'Volume' ? { zone: '1' } : {}) },
    }) as unknown as Want<K>;
  const target = (kind: Kind, resource: string) => ({ ...subject.target(resource, 1), kind });
  const volume = (resource: string, spec: Partial<Specs['Volume']> = {}) =>
    want('Volume', resource, { sizeGiB: 8, type: 'standard', ...spec });
  const inNetwork = (firewalls: string[] = []) => ({
    network: { ref: network.ref, subnet: network.details.subnets[0]?.ref ?? '' },
    firewalls,
  });
  const ssh: Specs['Firewall']['rules'][number] = {
    protocol: 'tcp',
    ports: { from: 22, to: 22 },
    sources: ['0.0.0.0/0'],
  };
  const called = (operation: string) =>
    subject.simulator.calls.filter((call) => call.operation === operation);
  const objectsOf = (type: string) => subject.simulator.truth().filter((thing) => thing.type.endsWith(type));
  const rulesOfNetwork = () =>
    objectsOf('/securityRules').map(({ name, properties }) => ({ name, properties }));

  beforeAll(async () => {
    subject = await simulatedAzure();
    adapter = await subject.adapter();
    network = await ensureReady(
      adapter,
      want('Network', ids.network, { cidr: '10.20.0.0/16', subnets: [{ name: 'a', cidr: '10.20.1.0/24' }] }),
    );
    instance = await ensureReady(
      adapter,
      subject.want(ids.instance, 1, {
        ...inNetwork(),
        instanceType: 'Standard_D4s_v5',
        vcpus: 4,
        memoryGiB: 16,
      }),
    );
  }, 300_000);
  afterEach(() => subject.faults.clear());
  afterAll(() => subject.close());

  test('what cannot change is refused by its field: ranges of a network, new subnets, the type of a volume', async () => {
    const a = { name: 'a', cidr: '10.20.1.0/24' };
    const refused = async (spec: Partial<Specs['Network']>) => {
      const wanted = want('Network', ids.network, { cidr: '10.20.0.0/16', subnets: [a], ...spec });
      return (await errorOf(adapter.ensure(wanted, context()), 'Invalid')).details.field;
    };
    expect(await refused({ cidr: '10.20.0.0/20' })).toBe('/cidr');
    expect(await refused({ subnets: [{ ...a, cidr: '10.20.2.0/24' }] })).toBe('/subnets/0/cidr');
    expect(await refused({ subnets: [a, { name: 'b', cidr: '10.20.2.0/24' }] })).toBe('/subnets/1');
    const resource = randomUUID();
    await ensureReady(adapter, volume(resource));
    const error = await errorOf(adapter.ensure(volume(resource, { type: 'ssd' }), context()), 'Invalid');
    expect(error).toMatchObject({
      message: expect.stringContaining('is of type StandardSSD_LRS and cannot become Premium_LRS'),
      details: { field: '/type' },
    });
    await removeFully(adapter, target('Volume', resource));
  }, 60_000);

  test('several volumes asked for at once each get their own number on the machine', async () => {
    const resources = [randomUUID(), randomUUID(), randomUUID()];
    const wants = resources.map((resource) => volume(resource, { attachedTo: instance.ref }));
    const attached = await Promise.all(wants.map((each) => ensureReady(adapter, each)));
    expect(attached.map(({ details }) => details.device).sort()).toEqual(
      [0, 1, 2].map((lun) => `/dev/disk/azure/scsi1/lun${lun}`),
    );
    // They are nobody's children, and the machine's list of disks was never written over.
    const seen = (await adapter.observe(subject.target(ids.instance, 1))) as Present;
    for (const { ref } of attached) expect(seen.details.children).not.toContain(ref);
    await errorOf(adapter.remove(target('Volume', resources[0] ?? ''), context()), 'Conflict');
    for (const resource of resources) {
      await ensureReady(adapter, volume(resource));
      await removeFully(adapter, target('Volume', resource));
      expect(await truthOf(subject, resource)).toEqual([]);
    }
  }, 60_000);

  test('a volume moves from one instance to another', async () => {
    const [resource, second] = [randomUUID(), randomUUID()];
    const other = await ensureReady(adapter, subject.want(second, 1, inNetwork()));
    const first = await ensureReady(adapter, volume(resource, { attachedTo: instance.ref }));
    const moved = await ensureReady(adapter, volume(resource, { attachedTo: other.ref }));
    expect(moved).toMatchObject({ ref: first.ref, diff: [], details: { attachedTo: other.ref } });
    // Azure lets the machine go and keeps the disk.
    await removeFully(adapter, subject.target(second));
    const left = (await adapter.observe(target('Volume', resource))) as Present<'Volume'>;
    expect(left).toMatchObject({ presence: 'present', state: 'ready' });
    expect(left.details.attachedTo).toBeUndefined();
    await removeFully(adapter, target('Volume', resource));
  }, 60_000);

  test('a volume at somebody else’s machine is seen there, and not taken from it', async () => {
    const resource = randomUUID();
    await ensureReady(adapter, volume(resource));
    const foreign = await subject.plantForeign(randomUUID(), 'other-broker');
    const disk = objectsOf('/disks').find(({ tags }) => tags?.['landfall:resource'] === resource);
    if (!disk) throw new Error('the disk is not there');
    disk.managedBy = foreign;
    expect(await adapter.observe(target('Volume', resource))).toMatchObject({
      details: { attachedTo: foreign },
    });
    const error = await errorOf(adapter.ensure(volume(resource), context()), 'Conflict');
    expect(error.message).toContain('not ours');
    expect(
      called('virtual_machines_attach_detach_data_disks').some(({ path }) => path.includes('foreign')),
    ).toBe(false);
    delete disk.managedBy;
    await removeFully(adapter, target('Volume', resource));
  }, 60_000);

  test.each([
    ['/sizeGiB', { sizeGiB: 4 }],
    [
      '/attachedTo',
      { attachedTo: '/subscriptions/x/resourceGroups/y/providers/Microsoft.Compute/virtualMachines/z' },
    ],
  ] as const)('what a volume cannot become is refused, and it stays: %s', async (field, change) => {
    const resource = randomUUID();
    const born = await ensureReady(adapter, volume(resource));
    const error = await errorOf(adapter.ensure(volume(resource, change), context()), 'Invalid');
    expect(error.details).toMatchObject({ field, made: [born.ref] });
    expect(await adapter.observe(target('Volume', resource))).toMatchObject({
      state: 'ready',
      details: born.details,
    });
    await removeFully(adapter, target('Volume', resource));
  });

  test('past 4 TiB a volume does not grow while its instance runs: Azure’s own words say so', async () => {
    const resource = randomUUID();
    await ensureReady(adapter, volume(resource, { attachedTo: instance.ref }));
    const big = volume(resource, { attachedTo: instance.ref, sizeGiB: 5000 });
    expect((await errorOf(adapter.ensure(big, context()), 'Conflict')).message).toContain('running VM');
    await ensureReady(adapter, volume(resource));
    expect(await ensureReady(adapter, volume(resource, { sizeGiB: 5000 }))).toMatchObject({
      details: { sizeGiB: 5000 },
    });
    await removeFully(adapter, target('Volume', resource));
  }, 60_000);

  test('a volume is made of the sort that was asked for', async () => {
    const resource = randomUUID();
    const made = await ensureReady(adapter, volume(resource, { type: 'ssd' }));
    expect(made.details.type).toBe('Premium_LRS');
    expect(made.location.zone).toBe('1');
    await removeFully(adapter, target('Volume', resource));
  });

  test.each([
    ['Volume', 'disks_create_or_update'],
    ['Network', 'virtual_networks_create_or_update'],
  ] as const)(
    'the create of a %s goes on from the heartbeat after a restart, and is not asked for again',
    async (kind, operation) => {
      const resource = randomUUID();
      const asked =
        kind === 'Volume'
          ? volume(resource)
          : want('Network', resource, {
              cidr: '10.30.0.0/16',
              subnets: [{ name: 'a', cidr: '10.30.0.0/24' }],
            });
      subject.simulator.faults.set({ kind: 'transitions', networkMs: 700 });
      // Also when it cannot be seen once it is made.
      subject.simulator.faults.set({ kind: 'lag', lists: 4 });
      const before = called(operation).length;
      const cancel = new AbortController();
      let resumed: unknown;
      const heartbeat = ((details: unknown) => {
        if (details === undefined) return;
        resumed = JSON.parse(JSON.stringify(details));
        cancel.abort(new Error('the worker is going'));
      }) as () => void;
      await expect(adapter.ensure<Other>(asked, context(cancel.signal, heartbeat))).rejects.toThrow(
        'the worker is going',
      );
      expect(JSON.stringify(resumed)).not.toContain('Bearer');
      const fresh = await subject.adapter();
      expect(await fresh.ensure<Other>(asked, { ...context(), resumed })).toMatchObject({
        state: 'ready',
        diff: [],
      });
      expect(called(operation)).toHaveLength(before + 1);
      await removeFully(adapter, target(kind, resource));
      expect(await truthOf(subject, resource)).toEqual([]);
    },
    60_000,
  );

  test('in a network of ours an instance has no security group of its own, and nothing comes in by itself', async () => {
    const children = (await truthOf(subject, ids.instance)).map(({ providerKind }) => providerKind).sort();
    expect(children).toEqual(['disk', 'networkInterface', 'publicIPAddress', 'virtualMachine']);
    const subnet = objectsOf('/virtualNetworks/subnets').find(
      ({ id }) => id === network.details.subnets[0]?.ref,
    );
    expect(subnet?.properties.networkSecurityGroup.id).toBe(network.details.children[0]);
    expect(rulesOfNetwork().map(({ properties }) => [properties.access, properties.priority])).toEqual([
      ['Deny', 4096],
    ]);
  });

  test('firewalls of one network changed at once keep their own rules, each with a priority of its own', async () => {
    const resources = [randomUUID(), randomUUID()];
    const rules = [22, 80, 443].map((port) => ({ ...ssh, ports: { from: port, to: port } }));
    const wants = resources.map((resource) => want('Firewall', resource, { network: network.ref, rules }));
    const made = await Promise.all(wants.map((each) => ensureReady(adapter, each)));
    for (const one of made) expect(one).toMatchObject({ diff: [], details: { rules: expect.any(Array) } });
    const allowed = rulesOfNetwork().filter(({ properties }) => properties.access === 'Allow');
    expect(allowed.map(({ properties }) => properties.priority).sort()).toEqual([
      100, 101, 102, 103, 104, 105,
    ]);
    // A rule that stays keeps its place; the others go.
    const kept = allowed.find(({ properties }) => properties.destinationPortRange === '22');
    await ensureReady(adapter, want('Firewall', resources[0] ?? '', { network: network.ref, rules: [ssh] }));
    await removeFully(adapter, target('Firewall', resources[1] ?? ''));
    const left = rulesOfNetwork().filter(({ properties }) => properties.access === 'Allow');
    expect(left).toHaveLength(1);
    expect(left[0]?.properties.destinationPortRange).toBe('22');
    expect(allowed.map(({ name }) => name)).toContain(kept?.name);
    await removeFully(adapter, target('Firewall', resources[0] ?? ''));
    expect(rulesOfNetwork()).toHaveLength(1);
  }, 60_000);

  test('a rule that somebody changed is put right, at its place', async () => {
    const resource = randomUUID();
    const wanted = want('Firewall', resource, { network: network.ref, rules: [ssh] });
    await ensureReady(adapter, wanted);
    const rule = objectsOf('/securityRules').find(({ properties }) => properties.access === 'Allow');
    if (!rule) throw new Error('the rule is not there');
    rule.properties.sourceAddressPrefixes = ['10.0.0.0/8'];
    expect(await adapter.observe(target('Firewall', resource), wanted)).toMatchObject({ diff: ['rules'] });
    expect(await ensureReady(adapter, wanted)).toMatchObject({ diff: [], details: { rules: [ssh] } });
    expect(rulesOfNetwork()).toHaveLength(2);
    await removeFully(adapter, target('Firewall', resource));
  }, 60_000);

  test('a firewall that holds for an instance keeps its rules when its removal is refused', async () => {
    const resource = randomUUID();
    const firewall = await ensureReady(
      adapter,
      want('Firewall', resource, { network: network.ref, rules: [ssh] }),
    );
    const bigger = { instanceType: 'Standard_D4s_v5', vcpus: 4, memoryGiB: 16 };
    const behind = (refs: string[]) => subject.want(ids.instance, 1, { ...bigger, ...inNetwork(refs) });
    await ensureReady(adapter, behind([firewall.ref]));
    await errorOf(adapter.remove(target('Firewall', resource), context()), 'Conflict');
    expect(await adapter.observe(target('Firewall', resource))).toMatchObject({ details: { rules: [ssh] } });
    await ensureReady(adapter, behind([]));
    await removeFully(adapter, target('Firewall', resource));
    expect(rulesOfNetwork()).toHaveLength(1);
  }, 60_000);

  test('firewalls hold only in their own network', async () => {
    const [elsewhere, fenced] = [randomUUID(), randomUUID()];
    const subnets = [{ name: 'a', cidr: '10.40.0.0/24' }];
    const wantedThere = want('Network', elsewhere, { cidr: '10.40.0.0/16', subnets });
    const other = await ensureReady(adapter, wantedThere);
    const firewall = await ensureReady(
      adapter,
      want('Firewall', fenced, { network: other.ref, rules: [ssh] }),
    );
    for (const change of [inNetwork([firewall.ref]), { firewalls: [firewall.ref] }]) {
      const resource = randomUUID();
      const error = await errorOf(adapter.ensure(subject.want(resource, 1, change), context()), 'Invalid');
      expect(error.details).toMatchObject({ field: '/firewalls/0', made: [] });
      expect(await truthOf(subject, resource)).toEqual([]);
    }
    const outside = { network: { ref: other.ref, subnet: network.details.subnets[0]?.ref ?? '' } };
    const error = await errorOf(adapter.validate(subject.want(randomUUID(), 1, outside)), 'Invalid');
    expect(error.details.field).toBe('/network/subnet');
    // A network that somebody deleted is made again, with the rules that its firewalls have.
    const headers = { authorization: 'Bearer somebody' };
    await fetch(`${subject.simulator.endpoint}${other.ref}?api-version=2026-01-01`, {
      method: 'DELETE',
      headers,
    });
    while (subject.simulator.truth().some(({ id }) => id === other.ref)) await sleep(20);
    await ensureReady(adapter, wantedThere);
    expect(await adapter.observe(target('Firewall', fenced))).toMatchObject({ details: { rules: [ssh] } });
    // Nor does a network go from under its firewalls.
    await errorOf(adapter.remove(target('Network', elsewhere), context()), 'Conflict');
    await removeFully(adapter, target('Firewall', fenced));
    await removeFully(adapter, target('Network', elsewhere));
  }, 60_000);

  test('a network that an instance is in is in Conflict with its removal, and whole afterwards', async () => {
    await errorOf(adapter.remove(target('Network', ids.network), context()), 'Conflict');
    expect(await adapter.observe(target('Network', ids.network))).toMatchObject({ state: 'ready' });
    expect((await truthOf(subject, ids.network)).map(({ providerKind }) => providerKind).sort()).toEqual([
      'networkSecurityGroup',
      'virtualNetwork',
    ]);
  });

  test('a reserved address takes the place of the instance’s own, which comes back', async () => {
    const external = async () =>
      ((await adapter.observe(subject.target(ids.instance, 1))) as Present).details.addresses.filter(
        ({ type }) => type === 'external',
      );
    const own = await external();
    expect(own).toHaveLength(1);
    const [one, two] = [randomUUID(), randomUUID()];
    const attachedTo = instance.ref;
    const reserved = await ensureReady(adapter, want('Address', one, { attachedTo }));
    expect(await external()).toEqual([{ type: 'external', address: reserved.details.address }]);
    const seen = (await adapter.observe(subject.target(ids.instance, 1))) as Present;
    expect(seen.details.children).not.toContain(reserved.ref);
    expect((await truthOf(subject, ids.instance)).map(({ ref }) => ref).sort()).toEqual(
      [...seen.details.children, seen.ref].sort(),
    );
    // One address leads to a machine: a second one is refused, not swapped in silently.
    await errorOf(adapter.ensure(want('Address', two, { attachedTo }), context()), 'Conflict');
    await errorOf(adapter.remove(target('Address', one), context()), 'Conflict');
    await ensureReady(adapter, want('Address', one, {}));
    expect(await external()).toEqual(own);
    for (const resource of [one, two]) await removeFully(adapter, target('Address', resource));
  }, 60_000);

  test('an address and a firewall that come to one interface at once do not undo each other', async () => {
    const [address, firewall] = [randomUUID(), randomUUID()];
    await ensureReady(adapter, want('Address', address, {}));
    const held = await ensureReady(
      adapter,
      want('Firewall', firewall, { network: network.ref, rules: [ssh] }),
    );
    const bigger = { instanceType: 'Standard_D4s_v5', vcpus: 4, memoryGiB: 16 };
    const behind = (refs: string[]) => subject.want(ids.instance, 1, { ...bigger, ...inNetwork(refs) });
    // The address's write is on its way for so long that the firewall's is over by then.
    subject.simulator.faults.set({ kind: 'slowAnswers', method: 'PUT', ms: 1500 });
    const written = called('network_interfaces_create_or_update').length;
    const attaching = ensureReady(adapter, want('Address', address, { attachedTo: instance.ref }));
    while (called('network_interfaces_create_or_update').length === written) await sleep(10);
    const machine = await ensureReady(adapter, behind([held.ref]));
    const reserved = await attaching;
    expect(reserved).toMatchObject({ diff: [], details: { attachedTo: instance.ref } });
    expect(machine.diff).toEqual([]);
    expect(await adapter.observe(subject.target(ids.instance, 1), behind([held.ref]))).toMatchObject({
      diff: [],
    });
    expect(await adapter.observe(target('Address', address))).toMatchObject({
      details: { attachedTo: instance.ref },
    });
    await ensureReady(adapter, want('Address', address, {}));
    await ensureReady(adapter, behind([]));
    await removeFully(adapter, target('Address', address));
    await removeFully(adapter, target('Firewall', firewall));
  }, 60_000);

  test('an instance boots from an image of a snapshot; what makes no image says why', async () => {
    const [source, shot, golden, machine] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
    const disk = await ensureReady(adapter, volume(source));
    const snapshot = await ensureReady(adapter, want('Snapshot', shot, { volume: disk.ref }));
    const asked = { source: { snapshot: snapshot.ref }, architecture: 'x86_64' } as const;
    const image = await ensureReady(adapter, want('Image', golden, asked));
    expect(image.details.sizeGiB).toBe(8);
    const custom = { name: 'golden', architecture: 'x86_64', user: 'debian', custom: image.ref } as const;
    expect(await ensureReady(adapter, subject.want(machine, 1, { image: custom }))).toMatchObject({
      state: 'ready',
    });
    await removeFully(adapter, subject.target(machine));
    for (const [field, change] of [
      ['/source/instance', { source: { instance: instance.ref } }],
      ['/architecture', { architecture: 'arm64' }],
    ] as const) {
      const error = await errorOf(
        adapter.validate(want('Image', randomUUID(), { ...asked, ...change })),
        'Invalid',
      );
      expect(error.details.field).toBe(field);
    }
    for (const [kind, resource] of [
      ['Image', golden],
      ['Snapshot', shot],
      ['Volume', source],
    ] as const)
      await removeFully(adapter, target(kind, resource));
  }, 60_000);

  test('an image is imported from a blob, and says in Azure’s words why it is not', async () => {
    const golden = randomUUID();
    const source = { url: 'https://account.blob.core.windows.net/vhds/golden.vhd', format: 'vhd' } as const;
    const asked = { source, architecture: 'x86_64' } as const;
    const arm = want('Image', golden, { ...asked, architecture: 'arm64' });
    expect((await errorOf(adapter.validate(arm), 'Invalid')).details.field).toBe('/architecture');
    subject.faults.set({ kind: 'unreadable' }, 'Image');
    const error = await errorOf(adapter.ensure(want('Image', golden, asked), context()), 'Invalid');
    expect(error.message).toBe(`InvalidParameter: The source blob ${source.url} is not accessible.`);
    expect(error.details.field).toBe('/source/url');
    expect((await ensureReady(adapter, want('Image', golden, asked))).details.sizeGiB).toBe(8);
    const { body } = subject.simulator.calls.findLast(
      ({ method, path }) => method === 'PUT' && path.includes('/images/'),
    )!;
    const osDisk = { osType: 'Linux', osState: 'Generalized', blobUri: source.url };
    expect(body).toMatchObject({ properties: { hyperVGeneration: 'V2', storageProfile: { osDisk } } });
    await removeFully(adapter, target('Image', golden));
  });

  test('that no machine becomes an image is said with what to do instead', async () => {
    const { capabilities, facts } = await adapter.describe();
    const reason = { reason: expect.stringMatching(/generalized.*take a snapshot/) };
    const image = capabilities.find(({ kind }) => kind === 'Image');
    expect(image?.verbs).toMatchObject({ publish: reason, import: true });
    expect(facts.imports).toContain('.blob.core.windows.net/');
  });

  test('what carries our name and not our stamp is neither changed nor removed', async () => {
    const resource = randomUUID();
    const { ref } = await ensureReady(adapter, volume(resource));
    const disk = objectsOf('/disks').find(({ id }) => id === ref);
    if (!disk) throw new Error('the disk is not there');
    const { tags } = disk;
    disk.tags = {};
    await errorOf(adapter.ensure(volume(resource), context()), 'Conflict');
    expect(await adapter.remove(target('Volume', resource), context())).toEqual({ done: true });
    expect(objectsOf('/disks').map(({ id }) => id)).toContain(ref);
    disk.tags = tags;
    await removeFully(adapter, target('Volume', resource));
  });

  test('everything is listed once over many pages, as what it is', async () => {
    subject.simulator.faults.set({ kind: 'pages', size: 2 });
    const { items, complete } = await listAll(adapter, subject.broker);
    expect(complete).toBe(true);
    const account = { subscription: network.ref.split('/')[2] ?? '' };
    const group = groupName(subject.broker, 'westeurope');
    const name = network.ref.split('/').at(-1) ?? '';
    const ofNetwork = items.filter(({ stamp }) => stamp.resource === ids.network);
    expect(ofNetwork.map(({ ref, kind, child }) => [ref, kind, child]).sort()).toEqual(
      [
        [idOf(account, group, 'virtualNetwork', name), 'Network', false],
        [idOf(account, group, 'networkSecurityGroup', name), 'Network', true],
      ].sort(),
    );
    for (const { kind } of items.filter(({ stamp }) => stamp.resource === ids.instance))
      expect(kind).toBe('Instance');
  });
});
