import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Capability, Interruption } from '../contract.ts';
import { ensureReady, listAll, machinesOf, removeFully, setFault, tellRefused, truthOf } from './probe.ts';
import type { Subject } from './subject.ts';

/** What the contract says of machines that their provider takes away. */
export function interruptingRules(
  subjectNow: () => Subject,
  rule: (title: string, check: () => Promise<void>) => void,
): void {
  rule(
    'A13: a spot machine that its provider took away says so, no longer runs, and makes room for another attempt',
    async () => {
      const subject = subjectNow();
      const adapter = await subject.adapter();
      const instances = (await adapter.describe()).capabilities.find(
        (each): each is Capability<'Instance'> => each.kind === 'Instance',
      );
      const spot = instances?.verbs.spot;
      if (spot !== true) return tellRefused('spot', spot?.reason ?? 'no such verb');
      const resource = randomUUID();
      const born = await ensureReady(adapter, subject.want(resource, 1, { market: 'spot' }));
      expect(born.details.interrupted).toBeUndefined();
      const target = { ...subject.target(resource, 1), ref: born.ref };
      if (!setFault(subject, 'A13', { kind: 'interrupt', ref: born.ref }))
        return removeFully(adapter, target);

      // It may be going for a while; what was told once stays told.
      let told: Interruption | undefined;
      for (let look = 0; ; look++) {
        const seen = await (await subject.adapter()).observe(target);
        if (seen.presence === 'unsettled') throw new Error('a machine that was seen is not young any more');
        told = seen.presence === 'absent' ? seen.interrupted : seen.details.interrupted;
        if (seen.presence === 'absent' || seen.details.power === 'stopped') break;
        if (seen.state !== 'removing') expect(seen.details.power).not.toBe('running');
        if (look > 200) throw new Error('the interruption never came to its end');
        await sleep(50);
      }
      expect(told?.reason).toMatch(/\w/);
      const { items } = await listAll(adapter, subject.broker);
      const listed = items.filter((item) => item.stamp.resource === resource && !item.child);
      for (const { details } of listed) expect(details?.power).not.toBe('running');

      await removeFully(adapter, target);
      expect(await truthOf(subject, resource)).toEqual([]);
      const next = await ensureReady(adapter, subject.want(resource, 2, { market: 'spot' }));
      expect(next.ref).not.toBe(born.ref);
      expect(next.details.interrupted).toBeUndefined();
      expect(await adapter.observe({ ...subject.target(resource, 2), ref: next.ref })).toMatchObject({
        presence: 'present',
        state: 'ready',
        details: { power: 'running' },
      });
      expect((await machinesOf(subject, resource)).map(({ ref }) => ref)).toEqual([next.ref]);
      await removeFully(adapter, { ...subject.target(resource, 2), ref: next.ref });
    },
  );
}
