import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Adapter, Kind, Location, Specs, Stamp, Target, Want } from '../contract.ts';
import { checkRule } from './journal.ts';
import {
  context,
  ensureReady,
  errorOf,
  type Limits,
  listAll,
  now,
  observeSettled,
  removeFully,
  setFault,
  tellRefused,
  truthOf,
} from './probe.ts';
import type { Subject, Truth } from './subject.ts';

export type OtherKind = Exclude<Kind, 'Instance'>;

/** The parts of a resource under test that its kind does not give by itself. */
export interface Life<K extends OtherKind> {
  kind: K;
  /** The verb by which such a one is made. */
  madeBy: 'create' | 'publish' | 'fromSnapshot' | 'import';
  /** What the subject would need for it and has not, for a person. */
  lacks?(subject: Subject): string | undefined;
  /** Tells it from another life of the kind, in the titles of its rules. */
  variant?: string;
  /** The least that it must be; read when a rule runs, since it names what it stands on. Two attempts may exist at once. */
  spec(attempt: number): Specs[K];
  location(): Location;
}

export function wantOf<K extends OtherKind>(
  subject: Subject,
  life: Life<K>,
  resource: string,
  attempt = 1,
  change: Partial<Specs[K]> = {},
): Want<K> {
  const stamp: Stamp = { broker: subject.broker, project: 'conformance', resource, attempt };
  const spec = { ...life.spec(attempt), ...change };
  return { kind: life.kind, spec, stamp, location: life.location() } as unknown as Want<K>;
}

export function targetOf<K extends OtherKind>(
  subject: Subject,
  life: Life<K>,
  resource: string,
  attempt?: number,
): Target<K> {
  const stamp = { broker: subject.broker, project: 'conformance', resource, attempt };
  return { kind: life.kind, stamp, location: life.location() };
}

/** The objects that stand for the resource: one, where all is well. */
export async function mainsOf(subject: Subject, resource: string): Promise<Truth[]> {
  return (await truthOf(subject, resource)).filter(({ kind }) => kind !== undefined);
}

/**
 * The rules that hold for the life of a resource of any kind but Instance, each with resources of its own. What does not
 * concern the making of it (attaching, growing, rules) is in kinds.ts.
 */
