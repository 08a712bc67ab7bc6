import type {
  CallContext,
  Details,
  Kind,
  KindAdapter,
  Location,
  Observation,
  Present,
  Removal,
  Specs,
  Stamp,
  Target,
  Want,
} from '@landfall/adapters/contract.ts';
import { ProviderError } from '@landfall/adapters/errors.ts';
import { asProviderError, placing } from './create.ts';
import { exclusively } from './exclusive.ts';
import { allHeld, type Held, type HeldKind, heldUuid, readHeld, removeHeld, writeHeld } from './held.ts';
import { isUuid } from './identity.ts';
import { graceLeft, matches } from './lookup.ts';
import { sameLabels } from './observation.ts';
import { pause } from './pause.ts';
import type { Setting } from './setting.ts';
import { checkCommon, invalid } from './wanted-machine.ts';

const lookAgainMs = 1000;

/** What is peculiar to a kind: the rest of the contract is the same for all that this host holds in folders. */
export interface HeldPlan<K extends HeldKind> {
  kind: K;
  /** Throws `Invalid` for what could never be right here. */
  check(spec: Specs[K]): void;
  /** Before anything is made: throws where what the spec names is not there, or there is no room. */
  admit(want: Want<K>, uuid: string): Promise<void>;
  /** Is still there what was made outside the folder? Absent = nothing was. */
  stands?(held: Held<K>): Promise<boolean>;
  /** Makes what is not there yet; finds what an interrupted call left. Answers the record with what came out. */
  make(held: Held<K>, signal: AbortSignal): Promise<Held<K>>;
  /** Brings what exists to the spec, its labels apart. */
  converge?(held: Held<K>, spec: Specs[K], signal: AbortSignal): Promise<Held<K>>;
  details(held: Held<K>): Promise<Details[K]>;
  /** Fields that differ, labels apart. */
  diff(details: Details[K], spec: Specs[K]): string[];
  /** Who uses it, as people know them. */
  users(held: Held<K>): Promise<string[]>;
  /** Undoes what is not in the folder; false while that goes on. */
  undo?(held: Held<K>): Promise<boolean>;
}

/** `creating` until all of it was made, and again where a part of it went. */
export async function stateOfHeld<K extends HeldKind>(
  plan: HeldPlan<K>,
  held: Held<K>,
): Promise<'creating' | 'ready'> {
  if (!held.record.made) return 'creating';
  return plan.stands && !(await plan.stands(held)) ? 'creating' : 'ready';
}

/** Key under which one held thing is changed by one call at a time. */
export function holding(uuid: string): string {
  return `held:${uuid}`;
}

/** What `ref` names, made by this broker; throws `NotFound`, or `Conflict` where it is not ready, with the field that named it. */
export async function requireHeld<K extends HeldKind>(
  { storage }: Setting,
  kind: K,
  ref: string,
  broker: string,
  field: string,
): Promise<Held<K>> {
  const held = await readHeld(storage, kind, ref);
  if (held?.record.stamp.broker !== broker)
    throw new ProviderError('NotFound', `no ${kind} ${ref} is on this host`, { field });
  if (!held.record.made)
    throw new ProviderError('Conflict', `the ${kind} ${held.record.spec.name} is not ready`, { field });
  return held;
}

