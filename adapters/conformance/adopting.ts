import { randomUUID } from 'node:crypto';
import type { Adapter, Want } from '../contract.ts';
import type { Unmanaged } from '../discovery.ts';
import { context, errorOf, listAll, removeFully, tellRefused, truthOf } from './probe.ts';
import type { Subject } from './subject.ts';

/** Everything of a kind that the adapter discovers, over all pages, or the object of this reference. */
async function discoverAll(adapter: Adapter, subject: Subject, ref?: string): Promise<Unmanaged[]> {
  const found: Unmanaged[] = [];
  let page: string | undefined;
  for (let pages = 0; pages < 1000; pages += 1) {
    const query = { kind: 'Instance', broker: subject.broker, page, ...(ref ? { ref } : {}) } as const;
    const answer = await adapter.discover(query, context());
    expect(answer.complete).toBe(true);
    found.push(...answer.items);
    page = answer.nextPage;
    if (page === undefined) return found;
  }
  throw new Error('the discovery has no end');
}

/**
 * What the contract says of `discover` and `adopt`. Machines are planted as somebody else would make them.
 * @param rule registers a test, as the suite does.
 */
export function adoptingRules(
  subjectOf: () => Subject,
  rule: (title: string, check: () => Promise<void>) => void,
): void {
  /** Registers a rule; where the provider adopts nothing it says why, and the rule is that it refuses. */
  const whereItCan = (title: string, check: (subject: Subject, adapter: Adapter) => Promise<void>) =>
    rule(title, async () => {
      const subject = subjectOf();
      const adapter = await subject.adapter();
      const { capabilities } = await adapter.describe();
      const able = capabilities.find(({ kind }) => kind === 'Instance')?.verbs.adopt;
      if (able === true) return check(subject, adapter);
      tellRefused('adopt', able?.reason ?? 'no such verb');
      await errorOf(adapter.discover({ kind: 'Instance', broker: subject.broker }, context()), 'Invalid');
    });
  const adoption = (subject: Subject, resource: string, { ref, location }: Unmanaged): Want<'Instance'> => {
    const { spec, ...want } = subject.want(resource, 1);
    const { image: _, ...rest } = spec;
    return { ...want, spec: { ...rest, sshKeys: [] }, location, adopted: { ref, settled: false } };
  };
  const stateOf = ({ power, instanceType, vcpus, memoryGiB }: Partial<Unmanaged>) => ({
    power,
    instanceType,
    vcpus,
    memoryGiB,
  });

  whereItCan('discover: shows what lacks our stamp, and nothing of ours', async (subject, adapter) => {
    const theirs = await subject.plantForeign(randomUUID());
    const ours = randomUUID();
    const planted = await subject.plantForeign(ours, subject.broker);
    const found = await discoverAll(adapter, subject);
    expect(found.map(({ ref }) => ref)).not.toContain(planted);
    const shown = found.find(({ ref }) => ref === theirs);
    expect(shown).toMatchObject({ kind: 'Instance', ref: theirs, labels: expect.anything() });
    expect(shown?.refused).toBeUndefined();
    expect(shown?.location.region).not.toBe('');
    expect(await discoverAll(adapter, subject, theirs)).toEqual([shown]);
    expect(await discoverAll(adapter, subject, planted)).toEqual([]);
    const cancelled = AbortSignal.abort(new Error('cancelled by the suite'));
    const ended = adapter.discover({ kind: 'Instance', broker: subject.broker }, context(cancelled));
    // One that asks once may have its answer all the same.
    await ended.catch((error: unknown) => expect(error).toBe(cancelled.reason));
    await removeFully(adapter, subject.target(ours, 1));
  });

  whereItCan(
    'adopt: only stamps; twice is once; from then on it is ours, and can be removed',
    async (subject, adapter) => {
      const ref = await subject.plantForeign(randomUUID());
      const before = (await subject.truth()).map((thing) => thing.ref).sort();
      const [found] = await discoverAll(adapter, subject, ref);
      const resource = randomUUID();
      const want = adoption(subject, resource, found!);
      const adopted = await adapter.adopt(want, context());
      expect(adopted).toMatchObject({ presence: 'present', ref, stamp: want.stamp, diff: [] });
      expect(stateOf(adopted.details)).toEqual(stateOf(found!));
      const again = await (await subject.adapter()).adopt(want, context());
      expect(again).toMatchObject({ ref, stamp: want.stamp, details: adopted.details });
      expect((await subject.truth()).map((thing) => thing.ref).sort()).toEqual(before);

      expect(await discoverAll(adapter, subject, ref)).toEqual([]);
      expect((await discoverAll(adapter, subject)).map((item) => item.ref)).not.toContain(ref);
      const { items } = await listAll(adapter, subject.broker);
      const mine = items.filter((item) => item.stamp.resource === resource && !item.child);
      expect(mine).toMatchObject([{ ref, stamp: want.stamp, kind: 'Instance' }]);
      const target = { ...subject.target(resource, 1), location: want.location };
      const seen = await adapter.observe(target);
      expect(seen).toMatchObject({ presence: 'present', ref, state: 'ready' });
      expect(seen.presence === 'present' && stateOf(seen.details)).toEqual(stateOf(found!));

      await removeFully(adapter, target);
      expect((await truthOf(subject, resource)).filter(({ broker }) => broker === subject.broker)).toEqual(
        [],
      );
      // It had no image of ours: what was adopted and is gone is not made anew.
      await errorOf(
        adapter.ensure({ ...want, adopted: { ref, settled: true } }, context()),
        'NotFound',
        'Conflict',
      );
      expect(await truthOf(subject, resource)).toEqual([]);
      await errorOf(adapter.adopt(want, context()), 'NotFound');
    },
  );

  whereItCan(
    'adopt: what carries another’s stamp is shown with the reason, and refused',
    async (subject, adapter) => {
      const owner = randomUUID();
      const ref = await subject.plantForeign(owner, `other-${randomUUID()}`);
      const [found] = await discoverAll(adapter, subject, ref);
      expect(found?.refused).toMatch(/Landfall/);
      await errorOf(adapter.adopt(adoption(subject, randomUUID(), found!), context()), 'Conflict');
      const still = (await subject.truth()).find((thing) => thing.ref === ref);
      expect(still).toMatchObject({ resource: owner });
      expect(still?.broker).not.toBe(subject.broker);
    },
  );

  whereItCan(
    'adopt: of several who adopt at once one gets it, and it stays theirs',
    async (subject, adapter) => {
      for (let round = 0; round < 3; round += 1) {
        const ref = await subject.plantForeign(randomUUID());
        const [found] = await discoverAll(adapter, subject, ref);
        const wants = [1, 2, 3].map(() => adoption(subject, randomUUID(), found!));
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
        await removeFully(adapter, { ...subject.target(resource, 1), location: found!.location });
      }
    },
  );
}