export function lifeRules<K extends OtherKind>(
  subjectNow: () => Subject,
  life: Life<K>,
  limits: Limits,
): void {
  const { kind } = life;
  const rule = (title: string, check: (subject: Subject, adapter: Adapter) => Promise<void>) =>
    checkRule(
      { suite: limits.suite, kind, title: life.variant ? `${title} (${life.variant})` : title },
      async () => {
        const subject = subjectNow();
        subject.faults.clear();
        const adapter = await subject.adapter();
        if (await canLive(subject, adapter, life)) await check(subject, adapter);
      },
      limits.testMs,
    );
  /** Removes it, and sees that nothing is left. */
  const end = async (subject: Subject, adapter: Adapter, resource: string, since?: string) => {
    subject.faults.clear();
    await removeFully(adapter, { ...targetOf(subject, life, resource), since });
    expect(await truthOf(subject, resource).then(ofBroker(subject))).toEqual([]);
  };

  rule(
    'A1, A3, A11, A12: made once by two callers, stamped, listed, and known by its stamp alone',
    async (subject, adapter) => {
      const resource = randomUUID();
      const want = wantOf(subject, life, resource);
      const both = await Promise.allSettled([
        adapter.ensure(want, context()),
        (await subject.adapter()).ensure(want, context()),
      ]);
      for (const one of both)
        if (one.status === 'rejected')
          await errorOf(Promise.reject(one.reason), 'Conflict', 'OutcomeUnknown', 'Unavailable');
      const born = await ensureReady(adapter, want);
      expect(born).toMatchObject({ state: 'ready', diff: [], stamp: want.stamp });
      expect((await ensureReady(await subject.adapter(), want)).ref).toBe(born.ref);
      expect((await mainsOf(subject, resource)).map(({ ref }) => ref)).toEqual([born.ref]);
      for (const thing of await truthOf(subject, resource))
        expect(thing).toMatchObject({ broker: subject.broker, resource, attempt: 1 });

      const { items, complete } = await listAll(adapter, subject.broker);
      expect(complete).toBe(true);
      const ours = items.filter((item) => item.stamp.resource === resource);
      expect(ours.filter((item) => !item.child)).toMatchObject([{ ref: born.ref, kind }]);
      expect(ours.map(({ ref }) => ref).sort()).toEqual(
        (await truthOf(subject, resource)).map(({ ref }) => ref).sort(),
      );

      const seen = await (await subject.adapter()).observe(targetOf(subject, life, resource), want);
      expect(seen).toMatchObject({
        presence: 'present',
        ref: born.ref,
        state: 'ready',
        diff: [],
        stamp: want.stamp,
      });
      await end(subject, adapter, resource);
    },
  );

  rule('A2: a new attempt is another one, and the old one goes alone', async (subject, adapter) => {
    const resource = randomUUID();
    const first = await ensureReady(adapter, wantOf(subject, life, resource, 1));
    const second = await ensureReady(adapter, wantOf(subject, life, resource, 2));
    expect(second.ref).not.toBe(first.ref);
    await removeFully(adapter, { ...targetOf(subject, life, resource, 1), ref: first.ref });
    expect((await mainsOf(subject, resource)).map(({ ref }) => ref)).toEqual([second.ref]);
    await end(subject, adapter, resource);
  });

  rule('A8: a lost answer is found by the stamp and adopted, never made again', async (subject, adapter) => {
    if (!setFault(subject, 'A8', { kind: 'responseLost' }, kind)) return;
    const resource = randomUUID();
    const since = now();
    const outcome = await adapter
      .ensure(wantOf(subject, life, resource), context())
      .catch((error: unknown) => error);
    if (outcome instanceof Error) await errorOf(Promise.reject(outcome), 'OutcomeUnknown');
    const target = { ...targetOf(subject, life, resource, 1), since };
    expect(await observeSettled(await subject.adapter(), target)).toMatchObject({ presence: 'present' });
    await ensureReady(await subject.adapter(), wantOf(subject, life, resource));
    expect(await mainsOf(subject, resource)).toHaveLength(1);
    await end(subject, adapter, resource);
  });

  rule('A1: a request that never arrived is made good by repeating it, once', async (subject, adapter) => {
    if (!setFault(subject, 'A1', { kind: 'requestLost' }, kind)) return;
    const resource = randomUUID();
    const outcome = await adapter
      .ensure(wantOf(subject, life, resource), context())
      .catch((error: unknown) => error);
    if (outcome instanceof Error) await errorOf(Promise.reject(outcome), 'OutcomeUnknown', 'Unavailable');
    await ensureReady(adapter, wantOf(subject, life, resource));
    expect(await mainsOf(subject, resource)).toHaveLength(1);
    await end(subject, adapter, resource);
  });

  rule(
    'A6: what cannot be seen yet is not absent, not made twice, and not forgotten by remove',
    async (subject, adapter) => {
      if (!setFault(subject, 'A6', { kind: 'lag', lists: 3 }, kind)) return;
      const resource = randomUUID();
      const lost = setFault(subject, 'A6', { kind: 'responseLost' }, kind);
      const outcome = await adapter
        .ensure(wantOf(subject, life, resource), context())
        .catch((error: unknown) => error);
      if (outcome instanceof Error) await errorOf(Promise.reject(outcome), 'OutcomeUnknown');
      // From here on it is young: a slow machine may take longer than the grace period for the call itself.
      const since = now();
      if (lost) {
        const seen = await adapter.observe({ ...targetOf(subject, life, resource, 1), since });
        expect(seen.presence).not.toBe('absent');
      }
      await ensureReady(await subject.adapter(), wantOf(subject, life, resource));
      expect(await mainsOf(subject, resource)).toHaveLength(1);
      await end(subject, adapter, resource, since);
    },
  );

  rule('A7: an exhausted quota is QuotaExceeded, and leaves nothing', async (subject, adapter) => {
    if (!setFault(subject, 'A7', { kind: 'quota' }, kind)) return;
    const resource = randomUUID();
    const error = await errorOf(adapter.ensure(wantOf(subject, life, resource), context()), 'QuotaExceeded');
    expect(error.message).not.toBe('');
    expect(await mainsOf(subject, resource)).toEqual([]);
    await end(subject, adapter, resource);
  });

  rule(
    'A10: a cancelled ensure comes back soon, and what exists stays to be seen',
    async (subject, adapter) => {
      const resource = randomUUID();
      const since = now();
      setFault(subject, 'A10', { kind: 'latency', ms: 200, times: 100 });
      const cancel = new AbortController();
      const call = adapter
        .ensure(wantOf(subject, life, resource), context(cancel.signal))
        .catch((error: unknown) => error);
      await sleep(250);
      cancel.abort(new Error('cancelled by the suite'));
      const asked = Date.now();
      const ended = await call;
      expect(Date.now() - asked).toBeLessThan(limits.cancelMs);
      if (ended instanceof Error && ended !== cancel.signal.reason) await errorOf(Promise.reject(ended));
      subject.faults.clear();
      const seen = await observeSettled(adapter, { ...targetOf(subject, life, resource, 1), since });
      const mains = (await mainsOf(subject, resource)).map(({ ref }) => ref);
      expect(mains).toEqual(seen.presence === 'present' ? [seen.ref] : []);
      await end(subject, adapter, resource, since);
    },
  );

  rule(
    'A5: remove and list leave alone what lacks the stamp or carries another broker’s',
    async (subject, adapter) => {
      for (const broker of [undefined, `other-${randomUUID()}`]) {
        const foreign = await subject.plantForeign(randomUUID(), broker, kind);
        const outcome = await adapter
          .remove({ ...targetOf(subject, life, randomUUID(), 1), ref: foreign }, context())
          .catch((error: unknown) => error);
        if (outcome instanceof Error)
          await errorOf(Promise.reject(outcome), 'Conflict', 'Denied', 'NotFound');
        expect((await listAll(adapter, subject.broker)).items.map(({ ref }) => ref)).not.toContain(foreign);
        expect((await subject.truth()).map(({ ref }) => ref)).toContain(foreign);
      }
    },
  );

  rule('A4: removing it again, or what never was, succeeds', async (subject, adapter) => {
    const resource = randomUUID();
    const born = await ensureReady(adapter, wantOf(subject, life, resource));
    setFault(subject, 'A4', { kind: 'slowDelete', ms: 500 }, kind);
    await end(subject, adapter, resource, now());
    const target = { ...targetOf(subject, life, resource, 1), ref: born.ref };
    expect(await adapter.remove(target, context())).toEqual({ done: true });
    expect(await observeSettled(adapter, target)).toEqual({ presence: 'absent' });
    expect(await adapter.remove(targetOf(subject, life, randomUUID(), 1), context())).toEqual({ done: true });
  });
}

const ofBroker =
  (subject: Subject) =>
  (things: Truth[]): Truth[] =>
    things.filter(({ broker }) => broker === subject.broker);

/** Whether the adapter, and the subject, can have one; says why not. */
export async function canLive<K extends OtherKind>(
  subject: Subject,
  adapter: Adapter,
  { kind, madeBy, lacks }: Life<K>,
): Promise<boolean> {
  if (!(await can(adapter, kind, madeBy))) return false;
  const lacking = lacks?.(subject);
  if (lacking) tellRefused(`${kind} ${madeBy}`, lacking);
  return lacking === undefined;
}

/** Whether the adapter can; says why not. */
export async function can(adapter: Adapter, kind: Kind, verb: string): Promise<boolean> {
  const capability = (await adapter.describe()).capabilities.find((each) => each.kind === kind);
  const able = (capability?.verbs as Record<string, true | { reason: string }> | undefined)?.[verb];
  if (able === true) return true;
  tellRefused(`${kind} ${verb}`, able?.reason ?? 'not described');
  return false;
}
