import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkRule } from './journal.ts';
import {
  context,
  ensureReady,
  errorOf,
  type Limits,
  listAll,
  machinesOf,
  now,
  observeSettled,
  removeFully,
  setFault,
  truthOf,
} from './probe.ts';
import type { Subject } from './subject.ts';

/** The rules about what goes wrong while something is created. */
export function createRules(subjectNow: () => Subject, limits: Limits): void {
  const rule = (title: string, check: (subject: Subject) => Promise<void>) =>
    checkRule({ suite: limits.suite, kind: 'Instance', title }, () => check(subjectNow()), limits.testMs);

  rule(
    'A8, A2: a lost answer is an unknown outcome, found by the stamp and adopted; a new attempt is a new machine',
    async (subject) => {
      const resource = randomUUID();
      const adapter = await subject.adapter();
      const since = now();
      if (setFault(subject, 'A8', { kind: 'responseLost' })) {
        const outcome = await adapter
          .ensure(subject.want(resource, 1), context())
          .catch((error: unknown) => error);
        // An adapter that can find out by itself what became of the call need not ask its caller to.
        if (outcome instanceof Error) await errorOf(Promise.reject(outcome), 'OutcomeUnknown');
        subject.faults.clear();
        const seen = await observeSettled(adapter, { ...subject.target(resource, 1), ref: undefined, since });
        expect(seen).toMatchObject({ presence: 'present', stamp: { resource, attempt: 1 } });
        expect(await machinesOf(subject, resource)).toHaveLength(1);
      }
      const first = await ensureReady(await subject.adapter(), subject.want(resource, 1));
      expect((await machinesOf(subject, resource)).map((machine) => machine.ref)).toEqual([first.ref]);

      const second = await ensureReady(adapter, subject.want(resource, 2));
      expect(second.ref).not.toBe(first.ref);
      expect(second.stamp.attempt).toBe(2);
      await removeFully(adapter, { ...subject.target(resource, 1), ref: first.ref, since: undefined });
      expect((await machinesOf(subject, resource)).map((machine) => machine.ref)).toEqual([second.ref]);
      for (const thing of await truthOf(subject, resource)) expect(thing.attempt).toBe(2);
      await removeFully(adapter, { ...subject.target(resource), ref: undefined, since: undefined });
      expect(await truthOf(subject, resource)).toEqual([]);
    },
  );

  rule('A1: a request that never arrived is made good by repeating it, once', async (subject) => {
    const resource = randomUUID();
    const adapter = await subject.adapter();
    if (!setFault(subject, 'A1', { kind: 'requestLost' })) return;
    const outcome = await adapter
      .ensure(subject.want(resource, 1), context())
      .catch((error: unknown) => error);
    if (outcome instanceof Error) await errorOf(Promise.reject(outcome), 'OutcomeUnknown', 'Unavailable');
    subject.faults.clear();
    await ensureReady(adapter, subject.want(resource, 1));
    expect(await machinesOf(subject, resource)).toHaveLength(1);
    await removeFully(adapter, subject.target(resource, 1));
    expect(await truthOf(subject, resource)).toEqual([]);
  });

  rule('A1: a create that arrives twice makes one machine', async (subject) => {
    const resource = randomUUID();
    const adapter = await subject.adapter();
    if (!setFault(subject, 'A1', { kind: 'duplicate' })) return;
    const born = await ensureReady(adapter, subject.want(resource, 1));
    subject.faults.clear();
    expect((await ensureReady(adapter, subject.want(resource, 1))).ref).toBe(born.ref);
    expect((await machinesOf(subject, resource)).map((machine) => machine.ref)).toEqual([born.ref]);
    await removeFully(adapter, subject.target(resource, 1));
    expect(await truthOf(subject, resource)).toEqual([]);
  });

  rule(
    'A4, A11: a machine that comes back after it was deleted is listed, and goes for good when removed again',
    async (subject) => {
      const resource = randomUUID();
      const adapter = await subject.adapter();
      if (!setFault(subject, 'A4', { kind: 'deleteReturns', ms: 400 })) return;
      const born = await ensureReady(adapter, subject.want(resource, 1));
      await removeFully(adapter, { ...subject.target(resource, 1), ref: born.ref });
      await sleep(800);
      // The list is what the sweep goes by. A remove that waited it out leaves nothing to list.
      const { items } = await listAll(adapter, subject.broker);
      const listed = items.filter((item) => item.stamp.resource === resource).map((item) => item.ref);
      expect(listed.sort()).toEqual((await truthOf(subject, resource)).map((thing) => thing.ref).sort());
      await removeFully(adapter, subject.target(resource, 1));
      expect(await truthOf(subject, resource)).toEqual([]);
    },
  );

  rule(
    'A1, A6, A11: a provider’s clock that is ahead or behind makes nothing absent, hidden or made twice',
    async (subject) => {
      // More than the fifteen minutes by which a signature may be off at AWS.
      for (const ms of [20 * 60_000, -20 * 60_000]) {
        const resource = randomUUID();
        // What a client learns of the provider's clock this one does not know yet.
        const adapter = await subject.adapter();
        if (!setFault(subject, 'A6', { kind: 'clockSkew', ms })) return;
        setFault(subject, 'A6', { kind: 'lag', lists: 2 });
        const since = now();
        const born = await ensureReady(adapter, subject.want(resource, 1));
        expect(
          await adapter.observe({ ...subject.target(resource, 1), ref: undefined, since }),
        ).toMatchObject({
          presence: 'present',
          ref: born.ref,
        });
        const { items } = await listAll(adapter, subject.broker);
        const listed = items.filter((item) => item.stamp.resource === resource && !item.child);
        expect(listed.map(({ ref }) => ref)).toEqual([born.ref]);
        expect(await machinesOf(subject, resource)).toHaveLength(1);
        const { visibilityGraceMs } = await adapter.describe();
        const old = new Date(Date.now() - visibilityGraceMs - 60_000).toISOString();
        const never = subject.target(randomUUID(), 1);
        expect(await adapter.observe({ ...never, since: old })).toEqual({ presence: 'absent' });
        if (visibilityGraceMs > 0)
          expect(await adapter.observe({ ...never, since: now() })).toMatchObject({ presence: 'unsettled' });
        await removeFully(adapter, { ...subject.target(resource, 1), since });
        expect(await truthOf(subject, resource)).toEqual([]);
      }
    },
  );

  rule(
    'A6: what is young and cannot be seen is unsettled, what is old and cannot be seen is absent',
    async (subject) => {
      const adapter = await subject.adapter();
      const { visibilityGraceMs } = await adapter.describe();
      const target = subject.target(randomUUID(), 1);
      const long = new Date(Date.now() - visibilityGraceMs - 60_000).toISOString();
      expect(await adapter.observe({ ...target, since: long })).toEqual({ presence: 'absent' });
      // Without a grace period what is made is visible at once, and there is nothing to be unsettled about.
      if (visibilityGraceMs > 0)
        expect(await adapter.observe({ ...target, since: now() })).toMatchObject({ presence: 'unsettled' });
    },
  );

  rule(
    'A6: a machine that cannot be seen yet is never absent, made twice or forgotten by remove',
    async (subject) => {
      const resource = randomUUID();
      const adapter = await subject.adapter();
      if (!setFault(subject, 'A6', { kind: 'lag', lists: 4 })) return;
      const lost = setFault(subject, 'A6', { kind: 'responseLost' });
      const outcome = await adapter
        .ensure(subject.want(resource, 1), context())
        .catch((error: unknown) => error);
      if (outcome instanceof Error) await errorOf(Promise.reject(outcome), 'OutcomeUnknown');
      // From here on it is young: a slow machine may take longer than the grace period for the call itself.
      const since = now();
      if (lost) {
        const seen = await adapter.observe({ ...subject.target(resource, 1), ref: undefined, since });
        expect(seen.presence).not.toBe('absent');
        await ensureReady(await subject.adapter(), subject.want(resource, 1));
      }
      expect(await machinesOf(subject, resource)).toHaveLength(1);
      await removeFully(adapter, { ...subject.target(resource, 1), since });

      // Removed right after a lost create, before anyone could see it.
      const unseen = randomUUID();
      if (setFault(subject, 'A6', { kind: 'responseLost' })) {
        await adapter
          .ensure(subject.want(unseen, 1), context())
          .catch((error: unknown) => errorOf(Promise.reject(error)));
        await removeFully(adapter, { ...subject.target(unseen, 1), ref: undefined, since: now() });
        expect(await truthOf(subject, unseen)).toEqual([]);
      }
      expect(await truthOf(subject, resource)).toEqual([]);
    },
  );

  for (const [kind, code] of [
    ['capacity', 'CapacityExhausted'],
    ['quota', 'QuotaExceeded'],
  ] as const)
    rule(`A7: no ${kind} is ${code}, and removing cleans up after it`, async (subject) => {
      const resource = randomUUID();
      const adapter = await subject.adapter();
      if (!setFault(subject, 'A7', { kind })) return;
      const error = await errorOf(adapter.ensure(subject.want(resource, 1), context()), code);
      expect(error.message).not.toBe('');
      expect(await machinesOf(subject, resource)).toEqual([]);
      await removeFully(adapter, subject.target(resource, 1));
      expect(await truthOf(subject, resource)).toEqual([]);
    });

  rule('A7: an error is one of the table, and names the field that is wrong', async (subject) => {
    const adapter = await subject.adapter();
    const image = { name: 'no-such-image', architecture: 'x86_64' as const, user: 'nobody' };
    const error = await errorOf(
      adapter.ensure(subject.want(randomUUID(), 1, { image }), context()),
      'Invalid',
    );
    expect(error.details.field).toMatch(/^\/image/);
  });

  for (const n of [1, 2, 3])
    rule(
      `A9: when child ${n} fails, the error names what was made, and remove leaves nothing of it`,
      async (subject) => {
        const resource = randomUUID();
        const adapter = await subject.adapter();
        if (!setFault(subject, 'A9', { kind: 'failChild', n })) return;
        const outcome = await adapter
          .ensure(subject.want(resource, 1), context())
          .catch((error: unknown) => error);
        if (outcome instanceof Error) {
          const error = await errorOf(Promise.reject(outcome));
          const made = error.details.made ?? [];
          for (const thing of await truthOf(subject, resource)) expect(made).toContain(thing.ref);
        } else expect(outcome).toMatchObject({ presence: 'present' });
        subject.faults.clear();
        await removeFully(adapter, subject.target(resource, 1));
        expect(await truthOf(subject, resource)).toEqual([]);
      },
    );

  rule(
    'A10: a cancelled ensure comes back within one interval and leaves what exists observable',
    async (subject) => {
      const resource = randomUUID();
      const adapter = await subject.adapter();
      const since = now();
      setFault(subject, 'A10', { kind: 'latency', ms: 300, times: 100 });
      const cancel = new AbortController();
      let beats = 0;
      const call = adapter
        .ensure(
          subject.want(resource, 1),
          context(cancel.signal, () => {
            beats += 1;
          }),
        )
        .then(
          (present) => ({ present }),
          (error: unknown) => ({ error }),
        );
      // In the middle of it: the machine is there, and much is still to be asked.
      let over = false;
      void call.then(() => {
        over = true;
      });
      while (!over && (await machinesOf(subject, resource)).length === 0) await sleep(20);
      cancel.abort(new Error('cancelled by the suite'));
      const asked = Date.now();
      const ended = await call;
      expect(Date.now() - asked).toBeLessThan(limits.cancelMs);
      // The caller's own reason may come back, else an error of the table, else what there is so far.
      if ('error' in ended && ended.error !== cancel.signal.reason)
        await errorOf(Promise.reject(ended.error));
      const settled = beats;
      subject.faults.clear();
      await sleep(300);
      expect(beats).toBe(settled);

      const seen = await observeSettled(adapter, { ...subject.target(resource, 1), ref: undefined, since });
      const machines = await machinesOf(subject, resource);
      if (seen.presence === 'present') expect(machines.map((machine) => machine.ref)).toEqual([seen.ref]);
      else expect(machines).toEqual([]);
      await removeFully(adapter, { ...subject.target(resource, 1), since });
      expect(await truthOf(subject, resource)).toEqual([]);
    },
  );
}
