import { jest } from '@jest/globals';
import { simulatedGcp } from '../../test/simulators/gcp/subject.ts';
import { context, ensureReady, errorOf, listAll, removeFully, truthOf } from '../conformance/probe.ts';
import type { Adapter, FirewallRule, Kind, Present, Specs, Target, Want } from '../contract.ts';

jest.setTimeout(60_000);

let gcp: Awaited<ReturnType<typeof simulatedGcp>>;
let adapter: Adapter;
let count = 0;
const fresh = () => {
  count += 1;
  return `kind-${count}`;
};
const location = { region: 'us-central1', zone: 'us-central1-b' };
const stampOf = (resource: string, attempt = 1) => ({
  broker: gcp.broker,
  project: 'test',
  resource,
  attempt,
});
const want = <K extends Kind>(kind: K, resource: string, spec: Specs[K]) =>
  ({ kind, spec, stamp: stampOf(resource), location }) as unknown as Want<K>;
const target = <K extends Kind>(kind: K, resource: string): Target<K> => ({
  kind,
  stamp: stampOf(resource),
  location,
});
const named = { name: 'a', labels: {} };
const callsOf = (method: string) => gcp.simulator.calls.filter((call) => call.method === `compute.${method}`);
const volume = (resource: string, change: Partial<Specs['Volume']> = {}) =>
  want('Volume', resource, { ...named, sizeGiB: 10, type: 'standard', ...change });
const address = (resource: string, attachedTo?: string) =>
  want('Address', resource, { ...named, attachedTo });
const network = (resource: string) =>
  want('Network', resource, {
    ...named,
    cidr: '10.1.0.0/16',
    subnets: [{ name: 'a', cidr: '10.1.1.0/24' }],
  });
const ssh: FirewallRule = { protocol: 'tcp', ports: { from: 22, to: 22 }, sources: ['192.0.2.0/24'] };
const web: FirewallRule = { protocol: 'tcp', ports: { from: 80, to: 443 }, sources: ['0.0.0.0/0'] };
const firewall = (resource: string, ref: string, rules: FirewallRule[]) =>
  want('Firewall', resource, { ...named, network: ref, rules });

beforeAll(async () => {
  gcp = await simulatedGcp();
  adapter = await gcp.adapter();
}, 300_000);
afterEach(() => gcp.faults.clear());
afterAll(() => gcp?.close());

test('what cannot change on Google Cloud is refused by its field: ranges of a network, the type of a volume', async () => {
  const [resource, disk] = [fresh(), fresh()];
  await ensureReady(adapter, network(resource));
  const refused = async (spec: Partial<Specs['Network']>) => {
    const wanted = network(resource);
    const changed = { ...wanted, spec: { ...wanted.spec, ...spec } };
    return (await errorOf(adapter.ensure(changed, context()), 'Invalid')).details.field;
  };
  expect(await refused({ cidr: '10.1.0.0/20' })).toBe('/cidr');
  expect(await refused({ subnets: [{ name: 'a', cidr: '10.1.2.0/24' }] })).toBe('/subnets/0/cidr');
  await ensureReady(adapter, volume(disk));
  const error = await errorOf(adapter.ensure(volume(disk, { type: 'ssd' }), context()), 'Invalid');
  expect(error).toMatchObject({
    message: expect.stringContaining('is of type pd-balanced and cannot become pd-ssd'),
    details: { field: '/type' },
  });
});

