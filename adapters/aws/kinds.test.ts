import { randomUUID } from 'node:crypto';
import { jest } from '@jest/globals';
import { simulatedAws } from '../../test/simulators/aws/subject.ts';
import { context, ensureReady, errorOf, removeFully, truthOf } from '../conformance/probe.ts';
import type { Adapter, InstanceWant, Kind, Present, Specs, Target, Want } from '../contract.ts';

jest.setTimeout(120_000);

/** What is EC2's own about the kinds; what every provider promises is in the conformance suite. */
let aws: Awaited<ReturnType<typeof simulatedAws>>;
let adapter: Adapter;
const location = { region: 'us-east-1', zone: 'us-east-1b' };

beforeAll(async () => {
  aws = await simulatedAws();
  adapter = await aws.adapter();
}, 300_000);
afterEach(() => aws.faults.clear());
afterAll(() => aws?.close());

type Spec<K extends Kind> = Omit<Specs[K], 'name' | 'labels'>;
const wantOf = <K extends Kind>(kind: K, spec: Spec<K>, place = location, resource: string = randomUUID()) =>
  ({
    kind,
    spec: { name: 'one', labels: {}, ...spec },
    stamp: { broker: aws.broker, project: 'test', resource, attempt: 1 },
    location: place,
  }) as unknown as Want<K>;
const make = <K extends Kind>(kind: K, spec: Spec<K>): Promise<Present<K>> =>
  ensureReady(adapter, wantOf(kind, spec));
/** The same resource, wanted otherwise. */
const changed = <K extends Kind>(kind: K, { stamp }: { stamp: Want['stamp'] }, spec: Spec<K>): Want<K> =>
  wantOf(kind, spec, location, stamp.resource);
const machine = (change: Partial<InstanceWant> = {}) =>
  ensureReady(adapter, aws.want(randomUUID(), 1, change));
const targetOf = <K extends Kind>(kind: K, { stamp }: { stamp: Want['stamp'] }): Target<K> => ({
  kind,
  stamp,
  location,
});
const callsOf = (action: string) => aws.simulator.calls.filter((call) => call.action === action);
const refs = async (resource: string, providerKind: string) =>
  (await truthOf(aws, resource)).filter((thing) => thing.providerKind === providerKind).map(({ ref }) => ref);
const small = { sizeGiB: 4, type: 'standard' } as const;

