import { randomUUID } from 'node:crypto';
import type { Adapter, Kind, Location, Present, Specs, Want } from '../contract.ts';
import { imageOf } from '../kinds.ts';
import { adoptingRules, adoption, discoverAll } from './adopting.ts';
import { importingRules } from './importing.ts';
import { checkRule } from './journal.ts';
import { can, type Life, lifeRules, mainsOf, type OtherKind, targetOf, wantOf } from './lives.ts';
import {
  type Conditions,
  context,
  defaultConditions,
  ensureReady,
  errorOf,
  listAll,
  removeFully,
  truthOf,
} from './probe.ts';
import { releaseFully, releasingRules } from './releasing.ts';
import type { Subject } from './subject.ts';

const labels = { purpose: 'conformance' };

/**
 * The contract for every kind but Instance, over one estate that grows as the tests run: a network with a firewall, an
 * instance in it, a volume with a snapshot, an address, an image. A verb that `describe()` refuses is said aloud and left out.
 * @param conditions `volumeGiB`: the smallest volume worth making (default 10). `octet`: networks are 10.`octet`.0.0/16 and the next
 * (default 90); where they take the machine's own routes, runs beside each other need different ones.
 */
export function kindsSuite(
  name: string,
  makeSubject: () => Promise<Subject>,
  conditions: Partial<Conditions> & { volumeGiB?: number; octet?: number } = {},
): void {
  const limits = { ...defaultConditions, ...conditions, suite: name };
  const volumeGiB = conditions.volumeGiB ?? 10;
  const prefixOf = (attempt: number) => `10.${(conditions.octet ?? 90) + attempt - 1}`;

  describe(`${name} adapter conformance, other kinds`, () => {
    let subject: Subject;
    let adapter: Adapter;
    beforeAll(async () => {
      subject = await makeSubject();
      adapter = await subject.adapter();
      // A provider that publishes no instance may still have images of its own.
      if (!(await can(adapter, 'Image', 'publish'))) lives.Image.madeBy = 'fromSnapshot';
    }, limits.setupMs);
    afterEach(() => subject?.faults.clear());
    afterAll(() => subject?.close(), limits.setupMs);

    const step = (kind: Kind, title: string, check: () => Promise<void>) =>
      checkRule({ suite: name, kind, title }, check, limits.testMs);
    const base = (): Location => subject.want(randomUUID(), 1).location;
    /** Resources of the estate, by what they are. */
    const ids = {
      network: randomUUID(),
      firewall: randomUUID(),
      instance: randomUUID(),
      volume: randomUUID(),
      snapshot: randomUUID(),
      restored: randomUUID(),
      address: randomUUID(),
      image: randomUUID(),
    };
    const estate: {
      network?: Present<'Network'>;
      firewall?: Present<'Firewall'>;
      instance?: Present;
      volume?: Present<'Volume'>;
      snapshot?: Present<'Snapshot'>;
    } = {};
    const standing = <T>(found: T | undefined, what: string): T => {
      if (!found) throw new Error(`the ${what} that this stands on was not made`);
      return found;
    };
    const firewallRules: Specs['Firewall']['rules'] = [
      { protocol: 'tcp', ports: { from: 22, to: 22 }, sources: ['0.0.0.0/0'] },
      { protocol: 'icmp', sources: ['10.0.0.0/8'] },
    ];
    const lives: { [K in OtherKind]: Life<K> } = {
      Network: {
        kind: 'Network',
        madeBy: 'create',
        // Where all networks share one host, no two have the same addresses.
        spec: (attempt) => ({
          name: 'net',
          labels,
          cidr: `${prefixOf(attempt)}.0.0/16`,
          subnets: [{ name: 'a', cidr: `${prefixOf(attempt)}.1.0/24` }],
        }),
        location: base,
      },
      Firewall: {
        kind: 'Firewall',
        madeBy: 'create',
        spec: () => ({
          name: 'web',
          labels,
          network: standing(estate.network, 'network').ref,
          rules: firewallRules,
        }),
        location: () => standing(estate.network, 'network').location,
      },
      Volume: {
        kind: 'Volume',
        madeBy: 'create',
        spec: () => ({ name: 'data', labels, sizeGiB: volumeGiB, type: 'standard' }),
        location: () => standing(estate.instance, 'instance').location,
      },
      Snapshot: {
        kind: 'Snapshot',
        madeBy: 'create',
        spec: () => ({ name: 'before', labels, volume: standing(estate.volume, 'volume').ref }),
        location: () => standing(estate.volume, 'volume').location,
      },
      Address: { kind: 'Address', madeBy: 'create', spec: () => ({ name: 'front', labels }), location: base },
      Image: {
        kind: 'Image',
        madeBy: 'publish',
        spec: () => ({
          name: 'golden',
          labels,
          source:
            lives.Image.madeBy === 'publish'
              ? { instance: standing(estate.instance, 'instance').ref }
              : { snapshot: standing(estate.snapshot, 'snapshot').ref },
          architecture: 'x86_64',
        }),
        location: () => standing(estate.instance, 'instance').location,
      },
    };
    const make = <K extends OtherKind>(life: Life<K>, resource: string, change?: Partial<Specs[K]>) =>
      ensureReady(adapter, wantOf(subject, life, resource, 1, change));
    const see = <K extends OtherKind>(life: Life<K>, resource: string, want?: Want<K>) =>
      adapter.observe(targetOf(subject, life, resource, 1), want);
    const gone = async <K extends OtherKind>(life: Life<K>, resource: string) => {
      if (!(await can(adapter, life.kind, life.madeBy))) return;
      await removeFully(adapter, targetOf(subject, life, resource));
      expect(await truthOf(subject, resource)).toEqual([]);
    };

    const adoptRules = <K extends OtherKind>(life: Life<K>) => {
      const rule = (title: string, check: () => Promise<void>) => step(life.kind, title, check);
      adoptingRules(() => subject, life.kind, rule);
      const made = (resource: string) => wantOf(subject, life, resource) as unknown as Want<Kind>;
      releasingRules(() => subject, life.kind, made, rule);
    };
    /** One that is attached is released and adopted, and stays attached until it is wanted otherwise. */
    const adoptAttached = async (
      kind: 'Volume' | 'Address',
      make: (attachedTo: string) => Promise<Present<'Volume' | 'Address'>>,
    ) => {
      for (const verb of ['attach', 'release', 'adopt', 'detach'])
        if (!(await can(adapter, kind, verb))) return;
      const attachedTo = standing(estate.instance, 'instance').ref;
      const { ref, stamp, location } = await make(attachedTo);
      await releaseFully(adapter, { kind, stamp, location, ref });
      const [found] = await discoverAll(adapter, subject, kind, ref);
      expect(found).toMatchObject({ ref, attachedTo });
      expect(found?.refused).toBeUndefined();
      const want = adoption<'Volume'>(subject, randomUUID(), found!);
      expect(await adapter.adopt(want, context())).toMatchObject({ ref, details: { attachedTo } });
      const settled = { ...want, adopted: { ref, settled: true } };
      expect(await ensureReady(adapter, settled)).toMatchObject({ ref, diff: [], details: { attachedTo } });
      const loose = { ...settled, spec: { ...want.spec, attachedTo: undefined } };
      expect((await ensureReady(adapter, loose)).details.attachedTo).toBeUndefined();
      await removeFully(adapter, { kind, stamp: want.stamp, location });
      expect((await subject.truth()).map((thing) => thing.ref)).not.toContain(ref);
    };

    describe('network', () => {
      lifeRules(() => subject, lives.Network, limits);
      adoptRules(lives.Network);
      step('Network', 'adopt: an instance is made in one, which does not go from under it', async () => {
        for (const verb of ['create', 'release', 'adopt']) if (!(await can(adapter, 'Network', verb))) return;
        const { ref, stamp, location } = await make(lives.Network, randomUUID());
        await releaseFully(adapter, { kind: 'Network', stamp, location, ref });
        const [found] = await discoverAll(adapter, subject, 'Network', ref);
        const want = adoption<'Network'>(subject, randomUUID(), found!);
        await adapter.adopt(want, context());
        const settled = { ...want, adopted: { ref, settled: true } };
        const { details } = await ensureReady(adapter, settled);
        const subnet = details.subnets[0]?.ref ?? '';
        const machine = subject.want(randomUUID(), 1, { network: { ref, subnet } });
        const { addresses } = (await ensureReady(adapter, machine)).details;
        expect(addresses.find(({ type }) => type === 'internal')?.address).toMatch(`${prefixOf(1)}.1.`);

        const target = { kind: 'Network', stamp: want.stamp, location: want.location } as const;
        const there = (await truthOf(subject, want.stamp.resource)).map((thing) => thing.ref);
        const refused = await adapter.remove(target, context()).catch((error: unknown) => error);
        if (refused instanceof Error) await errorOf(Promise.reject(refused), 'Conflict');
        else expect(refused).toMatchObject({ done: false });
        // It stays whole.
        expect((await subject.truth()).map((thing) => thing.ref)).toEqual(expect.arrayContaining(there));
        await removeFully(adapter, subject.target(machine.stamp.resource));
        await removeFully(adapter, target);
        expect(await truthOf(subject, want.stamp.resource)).toEqual([]);
        expect((await subject.truth()).map((thing) => thing.ref)).not.toContain(ref);
      });
      step('Network', 'a network has its subnets, each with its reference', async () => {
        if (!(await can(adapter, 'Network', 'create'))) return;
        estate.network = await make(lives.Network, ids.network);
        const { cidr, subnets } = estate.network.details;
        expect(cidr).toBe(`${prefixOf(1)}.0.0/16`);
        expect(subnets).toMatchObject([{ name: 'a', cidr: `${prefixOf(1)}.1.0/24` }]);
        expect(subnets[0]?.ref).toBeTruthy();
      });
      step('Network', 'a network whose subnet lies outside it is refused, and nothing is made', async () => {
        if (!(await can(adapter, 'Network', 'create'))) return;
        const resource = randomUUID();
        const want = wantOf(subject, lives.Network, resource, 1, {
          subnets: [{ name: 'a', cidr: '192.168.0.0/24' }],
        });
        await errorOf(adapter.ensure(want, context()), 'Invalid');
        await gone(lives.Network, resource);
      });
    });

    describe('firewall', () => {
      lifeRules(() => subject, lives.Firewall, limits);
      adoptRules(lives.Firewall);
      step('Firewall', 'the rules follow what is wanted, on the same firewall', async () => {
        if (!(await can(adapter, 'Firewall', 'create'))) return;
        const born = await make(lives.Firewall, ids.firewall);
        expect(new Set(born.details.rules)).toEqual(new Set(firewallRules));
        estate.firewall = born;
        if (!(await can(adapter, 'Firewall', 'update'))) return;
        const rules: Specs['Firewall']['rules'] = [
          { protocol: 'tcp', ports: { from: 22, to: 22 }, sources: ['0.0.0.0/0'] },
          { protocol: 'udp', ports: { from: 5000, to: 5010 }, sources: ['10.1.0.0/16', '10.2.0.0/16'] },
        ];
        const want = wantOf(subject, lives.Firewall, ids.firewall, 1, { rules });
        expect(await see(lives.Firewall, ids.firewall, want)).toMatchObject({ diff: ['rules'] });
        const changed = await ensureReady(adapter, want);
        expect(changed).toMatchObject({ ref: born.ref, diff: [] });
        expect(changed.details.rules).toHaveLength(2);
        expect(await see(lives.Firewall, ids.firewall, want)).toMatchObject({ diff: [] });
        estate.firewall = await make(lives.Firewall, ids.firewall);
      });
    });

    step('Instance', 'an instance is made in the network, behind the firewall', async () => {
      const { network, firewall } = estate;
      const subnet = network?.details.subnets[0]?.ref;
      const want = subject.want(ids.instance, 1, {
        ...(network && subnet ? { network: { ref: network.ref, subnet } } : {}),
        ...(firewall ? { firewalls: [firewall.ref] } : {}),
      });
      estate.instance = await ensureReady(adapter, want);
      expect(estate.instance).toMatchObject({ diff: [], details: { power: 'running' } });
      if (network) {
        const inside = estate.instance.details.addresses.find(({ type }) => type === 'internal');
        expect(inside?.address.startsWith(`${prefixOf(1)}.1.`)).toBe(true);
      }
      if (!firewall) return;
      const without = subject.want(ids.instance, 1, { ...want.spec, firewalls: [] });
      expect(await adapter.observe(subject.target(ids.instance, 1), without)).toMatchObject({
        diff: ['firewalls'],
      });
      expect(await ensureReady(adapter, without)).toMatchObject({ ref: estate.instance.ref, diff: [] });
      expect(await ensureReady(adapter, want)).toMatchObject({ ref: estate.instance.ref, diff: [] });
    });

    describe('volume', () => {
      lifeRules(() => subject, lives.Volume, limits);
      adoptRules(lives.Volume);
      step('Volume', 'a volume is attached, seen on its instance, grown, detached', async () => {
        if (!(await can(adapter, 'Volume', 'create'))) return;
        const instance = standing(estate.instance, 'instance');
        estate.volume = await make(lives.Volume, ids.volume);
        expect(estate.volume.details).toMatchObject({ sizeGiB: volumeGiB });
        expect(estate.volume.details.attachedTo).toBeUndefined();
        let change: Partial<Specs['Volume']> = {};
        if (await can(adapter, 'Volume', 'attach')) {
          change = { attachedTo: instance.ref };
          const want = wantOf(subject, lives.Volume, ids.volume, 1, change);
          expect(await see(lives.Volume, ids.volume, want)).toMatchObject({ diff: ['attachedTo'] });
          const attached = await ensureReady(adapter, want);
          expect(attached).toMatchObject({ ref: estate.volume.ref, diff: [], details: change });
          expect(await ensureReady(await subject.adapter(), want)).toMatchObject({ details: change });
          // It is nobody's child: the instance's own list of children has not got it.
          const machine = (await adapter.observe(subject.target(ids.instance, 1))) as Present;
          expect(machine.details.children).not.toContain(attached.ref);
        }
        if (await can(adapter, 'Volume', 'grow')) {
          change = { ...change, sizeGiB: volumeGiB + 2 };
          const grown = await make(lives.Volume, ids.volume, change);
          expect(grown).toMatchObject({ ref: estate.volume.ref, diff: [], details: change });
        }
        if (await can(adapter, 'Volume', 'detach')) {
          const { attachedTo: _, ...rest } = change;
          const loose = await make(lives.Volume, ids.volume, rest);
          expect(loose.details.attachedTo).toBeUndefined();
          await make(lives.Volume, ids.volume, change);
        }
      });
    });

    step('Volume', 'adopt: one that is attached stays so until it is wanted otherwise', () =>
      adoptAttached('Volume', (attachedTo) => make(lives.Volume, randomUUID(), { attachedTo })),
    );
    describe('snapshot', () => {
      lifeRules(() => subject, lives.Snapshot, limits);
      adoptRules(lives.Snapshot);
      step(
        'Snapshot',
        'a snapshot is made of an attached volume, and a volume from the snapshot',
        async () => {
          if (!(await can(adapter, 'Snapshot', 'create'))) return;
          estate.snapshot = await make(lives.Snapshot, ids.snapshot);
          expect(estate.snapshot.details.sizeGiB).toBeGreaterThanOrEqual(volumeGiB);
          if (!(await can(adapter, 'Volume', 'restore'))) return;
          const sizeGiB = volumeGiB + 4;
          const restored = await make(lives.Volume, ids.restored, { snapshot: estate.snapshot.ref, sizeGiB });
          expect(restored).toMatchObject({ state: 'ready', details: { sizeGiB } });
          await gone(lives.Volume, ids.restored);
        },
      );
      step('Snapshot', 'a snapshot of what is not there is refused', async () => {
        if (!(await can(adapter, 'Snapshot', 'create'))) return;
        const resource = randomUUID();
        // The last digits: the first ones may be those of an account.
        const unknown = standing(estate.volume, 'volume').ref.replace(
          /[0-9a-f]{6}(?!.*[0-9a-f]{6})/,
          '000000',
        );
        const want = wantOf(subject, lives.Snapshot, resource, 1, { volume: unknown });
        await errorOf(adapter.ensure(want, context()), 'NotFound', 'Invalid');
        await gone(lives.Snapshot, resource);
      });
    });

    // Before an address stays attached: a machine may have room for one.
    step('Address', 'adopt: one that is attached stays so until it is wanted otherwise', () =>
      adoptAttached('Address', (attachedTo) => make(lives.Address, randomUUID(), { attachedTo })),
    );

    describe('address', () => {
      lifeRules(() => subject, lives.Address, limits);
      adoptRules(lives.Address);
      step('Address', 'an address keeps its number while it is attached and detached', async () => {
        if (!(await can(adapter, 'Address', 'create'))) return;
        const born = await make(lives.Address, ids.address);
        expect(born.details.address).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
        if (!(await can(adapter, 'Address', 'attach'))) return;
        const attachedTo = standing(estate.instance, 'instance').ref;
        const attached = await make(lives.Address, ids.address, { attachedTo });
        expect(attached).toMatchObject({
          ref: born.ref,
          diff: [],
          details: { attachedTo, address: born.details.address },
        });
        const machine = (await adapter.observe(subject.target(ids.instance, 1))) as Present;
        expect(machine.details.addresses).toContainEqual({ type: 'external', address: born.details.address });
        if (!(await can(adapter, 'Address', 'detach'))) return;
        const loose = await make(lives.Address, ids.address);
        expect(loose.details).toMatchObject({ address: born.details.address });
        expect(loose.details.attachedTo).toBeUndefined();
        await make(lives.Address, ids.address, { attachedTo });
      });
    });

    describe('image', () => {
      lifeRules(() => subject, lives.Image, limits);
      adoptRules(lives.Image);
      step('Image', 'an image is published from an instance, and an instance made from it', async () => {
        if (!(await can(adapter, 'Image', 'publish'))) return;
        const image = await make(lives.Image, ids.image);
        expect(await make(lives.Image, ids.image)).toMatchObject({ ref: image.ref });
        expect((await mainsOf(subject, ids.image)).map(({ ref }) => ref)).toEqual([image.ref]);
        const resource = randomUUID();
        const of = imageOf(subject.want(resource, 1));
        const custom = { name: 'golden', architecture: of.architecture, user: of.user, custom: image.ref };
        expect(await ensureReady(adapter, subject.want(resource, 1, { image: custom }))).toMatchObject({
          state: 'ready',
        });
        await removeFully(adapter, subject.target(resource));
        expect(await truthOf(subject, resource)).toEqual([]);
      });
      importingRules(() => subject, { labels, location: base }, limits);
      step('Image', 'an image is made from a snapshot', async () => {
        if (!(await can(adapter, 'Image', 'fromSnapshot'))) return;
        const resource = randomUUID();
        const snapshot = standing(estate.snapshot, 'snapshot').ref;
        expect(await make(lives.Image, resource, { source: { snapshot } })).toMatchObject({ state: 'ready' });
        await gone(lives.Image, resource);
      });
    });

    step(
      'Network',
      'A4: what others still use is refused with Conflict or waits, and goes once they are gone',
      async () => {
        if (estate.network && estate.instance) {
          const refused = await adapter
            .remove(targetOf(subject, lives.Network, ids.network), context())
            .catch((error: unknown) => error);
          if (refused instanceof Error) await errorOf(Promise.reject(refused), 'Conflict');
          else expect(refused).toMatchObject({ done: false });
        }
        await removeFully(adapter, subject.target(ids.instance));
        expect(await truthOf(subject, ids.instance)).toEqual([]);
        // What was attached outlives the instance, unattached.
        for (const [life, id] of [
          [lives.Volume, ids.volume],
          [lives.Address, ids.address],
        ] as const) {
          if ((await mainsOf(subject, id)).length === 0) continue;
          const seen = await see(life as Life<'Volume'>, id);
          expect(seen).toMatchObject({ presence: 'present' });
          expect((seen as Present<'Volume'>).details.attachedTo).toBeUndefined();
        }
        await gone(lives.Image, ids.image);
        // A snapshot does not need its volume.
        await gone(lives.Volume, ids.volume);
        if (estate.snapshot)
          expect(await see(lives.Snapshot, ids.snapshot)).toMatchObject({ presence: 'present' });
        await gone(lives.Snapshot, ids.snapshot);
        await gone(lives.Address, ids.address);
        await gone(lives.Firewall, ids.firewall);
        await gone(lives.Network, ids.network);
        const { items } = await listAll(adapter, subject.broker);
        expect(items).toEqual([]);
      },
    );
  });
}
