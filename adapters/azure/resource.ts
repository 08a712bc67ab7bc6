import type {
  CallContext,
  Details,
  Kind,
  KindAdapter,
  Observation,
  Present,
  Specs,
  Stamp,
  Want,
} from '../contract.ts';
import { ProviderError } from '../errors.ts';
import type { Account } from './clients.ts';
import { converge, type Run } from './converge.ts';
import { ensureGroup } from './network.ts';
import { idOf, look, type Make, making, naming, partsOf, type Seen } from './objects.ts';
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
} from './stamp.ts';
import { attemptsOf } from './tagged.ts';

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

/** The contract's verbs over a kind of resource that is one main object and perhaps children. */
export function kindAdapter<K extends OtherKind, T extends Seen>(
  account: Account,
  sort: Sort<K, T>,
): KindAdapter<K> {
  const { kind } = sort;
  const placeOf = (stamp: Stamp, region: string): Place => ({
    region,
    group: groupName(stamp.broker, region),
    name: objectName(stamp),
  });
  /** @throws ProviderError `Conflict` for a foreign one (A5). */
  const find = async (stamp: Stamp, { group, name }: Place): Promise<T | undefined> => {
    const thing = (await look(account, group, partsOf[kind][0], name)) as T | undefined;
    if (thing && !carries(thing.tags, stamp))
      throw new ProviderError('Conflict', `${name} does not carry its stamp`, { providerCode: 'NotOurs' });
    return thing;
  };
  const stateOf = (thing: T): Present['state'] =>
    thing.provisioningState === 'Failed' && sort.came(thing)
      ? 'ready'
      : (states[thing.provisioningState ?? ''] ?? 'ready');
  const toPresent = async (thing: T, stamp: Stamp, place: Place, spec?: Specs[K]): Promise<Present<K>> => {
    const details = await sort.details(thing, place);
    return {
      presence: 'present',
      ref: idOf(account, place.group, partsOf[kind][0], place.name),
      stamp: stampOf(thing.tags) ?? stamp,
      location: { region: place.region, zone: thing.zones?.[0] },
      state: stateOf(thing),
      details,
      diff: spec ? [...sort.differences(details, spec), ...namesThatDiffer(thing.tags, spec)] : [],
    } as Present<K>;
  };

  return {
    async validate(want) {
      account.checkRegion(want.location.region);
      mutableTags(want.spec as Specs[K]);
      await sort.check(want, placeOf(want.stamp, want.location.region));
    },

    async observe(target, want): Promise<Observation<K>> {
      for (const stamp of await attemptsOf(account, target)) {
        const place = placeOf(stamp, target.location.region);
        const thing = await find(stamp, place);
        if (thing) return toPresent(thing, stamp, place, want?.spec as Specs[K] | undefined);
      }
      const left = graceLeftMs(account, target);
      return left > 0
        ? { presence: 'unsettled', retryAfterMs: Math.min(left, account.pollMs) }
        : { presence: 'absent' };
    },

    async ensure(want, context) {
      const { stamp, location } = want;
      const spec = want.spec as Specs[K];
      account.checkRegion(location.region);
      const place = placeOf(stamp, location.region);
      const begun = await naming(account, want, resumeCreate(account, context));
      const found = await find(stamp, place);
      context.signal.throwIfAborted();
      if (!found && !begun)
        await making(account, want, context, async (make) => {
          const tags = { ...stampAsTags(stamp, kind), ...mutableTags(spec) };
          await sort.check(want, place);
          context.signal.throwIfAborted();
          await ensureGroup(account, stamp, location.region);
          await sort.create(want, place, tags, make);
        });
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
      return toPresent(thing, stamp, place, spec);
    },

    remove: (target, context) =>
      removeResource(account, target, context, async (stamp) => {
        const place = placeOf(stamp, target.location.region);
        const thing = sort.release && (await find(stamp, place));
        if (thing && thing.provisioningState !== 'Deleting') await sort.release?.(thing, place, context);
      }),
  };
}

const states: Record<string, Present['state']> = {
  Creating: 'creating',
  Failed: 'failed',
  Deleting: 'removing',
};