describe('volumes on AWS', () => {
  test('a volume without a zone is in the region’s first, and asking again finds it there', async () => {
    const want = { ...wantOf('Volume', small), location: { region: 'us-east-1' } };
    const born = await ensureReady(adapter, want);
    expect(born.location).toEqual({ region: 'us-east-1', zone: 'us-east-1a' });
    expect((await ensureReady(await aws.adapter(), want)).ref).toBe(born.ref);
    expect(await refs(want.stamp.resource, 'volume')).toEqual([born.ref]);
  });

  test('a volume does not shrink, and does not reach a machine of another zone', async () => {
    const born = await make('Volume', small);
    const shrunk = changed('Volume', born, { ...small, sizeGiB: 3 });
    expect((await errorOf(adapter.ensure(shrunk, context()), 'Invalid')).details.field).toBe('/sizeGiB');
    const elsewhere = { region: 'us-east-1', zone: 'us-east-1c' };
    const far = await ensureReady(adapter, { ...aws.want(randomUUID(), 1), location: elsewhere });
    const attached = changed('Volume', born, { ...small, attachedTo: far.ref });
    const error = await errorOf(adapter.ensure(attached, context()), 'Invalid');
    expect(error.details).toMatchObject({ field: '/attachedTo', made: [born.ref] });
  });

  test('a volume of its new size is ready while EC2 optimizes it; growing it again is Conflict for six hours', async () => {
    const born = await make('Volume', small);
    aws.simulator.faults.set({ kind: 'transitions', attachMs: 1000 });
    const grown = await ensureReady(adapter, changed('Volume', born, { ...small, sizeGiB: 5 }));
    expect(grown.details.sizeGiB).toBe(5);
    const more = changed('Volume', born, { ...small, sizeGiB: 6 });
    const busy = await errorOf(adapter.ensure(more, context()), 'Conflict');
    expect(busy.details.providerCode).toBe('IncorrectModificationState');
    await new Promise((resolve) => setTimeout(resolve, 4100));
    const often = await errorOf(adapter.ensure(more, context()), 'Conflict');
    expect(often.details.providerCode).toBe('VolumeModificationRateExceeded');
    expect(often.message).toContain('6 hours');
  });

  test('a growth that an earlier try asked for is waited for, not asked for again', async () => {
    const born = await make('Volume', small);
    aws.simulator.faults.set({ kind: 'transitions', attachMs: 1500 });
    const want = changed('Volume', born, { ...small, sizeGiB: 9 });
    const hasty = new AbortController();
    const before = callsOf('ModifyVolume').length;
    const first = adapter.ensure(want, { signal: hasty.signal, heartbeat: () => {} }).catch(() => {});
    while (callsOf('ModifyVolume').length === before) await new Promise((resolve) => setTimeout(resolve, 20));
    hasty.abort(new Error('worker is going'));
    await first;
    expect(await ensureReady(await aws.adapter(), want)).toMatchObject({ details: { sizeGiB: 9 } });
    expect(callsOf('ModifyVolume').length).toBe(before + 1);
  });

  test('volumes find device names of their own, and move from one machine to another', async () => {
    const [one, other] = await Promise.all([machine(), machine()]);
    const born = await Promise.all([make('Volume', small), make('Volume', small)]);
    const attach = (to: Present, volume: Present<'Volume'>) =>
      ensureReady(adapter, changed('Volume', volume, { ...small, attachedTo: to.ref }));
    const both = await Promise.all(born.map((volume) => attach(one, volume)));
    expect(both.map(({ details }) => details.attachedTo)).toEqual([one.ref, one.ref]);
    const devices = callsOf('AttachVolume')
      .filter(({ status, parameters }) => status === 200 && parameters.InstanceId === one.ref)
      .map(({ parameters }) => parameters.Device);
    expect(new Set(devices).size).toBe(2);
    const [first] = born;
    if (!first) throw new Error('no volume was made');
    expect(await attach(other, first)).toMatchObject({ ref: first.ref, details: { attachedTo: other.ref } });
    const refused = await errorOf(adapter.remove(targetOf('Volume', first), context()), 'Conflict');
    expect(refused.details.providerCode).toBe('VolumeInUse');
    expect(await adapter.observe(targetOf('Volume', first))).toMatchObject({
      details: {
        attachedTo: other.ref,
        device: `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${first.ref.replace('-', '')}`,
      },
    });
  });
});

describe('images on AWS', () => {
  test('an image holds the root disk, not the attached volumes, and takes its snapshot with it', async () => {
    const source = await machine();
    const volume = await make('Volume', small);
    await ensureReady(adapter, changed('Volume', volume, { ...small, attachedTo: source.ref }));
    const image = await make('Image', { source: { instance: source.ref }, architecture: 'x86_64' });
    expect(image.details).toMatchObject({ sizeGiB: 8, children: [expect.stringMatching(/^snap-/)] });
    expect(await refs(image.stamp.resource, 'snapshot')).toEqual(image.details.children);
    expect(callsOf('CreateImage').at(-1)?.parameters).toMatchObject({ NoReboot: 'true' });
    await removeFully(adapter, targetOf('Image', image));
    expect(await truthOf(aws, image.stamp.resource)).toEqual([]);
  });

  test('an image that stands on a Snapshot leaves it, and the Snapshot cannot go first', async () => {
    const volume = await make('Volume', small);
    const snapshot = await make('Snapshot', { volume: volume.ref });
    const image = await make('Image', { source: { snapshot: snapshot.ref }, architecture: 'x86_64' });
    expect(image.details).toEqual({ sizeGiB: 4, children: [] });
    const refused = await errorOf(adapter.remove(targetOf('Snapshot', snapshot), context()), 'Conflict');
    expect(refused.details.providerCode).toBe('InvalidSnapshot.InUse');
    await removeFully(adapter, targetOf('Image', image));
    expect(await adapter.observe(targetOf('Snapshot', snapshot))).toMatchObject({ presence: 'present' });
    await removeFully(adapter, targetOf('Snapshot', snapshot));
  });

  test('an image of another architecture than its instance is Invalid', async () => {
    const source = { instance: (await machine()).ref };
    const arm = await errorOf(
      adapter.ensure(wantOf('Image', { source, architecture: 'arm64' }), context()),
      'Invalid',
    );
    expect(arm.details.field).toBe('/architecture');
  });

  test('a machine of an image that is not there is Invalid at /image/custom', async () => {
    const { image } = aws.want(randomUUID(), 1).spec;
    const want = aws.want(randomUUID(), 1, { image: { ...image!, custom: 'ami-0123456789abcdef0' } });
    expect((await errorOf(adapter.ensure(want, context()), 'Invalid')).details.field).toBe('/image/custom');
  });
});

