import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Adapter, Kind, Target, Want } from '../contract.ts';
import { isNotOurs, isProviderError } from '../errors.ts';
import { adoption, detailsShown, discoverAll, targetOfWant } from './adopting.ts';
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

/** Releases until it is done. */
export async function releaseFully(adapter: Adapter, target: Target): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    try {
      const released = await adapter.release(target, context());
      if (released.done) return;
      await sleep(Math.min(released.retryAfterMs, 2000));
    } catch (error) {
      if (!isProviderError(error, 'OutcomeUnknown') && !isProviderError(error, 'Unavailable')) throw error;
      await sleep(200);
    }
  }
  throw new Error('the release was never done');
}

/**
 * What the contract says of `release`, for one kind.
 * @param made what is wanted of one that is made and then released.
 * @param rule registers a test, as the suite does.
 */
export function releasingRules(
  subjectOf: () => Subject,
  kind: Kind,
  made: (resource: string) => Want<Kind>,
  rule: (title: string, check: () => Promise<void>) => void,
): void {
  /** Registers a rule; where the provider does not release the kind it says why, and the rule is that it refuses. */
  const whereItCan = (title: string, check: (subject: Subject, adapter: Adapter) => Promise<void>) =>
    rule(title, async () => {
      const subject = subjectOf();
      const adapter = await subject.adapter();
      const { capabilities } = await adapter.describe();
      const able = capabilities.find((capability) => capability.kind === kind)?.verbs.release;
      if (able === true) return check(subject, adapter);
      const reason = able?.reason ?? 'no such verb';
      tellRefused(kind === 'Instance' ? 'release' : `${kind} release`, reason);
      const target = { ...subject.target(randomUUID(), 1), kind };
      expect((await errorOf(adapter.release(target, context()), 'Invalid')).message).toContain(reason);
    });
  const refsOf = (things: { ref: string }[]) => things.map(({ ref }) => ref).sort();

  whereItCan(
    'release: what we made goes on without our stamp, with all that was made for it, and can be adopted',
    async (subject, adapter) => {
      if (kind === 'Instance' && subject.losesReleased) return tellRefused('release', subject.losesReleased);
      const resource = randomUUID();
      const wanted = made(resource);
      const born = await ensureReady(adapter, wanted);
      const target = { ...targetOfWant(wanted, born.ref), location: born.location };
      const there = refsOf(await truthOf(subject, resource));
      expect(there).toContain(born.ref);
      await releaseFully(adapter, target);
      // A call that is repeated, as after a worker that was killed: there is nothing left to take off.
      expect(await (await subject.adapter()).release(target, context())).toEqual({ done: true });

      const truth = await subject.truth();
      expect(truth.filter((thing) => thing.resource === resource)).toEqual([]);
      expect(refsOf(truth)).toEqual(expect.arrayContaining(there));
      const { items } = await listAll(adapter, subject.broker);
      expect(items.filter(({ stamp }) => stamp.resource === resource)).toEqual([]);
      // Not ours any more, so that removing it touches nothing (A5). By its name it may still be seen that it is another's.
      const seen = await adapter.observe({ ...target, ref: undefined }).catch((error: unknown) => error);
      expect(isNotOurs(seen) ? { presence: 'absent' } : seen).toEqual({ presence: 'absent' });
      await removeFully(adapter, { ...target, ref: undefined }).catch((error: unknown) => {
        if (!isNotOurs(error)) throw error;
      });
      expect(refsOf(await subject.truth())).toEqual(expect.arrayContaining(there));
      const [found] = await discoverAll(adapter, subject, kind, born.ref);
      expect(found).toMatchObject({ kind, ref: born.ref });
      expect(born.details).toMatchObject(detailsShown(found!));
      expect(found?.refused).toBeUndefined();

      const again = randomUUID();
      const want = adoption<Kind>(subject, again, found!);
      const adopted = await adapter.adopt(want, context());
      expect(adopted).toMatchObject({ ref: born.ref, stamp: want.stamp });
      if ('addresses' in born.details)
        expect(adopted.details).toMatchObject({ addresses: born.details.addresses });
      await removeFully(adapter, targetOfWant(want, born.ref));
      expect((await subject.truth()).map(({ ref }) => ref)).not.toContain(born.ref);
    },
  );

  whereItCan(
    'release: one that was adopted is again as it was before, and only what is ours is taken off',
    async (subject, adapter) => {
      const ref = await subject.plantForeign(randomUUID(), undefined, kind);
      const [before] = await discoverAll(adapter, subject, kind, ref);
      const want = adoption<Kind>(subject, randomUUID(), before!);
      await adapter.adopt(want, context());
      const target = targetOfWant(want, ref);
      const someoneElses = { ...target, stamp: { ...target.stamp, resource: randomUUID() } };
      await adapter.release(someoneElses, context()).catch((error: unknown) => {
        if (!isNotOurs(error)) throw error;
      });
      const ours = await truthOf(subject, want.stamp.resource);
      expect(ours).toContainEqual(expect.objectContaining({ ref, broker: subject.broker }));
      await releaseFully(adapter, target);
      expect(await discoverAll(adapter, subject, kind, ref)).toEqual([before]);
    },
  );

  whereItCan(
    'A5, A7: a release that is throttled says so, and what carries another’s stamp keeps it',
    async (subject, adapter) => {
      const owner = randomUUID();
      const theirs = await subject.plantForeign(owner, `other-${randomUUID()}`, kind);
      const target = { ...subject.target(owner, 1), kind, ref: theirs };
      if (setFault(subject, 'A7', { kind: 'throttle', retryAfterMs: 1000, times: 50 })) {
        const error = await errorOf(adapter.release(target, context()), 'Throttled');
        expect(error.details.retryAfterMs).toBeGreaterThan(0);
        subject.faults.clear();
      }
      await releaseFully(adapter, target);
      const still = (await subject.truth()).find((thing) => thing.ref === theirs);
      expect(still).toMatchObject({ resource: owner });
      expect(still?.broker).not.toBe(subject.broker);
    },
  );

  whereItCan(
    'release: whoever else carries it out at the same time, it is done once for all',
    async (subject, adapter) => {
      const ref = await subject.plantForeign(randomUUID(), undefined, kind);
      const [before] = await discoverAll(adapter, subject, kind, ref);
      const want = adoption<Kind>(subject, randomUUID(), before!);
      await adapter.adopt(want, context());
      const target = targetOfWant(want, ref);
      await Promise.all([1, 2].map(async () => releaseFully(await subject.adapter(), target)));
      expect(await discoverAll(adapter, subject, kind, ref)).toEqual([before]);
    },
  );
}