describe('volumes on Google Cloud', () => {
  test('standard is pd-balanced, ssd is pd-ssd', async () => {
    expect((await ensureReady(adapter, volume(fresh()))).details.type).toBe('pd-balanced');
    expect((await ensureReady(adapter, volume(fresh(), { type: 'ssd' }))).details.type).toBe('pd-ssd');
  });

  test('a volume moves from one machine to another, under the same device name, and outlives both', async () => {
    const [first, second, disk] = [fresh(), fresh(), fresh()];
    const one = await ensureReady(adapter, gcp.want(first, 1));
    const two = await ensureReady(adapter, gcp.want(second, 1));
    const there = await ensureReady(adapter, volume(disk, { attachedTo: one.ref }));
    const moved = await ensureReady(adapter, volume(disk, { attachedTo: two.ref }));
    expect(moved.details).toMatchObject({ attachedTo: two.ref, device: there.details.device });
    expect(there.details.device).toMatch(/^\/dev\/disk\/by-id\/google-landfall-/);
    expect(callsOf('instances.attachDisk').at(-1)?.body).toMatchObject({ autoDelete: false });
    const refused = await errorOf(adapter.remove(target('Volume', disk), context()), 'Conflict');
    expect(refused.details.providerCode).toBe('resourceInUseByAnotherResource');
    await removeFully(adapter, gcp.target(first));
    await removeFully(adapter, gcp.target(second));
    const left = (await adapter.observe(target('Volume', disk))) as Present<'Volume'>;
    expect(left.details.attachedTo).toBeUndefined();
  });

  test('a volume never shrinks, and attaches in its own zone to a machine that is there', async () => {
    const disk = fresh();
    await ensureReady(adapter, volume(disk));
    const wrong: [Partial<Specs['Volume']>, string][] = [
      [{ sizeGiB: 9 }, '/sizeGiB'],
      [{ attachedTo: 'zones/us-central1-a/instances/x' }, '/attachedTo'],
      [{ attachedTo: 'zones/us-central1-b/instances/none' }, '/attachedTo'],
      [{ attachedTo: 'i-0123' }, '/attachedTo'],
    ];
    for (const [change, field] of wrong) {
      const error = await errorOf(adapter.ensure(volume(disk, change), context()), 'Invalid');
      expect(error.details.field).toBe(field);
    }
  });

  test('a snapshot that is not there is Invalid at /snapshot, and nothing is made', async () => {
    const disk = fresh();
    const error = await errorOf(
      adapter.ensure(volume(disk, { snapshot: 'global/snapshots/none' }), context()),
      'Invalid',
    );
    expect(error.details.field).toBe('/snapshot');
    expect(await truthOf(gcp, disk)).toEqual([]);
  });

  test('R1: a retried call goes on with the operation that its heartbeat named, and creates nothing', async () => {
    const disk = fresh();
    // Nobody can find the volume by looking: only the operation leads to it.
    gcp.faults.set({ kind: 'lag', lists: 4 }, 'Volume');
    const cancel = new AbortController();
    let details: unknown;
    const call = adapter.ensure(volume(disk), {
      signal: cancel.signal,
      heartbeat(given) {
        details = given ?? details;
        if (details) cancel.abort(new Error('worker is going'));
      },
    });
    expect(await call.catch((error: unknown) => error)).toBe(cancel.signal.reason);
    expect(details).toMatchObject({ scope: 'zones/us-central1-b' });
    const before = callsOf('disks.insert').length;
    const made = await adapter.ensure(volume(disk), { ...context(), resumed: details });
    expect(made.state).toBe('ready');
    expect(callsOf('disks.insert')).toHaveLength(before);
  });

  test('labels that somebody else changes at the same time are read again, and written', async () => {
    const disk = fresh();
    await ensureReady(adapter, volume(disk));
    gcp.simulator.faults.set({ kind: 'staleFingerprint', times: 2 });
    const made = await ensureReady(adapter, volume(disk, { labels: { tier: 'gold' } }));
    expect(made.diff).toEqual([]);
    expect(callsOf('disks.setLabels').map(({ status }) => status)).toEqual([412, 412, 200]);
  });
});