describe('networks on AWS', () => {
  const cidr = '10.30.0.0/16';
  const subnets = [
    { name: 'a', cidr: '10.30.1.0/24' },
    { name: 'b', cidr: '10.30.2.0/24', zone: 'us-east-1c' },
  ];

  test.each([
    ['/cidr', { cidr: '10.0.0.0/8', subnets }],
    ['/subnets/1/cidr', { cidr, subnets: [subnets[0], { name: 'b', cidr: '10.30.1.128/25' }] }],
    ['/subnets/0/cidr', { cidr, subnets: [{ name: 'a', cidr: 'anywhere' }] }],
  ])(
    'ranges that EC2 would refuse halfway are Invalid at %s, before anything is made',
    async (field, spec) => {
      const before = callsOf('CreateVpc').length;
      const want = wantOf('Network', spec as Spec<'Network'>);
      expect((await errorOf(adapter.ensure(want, context()), 'Invalid')).details.field).toBe(field);
      expect(callsOf('CreateVpc').length).toBe(before);
    },
  );

  test('a subnet is in its own zone, and a failure halfway names what was made and leaves nothing behind', async () => {
    const want = wantOf('Network', { cidr, subnets });
    aws.faults.set({ kind: 'failChild', n: 3 }, 'Network');
    const error = await errorOf(adapter.ensure(want, context()), 'QuotaExceeded');
    expect(error.details.made).toEqual(expect.arrayContaining([expect.stringMatching(/^vpc-/)]));
    const seen = await adapter.observe(targetOf('Network', want), want);
    expect(seen).toMatchObject({ state: 'creating', diff: ['subnets'] });
    const whole = await ensureReady(adapter, want);
    expect(error.details.made).toContain(whole.ref);
    expect(whole.details.subnets.map(({ zone }) => zone)).toEqual(['us-east-1b', 'us-east-1c']);
    expect(await refs(want.stamp.resource, 'subnet')).toHaveLength(2);
    await removeFully(adapter, targetOf('Network', want));
    expect(await truthOf(aws, want.stamp.resource)).toEqual([]);
  });

  test('a network that is in use stays whole; only its firewalls let anything in to its machines', async () => {
    const network = await make('Network', { cidr, subnets });
    const [a, b] = network.details.subnets;
    const inside = { ref: network.ref, subnet: a?.ref ?? '' };
    const guest = await machine({ network: inside, publicAddress: true });
    expect(guest.details.addresses.map(({ type }) => type)).toEqual(['internal', 'external']);
    const own = guest.details.children.find((ref) => ref.startsWith('sg-'));
    expect(
      callsOf('AuthorizeSecurityGroupIngress').map(({ parameters }) => parameters.GroupId),
    ).not.toContain(own);
    const before = (await truthOf(aws, network.stamp.resource)).map(({ ref }) => ref);
    await errorOf(adapter.remove(targetOf('Network', network), context()), 'Conflict');
    expect((await truthOf(aws, network.stamp.resource)).map(({ ref }) => ref)).toEqual(before);

    const rules = [{ protocol: 'tcp' as const, ports: { from: 80, to: 80 }, sources: ['0.0.0.0/0'] }];
    const wall = await make('Firewall', { network: network.ref, rules });
    const want = { ...aws.want(guest.stamp.resource, 1).spec, network: inside, firewalls: [wall.ref] };
    const guarded = await ensureReady(adapter, aws.want(guest.stamp.resource, 1, want));
    expect(guarded.details.children).toEqual(guest.details.children);
    const refused = await errorOf(adapter.remove(targetOf('Firewall', wall), context()), 'Conflict');
    expect(refused.details.providerCode).toBe('DependencyViolation');

    for (const subnet of ['subnet-0123456789abcdef0', b?.ref ?? '']) {
      const wrong = aws.want(randomUUID(), 1, { network: { ref: network.ref, subnet } });
      expect((await errorOf(adapter.ensure(wrong, context()), 'Invalid')).details.field).toBe(
        '/network/subnet',
      );
    }
    // A firewall of one network does not hold in another.
    await errorOf(adapter.ensure(aws.want(randomUUID(), 1, { firewalls: [wall.ref] }), context()), 'Invalid');
  });

  test('a range that a network on AWS has stays: another is refused by its field, and nothing is made', async () => {
    const network = await make('Network', { cidr, subnets });
    const before = await refs(network.stamp.resource, 'subnet');
    const [first, ...others] = subnets;
    const moved = { ...first!, cidr: '10.30.99.0/24' };
    const refused = async (spec: { cidr: string; subnets: typeof subnets }) =>
      (await errorOf(adapter.ensure(changed('Network', network, spec), context()), 'Invalid')).details.field;
    expect(await refused({ cidr, subnets: [moved, ...others] })).toBe('/subnets/0/cidr');
    expect(await refs(network.stamp.resource, 'subnet')).toEqual(before);
  });

  test('an internet gateway that two tries made twice is one in the end', async () => {
    const network = await make('Network', { cidr, subnets });
    const tags = Object.entries({ ...network.stamp, kind: 'Network' });
    await aws.simulator.direct(
      'us-east-1',
      'CreateInternetGateway',
      Object.fromEntries([
        ['TagSpecification.1.ResourceType', 'internet-gateway'],
        ...tags.flatMap(([key, value], at) => [
          [`TagSpecification.1.Tag.${at + 1}.Key`, `landfall:${key}`],
          [`TagSpecification.1.Tag.${at + 1}.Value`, String(value)],
        ]),
      ]),
    );
    expect(await refs(network.stamp.resource, 'internetGateway')).toHaveLength(2);
    await ensureReady(adapter, changed('Network', network, { cidr, subnets }));
    expect(await refs(network.stamp.resource, 'internetGateway')).toHaveLength(1);
  });
});