/** A kind's part of the adapter. Stateless: every answer comes from the folders and libvirt (A12). */
export function heldKind<K extends HeldKind>(setting: Setting, plan: HeldPlan<K>): KindAdapter<K> {
  const { storage } = setting;
  const { kind } = plan;

  function check(want: Want<K>): void {
    checkCommon(want as unknown as Want<Kind>, setting);
    plan.check(want.spec);
  }

  async function lookUp(target: Target<K>): Promise<Held<K>[]> {
    const { broker, resource, attempt } = target.stamp;
    if (attempt === undefined) {
      const all = await allHeld(storage, kind);
      return all.filter(({ uuid, record }) => uuid === target.ref || matches(record.stamp, target));
    }
    const uuids = new Set([heldUuid(kind, { broker, resource, attempt })]);
    if (target.ref !== undefined && isUuid(target.ref)) uuids.add(target.ref);
    const found = await Promise.all([...uuids].map((uuid) => readHeld(storage, kind, uuid)));
    return found.filter((one) => one !== undefined);
  }

  async function present(held: Held<K>, spec?: Specs[K]): Promise<Present<K>> {
    const details = await plan.details(held);
    const diff = spec === undefined ? [] : plan.diff(details, spec);
    if (spec !== undefined && !sameLabels(held.record.spec.labels, spec.labels)) diff.push('labels');
    const state = await stateOfHeld(plan, held);
    const { stamp } = held.record;
    const location: Location = setting.location;
    return { presence: 'present', ref: held.uuid, stamp, location, state, details, diff } as Present<K>;
  }

  /** The record, new or found: it stands before anything else does. */
  async function recorded(want: Want<K>, uuid: string): Promise<Held<K>> {
    const found = await readHeld(storage, kind, uuid);
    if (!found) {
      await plan.admit(want, uuid);
      const record = { stamp: want.stamp, createdAt: new Date().toISOString(), spec: want.spec, made: false };
      return writeHeld(storage, { kind, uuid, record } as Held<K>);
    }
    if (sameStamp(found.record.stamp, want.stamp)) return found;
    throw new ProviderError(
      'Conflict',
      `the ${kind} ${uuid} does not carry the stamp of ${want.stamp.resource}`,
    );
  }

  async function ensured(want: Want<K>, uuid: string, signal: AbortSignal): Promise<Held<K>> {
    signal.throwIfAborted();
    const spec = want.spec;
    // Placing: two never take the same last room, or one network's addresses.
    let held = await exclusively(placing(setting), () => recorded(want, uuid));
    if ((await stateOfHeld(plan, held)) === 'creating') {
      const { record } = await plan.make(held, signal);
      held = await writeHeld(storage, { ...held, record: { ...record, made: true } });
    }
    if (plan.converge) held = await plan.converge(held, spec, signal);
    if (sameLabels(held.record.spec.labels, spec.labels)) return held;
    const { labels } = spec;
    return writeHeld(storage, { ...held, record: { ...held.record, spec: { ...held.record.spec, labels } } });
  }

  async function removeOne(held: Held<K>): Promise<boolean> {
    const users = await plan.users(held);
    if (users.length > 0)
      throw new ProviderError('Conflict', `the ${kind} ${held.uuid} is used by ${users.join(', ')}`);
    if (plan.undo && !(await plan.undo(held))) return false;
    await removeHeld(storage, held);
    return true;
  }

  return {
    async validate(want) {
      check(want);
      await plan.admit(want, heldUuid(kind, want.stamp));
    },

    async observe(target, want): Promise<Observation<K>> {
      const own = (await lookUp(target)).filter(({ record }) => matches(record.stamp, target));
      const newest = own.sort((a, b) => b.record.stamp.attempt - a.record.stamp.attempt)[0];
      if (newest) return present(newest, want?.spec);
      if (graceLeft(setting, target) > 0) return { presence: 'unsettled', retryAfterMs: lookAgainMs };
      return { presence: 'absent' };
    },

    async ensure(want, { signal, heartbeat }: CallContext) {
      signal.throwIfAborted();
      check(want);
      const uuid = heldUuid(kind, want.stamp);
      heartbeat({ uuid });
      const beat = setInterval(() => heartbeat({ uuid }), setting.timing.heartbeat);
      try {
        const held = await exclusively(holding(uuid), () =>
          asProviderError(() => ensured(want, uuid, signal), signal),
        );
        return await present(held, want.spec);
      } finally {
        clearInterval(beat);
      }
    },

    async remove(target, { signal, heartbeat }): Promise<Removal> {
      const found = await lookUp(target);
      for (const { uuid, record } of found) {
        if (matches(record.stamp, target)) continue;
        const message = `the ${kind} ${uuid} does not carry this broker's stamp for ${target.stamp.resource}: left alone`;
        throw new ProviderError('Denied', message);
      }
      for (const held of found) {
        signal.throwIfAborted();
        heartbeat({ removing: held.uuid });
        // Placing too: nobody begins to use it while its users are counted.
        const gone = await exclusively(holding(held.uuid), () =>
          exclusively(placing(setting), () => asProviderError(() => removeOne(held))),
        );
        if (!gone) return { done: false, retryAfterMs: lookAgainMs };
      }
      for (let look = 0; look < 2; look++) {
        if (look > 0) await pause(setting.timing.confirm, signal);
        if ((await lookUp(target)).length > 0) return { done: false, retryAfterMs: lookAgainMs };
      }
      if (found.length === 0 && graceLeft(setting, target) > 0)
        return { done: false, retryAfterMs: lookAgainMs };
      return { done: true };
    },
  };
}

function sameStamp(a: Stamp, b: Stamp): boolean {
  return a.broker === b.broker && a.resource === b.resource && a.attempt === b.attempt;
}

/** Throws `Invalid` unless the text is a reference as this host gives them. */
export function checkRef(ref: string, field: string): void {
  if (!isUuid(ref)) throw invalid(field, `not a reference of this host: ${ref}`);
}
