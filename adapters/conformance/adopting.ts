import { randomUUID } from 'node:crypto';
import type { Adapter, Kind, Specs, Target, Want } from '../contract.ts';
import type { Unmanaged } from '../discovery.ts';
import { can } from './lives.ts';
import {
  context,
  ensureReady,
  errorOf,
  listAll,
  removeFully,
  setFault,
  tellRefused,
  truthOf,
} from './probe.ts';
import type { Subject } from './subject.ts';

/** Everything of a kind that the adapter discovers, over all pages, or the object of this reference. */
export async function discoverAll(
  adapter: Adapter,
  subject: Subject,
  kind: Kind,
  ref?: string,
): Promise<Unmanaged[]> {
  const found: Unmanaged[] = [];
  let page: string | undefined;
  for (let pages = 0; pages < 1000; pages += 1) {
    const query = { kind, broker: subject.broker, page, ...(ref ? { ref } : {}) } as const;
    const answer = await adapter.discover(query, context());
    expect(answer.complete).toBe(true);
    found.push(...answer.items);
    page = answer.nextPage;
    if (page === undefined) return found;
  }
  throw new Error('the discovery has no end');
}

/** What is wanted of something that is to be adopted: what it is. */
export function adoption<K extends Kind>(subject: Subject, resource: string, found: Unmanaged): Want<K> {
  const { kind, ref, location, diskGiB = 0, volume = '', attachedTo, cidr = '', subnets = [] } = found;
  const { spec, stamp } = subject.want(resource, 1);
  const { image: _, ...machine } = spec;
  const named = { name: 'adopted', labels: {} };
  const specs: { [P in Kind]?: Specs[P] } = {
    Instance: { ...machine, sshKeys: [] },
    Volume: { ...named, sizeGiB: diskGiB, type: 'standard', attachedTo },
    Snapshot: { ...named, volume },
    Image: { ...named, architecture: found.architecture ?? 'x86_64' },
    Network: { ...named, cidr, subnets },
    Address: { ...named, attachedTo },
  };
  if (!specs[kind]) throw new Error(`the suite does not know what is wanted of a ${kind} that exists`);
  const want = { kind, spec: specs[kind], stamp, location, adopted: { ref, settled: false } };
  return want as unknown as Want<K>;
}

/** What is looked for of what a want wants. */
export function targetOfWant<K extends Kind>(want: Want<K>, ref?: string): Target<K> {
  const { kind, stamp, location } = want as Want<Kind>;
  return { kind, stamp, location, ...(ref === undefined ? {} : { ref }) } as Target<K>;
}

/** What a discovery says of a thing, in the words of its details. */
export function detailsShown(found: Unmanaged): Record<string, unknown> {
  const { kind, power, instanceType, vcpus, memoryGiB, diskGiB, attachedTo, addresses } = found;
  if (kind === 'Network') return { cidr: found.cidr, subnets: found.subnets };
  if (kind === 'Instance') return { power, instanceType, vcpus, memoryGiB };
  return {
    ...(diskGiB === undefined ? {} : { sizeGiB: diskGiB }),
    ...(attachedTo === undefined ? {} : { attachedTo }),
    ...(kind === 'Address' ? { address: addresses[0]?.address } : {}),
  };
}

/**
 * What the contract says of `discover` and `adopt`, for one kind. What is adopted is planted as somebody else would make it.
 * @param rule registers a test, as the suite does.
 */