describe('firewalls on AWS', () => {
  test('what somebody else let in is shut out again, and a range may be written loosely', async () => {
    const network = await make('Network', {
      cidr: '10.40.0.0/16',
      subnets: [{ name: 'a', cidr: '10.40.0.0/20' }],
    });
    const rules = [
      { protocol: 'tcp' as const, sources: ['10.1.2.3/8'] },
      { protocol: 'all' as const, sources: ['192.168.0.0/16'] },
    ];
    const spec = { network: network.ref, rules };
    const wall = await make('Firewall', spec);
    expect(new Set(wall.details.rules)).toEqual(
      new Set([
        { protocol: 'tcp', sources: ['10.0.0.0/8'] },
        { protocol: 'all', sources: ['192.168.0.0/16'] },
      ]),
    );
    await aws.simulator.direct('us-east-1', 'AuthorizeSecurityGroupIngress', {
      GroupId: wall.ref,
      'IpPermissions.1.IpProtocol': 'tcp',
      'IpPermissions.1.FromPort': '22',
      'IpPermissions.1.ToPort': '22',
      'IpPermissions.1.Ipv6Ranges.1.CidrIpv6': '::/0',
    });
    const want = changed('Firewall', wall, spec);
    expect(await adapter.observe(targetOf('Firewall', wall), want)).toMatchObject({ diff: ['rules'] });
    expect(await ensureReady(adapter, want)).toMatchObject({ ref: wall.ref, diff: [] });
    const bad = wantOf('Firewall', { ...spec, rules: [{ protocol: 'tcp', sources: ['::/0'] }] });
    expect((await errorOf(adapter.ensure(bad, context()), 'Invalid')).details.field).toBe('/rules/0/sources');
  });
});