describe('networks and firewalls on Google Cloud', () => {
  test.each<[string, Specs['Network']['subnets']]>([
    ['/subnets/0/cidr', [{ name: 'a', cidr: '10.2.0.0/24' }]],
    ['/subnets/0/cidr', [{ name: 'a', cidr: '10.1.1.7/24' }]],
    [
      '/subnets/1/cidr',
      [
        { name: 'a', cidr: '10.1.0.0/20' },
        { name: 'b', cidr: '10.1.8.0/24' },
      ],
    ],
    ['/subnets/0/zone', [{ name: 'a', cidr: '10.1.1.0/24', zone: 'us-central1-b' }]],
  ])('a network is refused at %s before anything is made', async (field, subnets) => {
    const resource = fresh();
    const wanted = want('Network', resource, { ...named, cidr: '10.1.0.0/16', subnets });
    for (const call of [adapter.validate(wanted), adapter.ensure(wanted, context())])
      expect((await errorOf(call, 'Invalid')).details.field).toBe(field);
    expect(await truthOf(gcp, resource)).toEqual([]);
  });

  test('a firewall is a rule of Google’s for each of ours; without any, one that is disabled', async () => {
    const [net, wall] = [fresh(), fresh()];
    const { ref } = await ensureReady(adapter, network(net));
    const none = await ensureReady(adapter, firewall(wall, ref, []));
    expect(none.details.rules).toEqual([]);
    const two = await ensureReady(adapter, firewall(wall, ref, [ssh, web]));
    expect(two).toMatchObject({ ref: none.ref, details: { rules: [ssh, web] } });
    expect(two.details.children).toHaveLength(1);
    const one = await ensureReady(adapter, firewall(wall, ref, [web]));
    expect(one.details).toEqual({ rules: [web], children: [] });
    expect(await truthOf(gcp, wall)).toHaveLength(1);
    // A rule that was taken away can come back.
    expect((await ensureReady(adapter, firewall(wall, ref, [web, ssh]))).details.rules).toEqual([web, ssh]);
    await removeFully(adapter, target('Firewall', wall));
    await removeFully(adapter, target('Network', net));
  });

  test('a firewall holds by a tag: others’ tags stay, and it is not removed while a machine carries it', async () => {
    const [net, wall, machine] = [fresh(), fresh(), fresh()];
    const { ref, details } = await ensureReady(adapter, network(net));
    const { ref: by } = await ensureReady(adapter, firewall(wall, ref, [ssh]));
    const inside = { network: { ref, subnet: details.subnets[0]?.ref ?? '' } };
    const { ref: made } = await ensureReady(adapter, gcp.want(machine, 1, { ...inside, firewalls: [by] }));
    const theirs = await gcp.simulator.tag(made, 'theirs');
    gcp.simulator.faults.set({ kind: 'staleFingerprint' });
    await ensureReady(adapter, gcp.want(machine, 1, { ...inside, firewalls: [] }));
    expect(theirs()).toEqual(['theirs']);
    await ensureReady(adapter, gcp.want(machine, 1, { ...inside, firewalls: [by] }));
    await errorOf(adapter.remove(target('Firewall', wall), context()), 'Conflict');
    expect(await truthOf(gcp, wall)).toHaveLength(1);
    await removeFully(adapter, gcp.target(machine));
    await removeFully(adapter, target('Firewall', wall));
    await removeFully(adapter, target('Network', net));
  });

  test('a firewall of another network is refused: its rules would not hold', async () => {
    const [net, wall, machine] = [fresh(), fresh(), fresh()];
    const { ref } = await ensureReady(adapter, network(net));
    const { ref: by } = await ensureReady(adapter, firewall(wall, ref, [ssh]));
    for (const firewalls of [[by], ['global/firewalls/none']]) {
      const error = await errorOf(adapter.ensure(gcp.want(machine, 1, { firewalls }), context()), 'Invalid');
      expect(error.details.field).toBe('/firewalls/0');
    }
    expect(await truthOf(gcp, machine)).toEqual([]);
  });
});

describe('how a machine on Google Cloud is reached', () => {
  const rulesFor = async (resource: string) =>
    (await truthOf(gcp, resource)).filter(({ providerKind }) => providerKind === 'firewall');

  test('in the default network a public address lets SSH in, by a rule that is the machine’s child', async () => {
    const resource = fresh();
    const { details } = await ensureReady(adapter, gcp.want(resource, 1));
    const [rule] = await rulesFor(resource);
    expect(details.children).toContain(rule?.ref);
    const { body } = callsOf('firewalls.insert').at(-1) ?? {};
    expect(body).toMatchObject({ network: 'global/networks/default', sourceRanges: ['0.0.0.0/0'] });
    expect(body?.allowed).toEqual([{ IPProtocol: 'tcp', ports: ['22'] }]);
    expect(callsOf('instances.insert').at(-1)?.body?.tags.items).toEqual(body?.targetTags);

    await gcp.simulator.destroy(rule?.ref ?? '');
    expect(await adapter.observe(gcp.target(resource), gcp.want(resource, 1))).toMatchObject({
      diff: ['firewalls'],
    });
    await ensureReady(adapter, gcp.want(resource, 1));
    expect(await rulesFor(resource)).toHaveLength(1);
    await removeFully(adapter, gcp.target(resource));
    expect(await truthOf(gcp, resource)).toEqual([]);
  });

  test('without a public address nothing lets SSH in', async () => {
    const resource = fresh();
    await ensureReady(adapter, gcp.want(resource, 1, { publicAddress: false }));
    expect(await rulesFor(resource)).toEqual([]);
  });

  test('a reserved address takes the place of the machine’s own, which comes back after it', async () => {
    const [machine, front] = [fresh(), fresh()];
    const external = ({ details }: Present) =>
      details.addresses.filter(({ type }) => type === 'external').map((one) => one.address);
    const seen = async () => external((await adapter.observe(gcp.target(machine))) as Present);
    const { ref } = await ensureReady(adapter, gcp.want(machine, 1));
    const { details } = await ensureReady(adapter, address(front, ref));
    expect(await seen()).toEqual([details.address]);
    const refused = await errorOf(adapter.remove(target('Address', front), context()), 'Conflict');
    expect(refused.details.providerCode).toBe('resourceInUseByAnotherResource');
    await ensureReady(adapter, address(front));
    expect(await seen()).toEqual([]);
    expect(await adapter.observe(gcp.target(machine), gcp.want(machine, 1))).toMatchObject({
      diff: ['publicAddress'],
    });
    const [own] = external(await ensureReady(adapter, gcp.want(machine, 1)));
    expect(own).toBeDefined();
    expect(own).not.toBe(details.address);
  });

  test('an address leads to a machine of its own region only', async () => {
    const wanted = address(fresh(), 'zones/europe-west1-b/instances/x');
    expect((await errorOf(adapter.ensure(wanted, context()), 'Invalid')).details.field).toBe('/attachedTo');
  });
});

