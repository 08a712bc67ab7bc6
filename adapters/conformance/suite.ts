import { randomUUID } from 'node:crypto';
import type { Adapter, Capability, Present, Verb } from '../contract.ts';
import { adoptingRules } from './adopting.ts';
import { createRules } from './creating.ts';
import { interruptingRules } from './interrupting.ts';
import { checkRule } from './journal.ts';
import {
  type Conditions,
  context,
  defaultConditions,
  ensureReady,
  errorOf,
  listAll,
  machinesOf,
  now,
  observeSettled,
  removeFully,
  setFault,
  tellRefused,
  truthOf,
} from './probe.ts';
import { releasingRules } from './releasing.ts';
import type { Subject } from './subject.ts';

export type { Conditions } from './probe.ts';

/**
 * The rules A1–A13 of the adapter contract as tests: what every adapter has to pass. One instance serves most of them;
 * the rules about creating make a few more. A fault that the provider cannot have is said aloud, and the rest of the
 * rule is checked without it.
 * @param conditions how long things may take, and what a resize changes.
 */
export function conformanceSuite(
  name: string,
  makeSubject: () => Promise<Subject>,
  conditions: Partial<Conditions> = {},
): void {
  const limits = { ...defaultConditions, ...conditions, suite: name };
  const rule = (title: string, check: () => Promise<void>) =>
    checkRule({ suite: name, kind: 'Instance', title }, check, limits.testMs);

  describe(`${name} adapter conformance`, () => {
    let subject: Subject;
    let adapter: Adapter;

    beforeAll(async () => {
      subject = await makeSubject();
      adapter = await subject.adapter();
    }, limits.setupMs);
    afterEach(() => subject?.faults.clear());
    afterAll(() => subject?.close(), limits.setupMs);

    createRules(() => subject, limits);

    describe('one instance', () => {
      const resource = randomUUID();
      let born: Present;
      const want = (change?: Parameters<Subject['want']>[2]) => subject.want(resource, 1, change);
      const target = () => subject.target(resource, 1);

      rule('A1: ensure by two callers at once, and repeated, yields one resource', async () => {
        const other = await subject.adapter();
        const both = await Promise.allSettled([
          adapter.ensure(want(), context()),
          other.ensure(want(), context()),
        ]);
        for (const one of both)
          if (one.status === 'rejected')
            await errorOf(Promise.reject(one.reason), 'Conflict', 'OutcomeUnknown', 'Unavailable');
        born = await ensureReady(adapter, want());
        for (const one of both) if (one.status === 'fulfilled') expect(one.value.ref).toBe(born.ref);
        expect((await ensureReady(await subject.adapter(), want())).ref).toBe(born.ref);
        expect((await machinesOf(subject, resource)).map((machine) => machine.ref)).toEqual([born.ref]);
        expect(born).toMatchObject({ presence: 'present', state: 'ready', diff: [], stamp: want().stamp });
        expect(born.details.power).toBe('running');
      });

      rule('A3: the machine and every child of it carry the stamp', async () => {
        const existing = await truthOf(subject, resource);
        expect(existing.length).toBeGreaterThan(0);
        for (const thing of existing)
          expect(thing).toMatchObject({ broker: subject.broker, resource, attempt: 1 });
        // Nothing of ours may exist without a stamp: whatever the machine names as its child is among the stamped.
        const refs = existing.map((thing) => thing.ref);
        for (const child of born.details.children) expect(refs).toContain(child);
      });

      rule(
        'A11: the list is complete over its pages, children with their parent’s stamp included',
        async () => {
          const { items, complete } = await listAll(adapter, subject.broker);
          expect(complete).toBe(true);
          const ours = items.filter((item) => item.stamp.resource === resource);
          expect(ours.filter((item) => !item.child).map((item) => item.ref)).toEqual([born.ref]);
          for (const item of ours) expect(item.stamp).toEqual(want().stamp);
          const listed = ours.map((item) => item.ref).sort();
          expect(listed).toEqual((await truthOf(subject, resource)).map((thing) => thing.ref).sort());
        },
      );

      rule('A11: a list that fails on the way is not complete', async () => {
        if (!setFault(subject, 'A11', { kind: 'brokenList' })) return;
        const outcome = await listAll(adapter, subject.broker).catch((error: unknown) => error);
        if (outcome instanceof Error) await errorOf(Promise.reject(outcome));
        else expect(outcome).toMatchObject({ complete: false });
        subject.faults.clear();
        expect(await listAll(adapter, subject.broker)).toMatchObject({ complete: true });
      });

      rule('A12: a new adapter object knows everything by the stamp alone', async () => {
        const fresh = await subject.adapter();
        const seen = await fresh.observe({ ...target(), ref: undefined }, want());
        expect(seen).toMatchObject({
          presence: 'present',
          ref: born.ref,
          state: 'ready',
          diff: [],
          stamp: want().stamp,
        });
        const byResource = await fresh.observe({ ...subject.target(resource), ref: undefined });
        expect(byResource).toMatchObject({ presence: 'present', ref: born.ref });
      });

      rule('A7: a throttled call says when to come again', async () => {
        if (!setFault(subject, 'A7', { kind: 'throttle', retryAfterMs: 1000, times: 50 })) return;
        const error = await errorOf(adapter.observe(target()), 'Throttled');
        expect(error.details.retryAfterMs).toBeGreaterThan(0);
        expect(error.message).not.toBe('');
        subject.faults.clear();
        expect(await adapter.observe(target())).toMatchObject({ presence: 'present' });
      });

      rule('A7: a throttled call that names no time is throttled all the same', async () => {
        if (!setFault(subject, 'A7', { kind: 'throttle', times: 50 })) return;
        const error = await errorOf(adapter.observe(target()), 'Throttled');
        expect(error.message).not.toBe('');
        subject.faults.clear();
        expect(await adapter.observe(target())).toMatchObject({ presence: 'present' });
      });

      rule('A5: remove and list leave alone what lacks the stamp or carries another broker’s', async () => {
        for (const broker of [undefined, `other-${randomUUID()}`]) {
          const foreign = await subject.plantForeign(resource, broker);
          const removal = await adapter
            .remove(
              { ...target(), stamp: { ...target().stamp, resource: randomUUID() }, ref: foreign },
              context(),
            )
            .catch((error: unknown) => error);
          if (removal instanceof Error)
            await errorOf(Promise.reject(removal), 'Conflict', 'Denied', 'NotFound');
          const listed = (await listAll(adapter, subject.broker)).items.map((item) => item.ref);
          expect(listed).not.toContain(foreign);
          expect((await subject.truth()).map((thing) => thing.ref)).toContain(foreign);
        }
        expect((await machinesOf(subject, resource)).map((machine) => machine.ref)).toContain(born.ref);
      });

      rule('console: answers at most the bytes asked for', async () => {
        if (!(await can('console'))) return;
        const text = await adapter.console(target(), 64);
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(64);
      });

      rule('reboot: happens once per number, and the number is kept', async () => {
        if (!(await can('reboot'))) return;
        expect((await adapter.observe(target(), want({ reboots: 1 }))) as Present).toMatchObject({
          diff: ['reboots'],
        });
        const rebooted = await ensureReady(adapter, want({ reboots: 1 }));
        expect(rebooted).toMatchObject({
          ref: born.ref,
          details: { power: 'running', reboots: 1 },
          diff: [],
        });
        expect(await ensureReady(await subject.adapter(), want({ reboots: 1 }))).toMatchObject({
          details: { reboots: 1 },
        });
      });

      rule('stop and start: the power follows what is wanted, on the same machine', async () => {
        if (!(await can('stop'))) return;
        const stopped = await ensureReady(adapter, want({ reboots: 1, power: 'stopped' }));
        expect(stopped).toMatchObject({
          ref: born.ref,
          state: 'ready',
          details: { power: 'stopped' },
          diff: [],
        });
        expect(stopped.details.interrupted).toBeUndefined();
        const listed = (await listAll(adapter, subject.broker)).items.find(({ ref }) => ref === born.ref);
        expect(listed?.details?.power ?? listed?.power).toBe('stopped');
        expect(await adapter.observe(target(), want({ reboots: 1 }))).toMatchObject({ diff: ['power'] });
        if (!(await can('start'))) return;
        const started = await ensureReady(adapter, want({ reboots: 1 }));
        expect(started).toMatchObject({ ref: born.ref, details: { power: 'running' }, diff: [] });
      });

      rule('resize: the sizes follow what is wanted, on the same machine', async () => {
        if (!(await can('resize'))) return;
        if (!limits.resize) return tellRefused('resize', 'the conditions name no other size');
        const bigger = want({ reboots: 1, ...limits.resize });
        const before = (await adapter.observe(target(), bigger)) as Present;
        expect(before.diff.length).toBeGreaterThan(0);
        const resized = await ensureReady(adapter, bigger);
        const { instanceType, vcpus, memoryGiB } = bigger.spec;
        expect(resized).toMatchObject({
          ref: born.ref,
          diff: [],
          details: { instanceType, vcpus, memoryGiB, power: 'running' },
        });
      });

      rule('A4: remove is done only when nothing is left, and is repeatable', async () => {
        setFault(subject, 'A4', { kind: 'slowDelete', ms: 1500 });
        await removeFully(adapter, { ...target(), ref: born.ref, since: now() });
        expect(await truthOf(subject, resource).then(ofBroker)).toEqual([]);
        expect(await adapter.remove({ ...target(), ref: born.ref }, context())).toEqual({ done: true });
        expect(await observeSettled(adapter, { ...target(), ref: born.ref })).toEqual({ presence: 'absent' });
        const { items } = await listAll(adapter, subject.broker);
        expect(items.filter((item) => item.stamp.resource === resource)).toEqual([]);
      });

      rule('A4: remove of what never was succeeds', async () => {
        const never = subject.target(randomUUID(), 1);
        expect(await adapter.remove({ ...never, since: undefined }, context())).toEqual({ done: true });
      });

      /** Foreign machines carry the same resource id on purpose. */
      const ofBroker = <T extends { broker?: string }>(things: T[]): T[] =>
        things.filter((thing) => thing.broker === subject.broker);
      const can = async (verb: Verb<'Instance'>): Promise<boolean> => {
        const capability = (await adapter.describe()).capabilities.find(
          (each): each is Capability<'Instance'> => each.kind === 'Instance',
        );
        const able = capability?.verbs[verb];
        if (able === true) return true;
        tellRefused(verb, able?.reason ?? 'no such verb');
        return false;
      };
    });

    adoptingRules(() => subject, 'Instance', rule);
    releasingRules(
      () => subject,
      'Instance',
      (resource) => subject.want(resource, 1),
      rule,
    );
    interruptingRules(() => subject, rule);

    rule('offers: every row has its place, size and architecture', async () => {
      let rows = 0;
      for await (const offer of adapter.offers(context())) {
        rows += 1;
        const sized =
          offer.vcpus > 0 && offer.memoryGiB > 0 && offer.region !== '' && offer.instanceType !== '';
        if (!sized || !['x86_64', 'arm64'].includes(offer.architecture))
          throw new Error(`not an offer: ${JSON.stringify(offer)}`);
        if (offer.pricePerHour !== undefined) expect(offer.pricePerHour).toBeGreaterThanOrEqual(0);
      }
      expect(rows).toBeGreaterThan(0);
    });

    rule('validate: accepts what can be made, refuses what cannot, and makes nothing', async () => {
      const resource = randomUUID();
      await adapter.validate(subject.want(resource, 1));
      const impossible = subject.want(resource, 1, {
        image: { name: 'none', architecture: 'x86_64', user: 'none' },
      });
      await errorOf(adapter.validate(impossible), 'Invalid');
      expect(await truthOf(subject, resource)).toEqual([]);
    });
  });
}