describe('addresses on AWS', () => {
  test('an address moves from one machine to another with its number, and is not released while it leads somewhere', async () => {
    const [one, other] = await Promise.all([machine(), machine()]);
    const address = await make('Address', {});
    await ensureReady(adapter, changed('Address', address, { attachedTo: one.ref }));
    const moved = await ensureReady(adapter, changed('Address', address, { attachedTo: other.ref }));
    expect(moved.details).toMatchObject({ attachedTo: other.ref, address: address.details.address });
    const left = (await adapter.observe(targetOf('Instance', one))) as Present;
    expect(left.details.addresses).not.toContainEqual({
      type: 'external',
      address: address.details.address,
    });
    const refused = await errorOf(adapter.remove(targetOf('Address', address), context()), 'Conflict');
    expect(refused.details.providerCode).toBe('InvalidIPAddress.InUse');
  });
});

describe('what EC2 has no token for', () => {
  test('a retried call goes on with the snapshot that its heartbeat named', async () => {
    const volume = await make('Volume', small);
    aws.simulator.faults.set({ kind: 'transitions', createMs: 20_000 });
    // Neither its id nor its tags can be seen at first.
    aws.faults.set({ kind: 'lag', lists: 4 }, 'Snapshot');
    const want = wantOf('Snapshot', { volume: volume.ref });
    const cancel = new AbortController();
    let details: unknown;
    const heartbeat = (told?: unknown) => {
      details = told ?? details;
      if (told) cancel.abort(new Error('worker is going'));
    };
    await expect(adapter.ensure(want, { signal: cancel.signal, heartbeat })).rejects.toThrow(
      'worker is going',
    );
    const before = callsOf('CreateSnapshot').length;
    const impatient = await aws.adapter({ ensureWaitMs: 3000 });
    const again = await impatient.ensure(want, { ...context(), resumed: details });
    expect(again).toMatchObject({ state: 'creating' });
    expect(details).toEqual({ ref: again.ref });
    expect(callsOf('CreateSnapshot').length).toBe(before);
  });

  test('of two addresses that two tries made, the older one stays', async () => {
    const want = wantOf('Address', {});
    aws.faults.set({ kind: 'lag', lists: 4 }, 'Address');
    aws.faults.set({ kind: 'responseLost' }, 'Address');
    await errorOf(adapter.ensure(want, context()), 'OutcomeUnknown');
    const [older] = await refs(want.stamp.resource, 'address');
    const before = callsOf('AllocateAddress').length;
    const present = await ensureReady(adapter, want);
    expect(callsOf('AllocateAddress').length).toBe(before + 1);
    expect(present.ref).toBe(older);
    expect(await refs(want.stamp.resource, 'address')).toEqual([older]);
  });
});

describe('validate', () => {
  test('asks EC2 whether it would, and makes nothing', async () => {
    const wants = [
      wantOf('Volume', small),
      wantOf('Address', {}),
      wantOf('Network', { cidr: '10.50.0.0/16', subnets: [{ name: 'a', cidr: '10.50.0.0/24' }] }),
    ];
    for (const want of wants) {
      await adapter.validate(want);
      expect(aws.simulator.calls.at(-1)).toMatchObject({ status: 412, parameters: { DryRun: 'true' } });
      expect(await truthOf(aws, want.stamp.resource)).toEqual([]);
    }
  });
});

test('every request met what AWS publishes about its API, and every answer of the simulator too', () => {
  expect(aws.simulator.calls.length).toBeGreaterThan(100);
  expect(aws.simulator.calls.filter(({ problems }) => problems.length > 0)).toEqual([]);
  expect([...new Set(aws.simulator.calls.flatMap(({ misfits }) => misfits))]).toEqual([]);
});