describe('images on Google Cloud', () => {
  test.each([
    ['x86_64', undefined],
    ['arm64', [{ type: 'UEFI_COMPATIBLE' }]],
  ] as const)('one for %s is imported from Cloud Storage', async (architecture, guestOsFeatures) => {
    const resource = fresh();
    const source = { url: 'gs://disks/of/golden.tar.gz', format: 'raw' as const };
    const wanted = want('Image', resource, { ...named, source, architecture });
    gcp.simulator.faults.set({ kind: 'unreadable' }, 'Image');
    const error = await errorOf(adapter.ensure(wanted, context()), 'Invalid');
    expect(error.message).toContain("of type 'Google Cloud Storage object' was not found");
    expect((await ensureReady(adapter, wanted)).details.sizeGiB).toBe(8);
    const { body } = callsOf('images.insert').at(-1) ?? {};
    expect(body?.rawDisk).toEqual({ source: 'https://storage.googleapis.com/disks/of/golden.tar.gz' });
    expect(body?.guestOsFeatures).toEqual(guestOsFeatures);
    await removeFully(adapter, target('Image', resource));
  });

  test('a machine’s own image has to be there, and of its architecture', async () => {
    const image = { name: 'x', architecture: 'x86_64' as const, user: 'admin', custom: 'global/images/none' };
    const call = adapter.ensure(gcp.want(fresh(), 1, { image }), context());
    expect((await errorOf(call, 'Invalid')).details.field).toBe('/image/custom');
  });
});

describe('a zone that Google cannot reach', () => {
  test('A11: makes the list incomplete, and its silence is not absence', async () => {
    const resource = fresh();
    await ensureReady(adapter, gcp.want(resource, 1));
    gcp.simulator.faults.set({ kind: 'unreachable', zone: 'us-central1-b' });
    const { items, complete } = await listAll(adapter, gcp.broker);
    expect(complete).toBe(false);
    expect(items.filter(({ location: at }) => at.zone === 'us-central1-b')).toEqual([]);
    // Which attempt is not said, so it is searched for.
    const { attempt: _, ...stamp } = stampOf(resource);
    for (const call of [
      adapter.observe({ kind: 'Instance', stamp, location: { region: 'us-central1' } }),
      adapter.remove({ kind: 'Instance', stamp, location: { region: 'us-central1' } }, context()),
    ])
      expect((await errorOf(call, 'Unavailable')).details.providerCode).toBe('UNREACHABLE');
    gcp.faults.clear();
    expect(await listAll(adapter, gcp.broker)).toMatchObject({ complete: true });
    await removeFully(adapter, gcp.target(resource));
  });

  test('does not stand in the way of a machine in another zone', async () => {
    gcp.simulator.faults.set({ kind: 'unreachable', zone: 'us-central1-c' });
    expect(await ensureReady(adapter, gcp.want(fresh(), 1))).toMatchObject({ state: 'ready' });
  });
});
