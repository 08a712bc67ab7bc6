import type {
  CallContext,
  Details,
  Kind,
  KindAdapter,
  Observation,
  Present,
  Specs,
  Stamp,
  Target,
  Want,
} from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { mayBeMade } from '../kinds.ts';
import type { Account } from './clients.ts';
import { converge, type Run } from './converge.ts';
import { ensureGroup } from './network.ts';
import { look, type Make, making, naming, notOurs, partsOf, placeOf, refAt, type Seen } from './objects.ts';
import { graceLeftMs, removeResource } from './remove.ts';
import { resumeCreate } from './resume.ts';
import {
  carries,
  groupName,
  mutableTags,
  namesThatDiffer,
  objectName,
  stampAsTags,
  stampOf,
  type Tags,
} from './stamp.ts';
import { attemptsOf, findStamped } from './tagged.ts';

export type OtherKind = Exclude<Kind, 'Instance'>;

/** Where a resource's objects are, and what they are called. */
export interface Place {
  region: string;
  group: string;
  name: string;
}

/** What is particular to a kind of resource. `T`: its main object as the SDK gives it. */
export interface Sort<K extends OtherKind, T extends Seen> {
  kind: K;
  /** Sees that it can be made. @throws ProviderError `Invalid` */
  check(want: Want<K>, place: Place): Promise<void>;
  /** Makes its children and its main object, whose tags are given. */
  create(want: Want<K>, place: Place, tags: Record<string, string>, make: Make): Promise<void>;
  /** Did it ever come to be? One that did, and that a later change left as failed, is not to be removed for it. */
  came(thing: T): boolean;
  /** Takes the next step to what is wanted. @returns whether nothing was left to do. */
  step(thing: T, want: Want<K>, place: Place, run: Run): Promise<boolean>;
  details(thing: T, place: Place): Promise<Details[K]>;
  /** What is not as wanted, but for name and labels. */
  differences(details: Details[K], spec: Specs[K]): string[];
  /** Before its objects are deleted. @throws ProviderError `Conflict` while something uses it. */
  release?(thing: T, place: Place, context: CallContext): Promise<void>;
}

/** What adopting one that exists needs of a kind. */
export interface Adopted<K extends OtherKind, T extends Seen> {
  kind: K;
  /** @throws ProviderError `Conflict` where the object carries no stamp. */
  toPresent(thing: T, place: Place): Promise<Present<K>>;
}

/** The contract's verbs over a kind of resource that is one main object and perhaps children. */
export function kindAdapter<K extends OtherKind, T extends Seen>(
  account: Account,
  sort: Sort<K, T>,
): KindAdapter<K> & Adopted<K, T> {
  const { kind } = sort;
  const madeAt = (stamp: Stamp, region: string): Place => ({
    region,
    group: groupName(stamp.broker, region),
    name: objectName(stamp),
  });
  /** @throws ProviderError `Conflict` for a foreign one (A5). */
  const find = async (stamp: Target['stamp'], { group, name }: Place): Promise<T | undefined> => {
    const thing = (await look(account, group, partsOf[kind][0], name)) as T | undefined;
    if (thing && !carries(thing.tags, stamp)) throw notOurs(name);
    return thing;
  };
  const stateOf = (thing: T): Present['state'] =>
    thing.provisioningState === 'Failed' && sort.came(thing)
      ? 'ready'
      : (states[thing.provisioningState ?? ''] ?? 'ready');
  /**
   * The target's object and where it is: by the name of the attempt and by the reference, because those are seen at once, else by its
   * tags, the newest attempt's first.
   */
  const findTarget = async (target: Target): Promise<{ thing: T; place: Place } | undefined> => {
    const { region } = target.location;
    const referred = placeOf(target.ref);
    const attempts = await attemptsOf(account, target);
    for (const place of [
      ...attempts.map((stamp) => madeAt(stamp, region)),
      ...(referred ? [{ region, ...referred }] : []),
    ]) {
      const thing = await find(target.stamp, place);
      if (thing) return { thing, place };
    }
    const tagged = (await findStamped(account, target)).filter((one) => one.kind === partsOf[kind][0]);
    const attemptOf = ({ tags }: { tags: Tags }) => stampOf(tags)?.attempt ?? 0;
    for (const one of tagged.sort((a, b) => attemptOf(b) - attemptOf(a))) {
      const place = { region, ...one.place };
      const thing = await find(target.stamp, place);
      if (thing) return { thing, place };
    }
    return undefined;
  };
  const toPresent = async (thing: T, place: Place, spec?: Specs[K]): Promise<Present<K>> => {
    const stamp = stampOf(thing.tags);
    if (!stamp) throw notOurs(place.name);
    const details = await sort.details(thing, place);
    return {
      presence: 'present',
      ref: refAt(account, partsOf[kind][0], place),
      stamp,
      location: { region: place.region, zone: thing.zones?.[0] },
      state: stateOf(thing),
      details,
      diff: spec ? [...sort.differences(details, spec), ...namesThatDiffer(thing.tags, spec)] : [],
    } as Present<K>;
  };

  return {
    kind,
    toPresent,

    async validate(want) {
      account.checkRegion(want.location.region);
      mutableTags(want.spec as Specs[K]);
      await sort.check(want, madeAt(want.stamp, want.location.region));
    },

    async observe(target, want): Promise<Observation<K>> {
      const found = await findTarget(target as Target);
      if (found) return toPresent(found.thing, found.place, want?.spec as Specs[K] | undefined);
      const left = graceLeftMs(account, target);
      return left > 0
        ? { presence: 'unsettled', retryAfterMs: Math.min(left, account.pollMs) }
        : { presence: 'absent' };
    },

    async ensure(want, context) {
      const { stamp, location, adopted } = want as Want<Kind>;
      const spec = want.spec as Specs[K];
      account.checkRegion(location.region);
      const { region } = location;
      // What was adopted has kept its name, in its own group.
      const kept = placeOf(adopted?.ref);
      const place = kept ? { region, ...kept } : madeAt(stamp, region);
      const begun = await naming(account, want, resumeCreate(account, context));
      const found = await find(stamp, place);
      context.signal.throwIfAborted();
      if (!found && !begun) {
        mayBeMade(want as Want<Kind>);
        await making(account, want, context, async (make) => {
          const tags = { ...stampAsTags(stamp, kind), ...mutableTags(spec) };
          await sort.check(want, place);
          context.signal.throwIfAborted();
          await ensureGroup(account, stamp, location.region);
          await sort.create(want, place, tags, make);
        });
      }
      const thing = await naming(
        account,
        want,
        converge(account, context, {
          name: `the ${kind} ${place.name}`,
          find: () => find(stamp, place),
          stateOf,
          failureOf: () =>
            new ProviderError('Conflict', `the ${kind} ${place.name} could not be made`, {
              providerCode: 'ProvisioningFailed',
            }),
          step: (seen, run) => sort.step(seen, want, place, run),
        }),
      );
      if (!thing) throw new ProviderError('OutcomeUnknown', `the ${kind} ${place.name} cannot be seen yet`);
      return toPresent(thing, place, spec);
    },

    remove: (target, context) =>
      removeResource(account, target, context, async (stamp) => {
        if (!sort.release) return;
        const { thing, place } = (await findTarget({ ...target, stamp } as Target)) ?? {};
        if (thing && thing.provisioningState !== 'Deleting') await sort.release(thing, place!, context);
      }),
  };
}

const states: Record<string, Present['state']> = {
  Creating: 'creating',
  Failed: 'failed',
  Deleting: 'removing',
};