export function adoptingRules(
  subjectOf: () => Subject,
  kind: Kind,
  rule: (title: string, check: () => Promise<void>) => void,
): void {
  /** Registers a rule; where the provider does not adopt the kind it says why, and the rule is that it refuses. */
  const whereItCan = (title: string, check: (subject: Subject, adapter: Adapter) => Promise<void>) =>
    rule(title, async () => {
      const subject = subjectOf();
      const adapter = await subject.adapter();
      const { capabilities } = await adapter.describe();
      const able = capabilities.find((capability) => capability.kind === kind)?.verbs.adopt;
      if (able === true) return check(subject, adapter);
      const reason = able?.reason ?? 'no such verb';
      tellRefused(kind === 'Instance' ? 'adopt' : `${kind} adopt`, reason);
      const { message } = await errorOf(
        adapter.discover({ kind, broker: subject.broker }, context()),
        'Invalid',
      );
      expect(message).toContain(reason);
    });
  const plant = (subject: Subject, resource = randomUUID(), broker?: string) =>
    subject.plantForeign(resource, broker, kind);
  const all = (adapter: Adapter, subject: Subject, ref?: string) => discoverAll(adapter, subject, kind, ref);

  whereItCan('discover: shows what lacks our stamp, and nothing of ours', async (subject, adapter) => {
    const theirs = await plant(subject);
    const ours = randomUUID();
    const planted = await plant(subject, ours, subject.broker);
    const found = await all(adapter, subject);
    expect(found.map(({ ref }) => ref)).not.toContain(planted);
    const shown = found.find(({ ref }) => ref === theirs);
    expect(shown).toMatchObject({ kind, ref: theirs, labels: expect.anything() });
    expect(shown?.refused).toBeUndefined();
    expect(shown?.location.region).not.toBe('');
    expect(await all(adapter, subject, theirs)).toEqual([shown]);
    expect(await all(adapter, subject, planted)).toEqual([]);
    const cancelled = AbortSignal.abort(new Error('cancelled by the suite'));
    const ended = adapter.discover({ kind, broker: subject.broker }, context(cancelled));
    // One that asks once may have its answer all the same.
    await ended.catch((error: unknown) => expect(error).toBe(cancelled.reason));
    await removeFully(adapter, { ...subject.target(ours, 1), kind, location: shown!.location, ref: planted });
  });

  whereItCan(
    'A7, A11: a discovery that is throttled says so, and one that fails is never whole',
    async (subject, adapter) => {
      const query = { kind, broker: subject.broker } as const;
      if (setFault(subject, 'A7', { kind: 'throttle', retryAfterMs: 1000, times: 50 })) {
        // Where places are read one by one, the one that is throttled is left out, and the page says that it is not whole.
        const outcome = await adapter.discover(query, context()).catch((error: unknown) => error);
        if (outcome instanceof Error)
          expect((await errorOf(Promise.reject(outcome), 'Throttled')).details.retryAfterMs).toBeGreaterThan(
            0,
          );
        else expect(outcome).toMatchObject({ complete: false });
        subject.faults.clear();
      }
      const ref = await plant(subject);
      const [found] = await all(adapter, subject, ref);
      const want = adoption<Kind>(subject, randomUUID(), found!);
      if (setFault(subject, 'A7', { kind: 'throttle', retryAfterMs: 1000, times: 50 })) {
        await errorOf(adapter.adopt(want, context()), 'Throttled');
        subject.faults.clear();
        expect((await subject.truth()).find((thing) => thing.ref === ref)?.broker).not.toBe(subject.broker);
      }
      expect(await adapter.adopt(want, context())).toMatchObject({ ref, stamp: want.stamp });
      await removeFully(adapter, targetOfWant(want, ref));
      expect((await subject.truth()).map((thing) => thing.ref)).not.toContain(ref);
    },
  );

  whereItCan(
    'adopt: only stamps; twice is once; from then on it is ours, and can be removed',
    async (subject, adapter) => {
      const ref = await plant(subject);
      const before = (await subject.truth()).map((thing) => thing.ref).sort();
      const [found] = await all(adapter, subject, ref);
      const resource = randomUUID();
      const want = adoption<Kind>(subject, resource, found!);
      const adopted = await adapter.adopt(want, context());
      expect(adopted).toMatchObject({ presence: 'present', ref, stamp: want.stamp, diff: [] });
      expect(adopted.details).toMatchObject(detailsShown(found!));
      const again = await (await subject.adapter()).adopt(want, context());
      expect(again).toMatchObject({ ref, stamp: want.stamp, details: adopted.details });
      expect((await subject.truth()).map((thing) => thing.ref).sort()).toEqual(before);

      expect(await all(adapter, subject, ref)).toEqual([]);
      expect((await all(adapter, subject)).map((item) => item.ref)).not.toContain(ref);
      const { items } = await listAll(adapter, subject.broker);
      const mine = items.filter((item) => item.stamp.resource === resource && !item.child);
      expect(mine).toMatchObject([{ ref, stamp: want.stamp, kind }]);
      const target = targetOfWant(want);
      const seen = await adapter.observe(target);
      expect(seen).toMatchObject({ presence: 'present', ref, state: 'ready' });
      expect(seen.presence === 'present' && seen.details).toMatchObject(detailsShown(found!));

      await removeFully(adapter, target);
      expect((await truthOf(subject, resource)).filter(({ broker }) => broker === subject.broker)).toEqual(
        [],
      );
      // What was adopted and is gone is not made anew.
      await errorOf(
        adapter.ensure({ ...want, adopted: { ref, settled: true } } as Want<Kind>, context()),
        'NotFound',
        'Conflict',
      );
      expect(await truthOf(subject, resource)).toEqual([]);
      await errorOf(adapter.adopt(want, context()), 'NotFound');
    },
  );

  const forMachines: typeof whereItCan = kind === 'Instance' ? whereItCan : () => {};
  forMachines(
    'adopt: a volume of ours is attached to an adopted machine and detached from it, as from any other',
    async (subject, adapter) => {
      if (!(await can(adapter, 'Volume', 'attach'))) return;
      const ref = await plant(subject);
      const [found] = await all(adapter, subject, ref);
      const machine: Want = adoption(subject, randomUUID(), found!);
      const { location } = await adapter.adopt(machine, context());
      const resource = randomUUID();
      const stamp = { ...machine.stamp, resource };
      const wanted = (attachedTo?: string): Want<'Volume'> => ({
        kind: 'Volume',
        spec: { name: 'data', labels: {}, sizeGiB: 10, type: 'standard', attachedTo },
        stamp,
        location,
      });
      const attached = await ensureReady(adapter, wanted(ref));
      expect(attached).toMatchObject({ diff: [], details: { attachedTo: ref } });
      const target = { kind: 'Volume', stamp, location } as const;
      expect(await adapter.observe(target)).toMatchObject({ details: { attachedTo: ref } });
      expect((await ensureReady(adapter, wanted())).details.attachedTo).toBeUndefined();
      await removeFully(adapter, target);
      await removeFully(adapter, { ...subject.target(machine.stamp.resource, 1), location, ref });
      expect((await subject.truth()).map((thing) => thing.ref)).not.toContain(ref);
    },
  );

  whereItCan(
    'adopt: what carries another’s stamp is shown with the reason, and refused',
    async (subject, adapter) => {
      const owner = randomUUID();
      const ref = await plant(subject, owner, `other-${randomUUID()}`);
      const [found] = await all(adapter, subject, ref);
      expect(found?.refused).toMatch(/Landfall/);
      await errorOf(adapter.adopt(adoption<Kind>(subject, randomUUID(), found!), context()), 'Conflict');
      const still = (await subject.truth()).find((thing) => thing.ref === ref);
      expect(still).toMatchObject({ resource: owner });
      expect(still?.broker).not.toBe(subject.broker);
    },
  );

  whereItCan(
    'adopt: of several who adopt at once one gets it, and it stays theirs',
    async (subject, adapter) => {
      for (let round = 0; round < 3; round += 1) {
        const ref = await plant(subject);
        const [found] = await all(adapter, subject, ref);
        const wants = [1, 2, 3].map(() => adoption<Kind>(subject, randomUUID(), found!));
        const ended = await Promise.allSettled(
          wants.map(async (want) => (await subject.adapter()).adopt(want, context())),
        );
        for (const one of ended)
          if (one.status === 'rejected') await errorOf(Promise.reject(one.reason), 'Conflict');
        const winners = wants.filter((_, index) => ended[index]?.status === 'fulfilled');
        expect(winners).toHaveLength(1);
        const { resource } = winners[0]!.stamp;
        expect((await subject.truth()).find((thing) => thing.ref === ref)).toMatchObject({
          broker: subject.broker,
          resource,
        });
        await removeFully(adapter, { ...subject.target(resource, 1), kind, location: found!.location });
      }
    },
  );
}
