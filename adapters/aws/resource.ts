import { CreateTagsCommand, type EC2Client, type Tag } from '@aws-sdk/client-ec2';
import type {
  CallContext,
  Details,
  Kind,
  KindAdapter,
  Present,
  Removal,
  Specs,
  Target,
  Want,
} from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { mayBeMade } from '../kinds.ts';
import { waitFor } from '../wait.ts';
import { type Account, changing, reading } from './clients.ts';
import { providerCodeOf } from './errors.ts';
import {
  deleteObject,
  describeAll,
  describeOne,
  describeStamped,
  type Found,
  type ObjectKind,
} from './objects.ts';
import { deleteIfFree, graceLeftMs, untilGone } from './remove.ts';
import {
  carries,
  missingTags,
  mutableTags,
  namedDiff,
  stampAsTags,
  stampFilters,
  stampOf,
  stampTags,
  tagValue,
} from './stamp.ts';

export type OtherKind = Exclude<Kind, 'Instance'>;

/** A resource as it is seen: its object together with what belongs to it. */
export interface View<K extends OtherKind> {
  details: Details[K];
  state: Present['state'];
}

/** One call of `ensure`: where, what for, and what it did already, because a look may be older than that. */
export interface Step<K extends OtherKind> {
  ec2: EC2Client;
  want: Want<K>;
  done: Set<string>;
}

/** What a kind of resource is at EC2. How its life goes is the same for all of them: `resourceAdapter`. */
export interface Shape<K extends OtherKind, M extends ObjectKind, V extends View<K> = View<K>> {
  kind: K;
  /** The object that stands for the resource. */
  main: M;
  /** Objects that carry its stamp, in the order in which they can be deleted. */
  removal: ObjectKind[];
  /** EC2 makes it once, by a token or a name. Where it does not, the oldest of several is the one, and the others go. */
  once: boolean;
  /** @throws ProviderError `Invalid` for what EC2 would find out only halfway. */
  check?(want: Want<K>): void;
  /** The create call, with the tags of the main object; answers its id. */
  create(ec2: EC2Client, want: Want<K>, Tags: Tag[], DryRun: boolean): Promise<string | undefined>;
  view(ec2: EC2Client, object: Found<M>): V | Promise<V>;
  /** Fields, apart from name and labels, in which the resource differs from what is wanted. */
  diff(view: V, want: Specs[K], object: Found<M>): string[];
  /** Takes the next step towards what is wanted; answers true when there was none to take. */
  step(step: Step<K>, object: Found<M>, view: V): Promise<boolean>;
  /**
   * Before anything is deleted. What EC2 refuses to delete after that is in use by something that cannot be seen yet.
   * @throws ProviderError `Conflict` while others use it.
   */
  release?(ec2: EC2Client, object: Found<M>): Promise<void>;
}

/** Refusals that say: it was made by an earlier try, and may not be visible yet. */
const madeBefore = ['IdempotentParameterMismatch', 'InvalidGroup.Duplicate', 'InvalidAMIName.Duplicate'];

/** Refusals because of a state that passes: what was seen was older than what is, or something is on its way. */
const passing = ['IncorrectState', 'IncorrectInstanceState', 'InvalidInstanceID'];

/** The verbs over one kind of resource whose life is that of one EC2 object, with others that belong to it. */
export function resourceAdapter<K extends OtherKind, M extends ObjectKind, V extends View<K>>(
  account: Account,
  shape: Shape<K, M, V>,
): KindAdapter<K> {
  const { main } = shape;

  /**
   * The objects with the target's stamp: by stamp, and by reference where one is given, because the two become visible
   * at different times. Newest attempt first, of one attempt the oldest first.
   * @throws ProviderError `Conflict` when the reference is an object that does not carry the stamp (A5).
   */
  async function find(ec2: EC2Client, target: Pick<Target, 'stamp' | 'ref'>): Promise<Found<M>[]> {
    const [named, stamped] = await Promise.all([
      target.ref === undefined ? undefined : describeOne(ec2, main, target.ref),
      describeAll(ec2, main, stampFilters(target.stamp)),
    ]);
    if (named && !carries(named.tags, target.stamp))
      throw new ProviderError(
        'Conflict',
        `${named.ref} does not carry the stamp of ${target.stamp.resource}`,
        {
          providerCode: 'NotOurs',
        },
      );
    const all = named && !stamped.some(({ ref }) => ref === named.ref) ? [named, ...stamped] : stamped;
    const attempt = (object: Found) => stampOf(object.tags)?.attempt ?? 0;
    const age = (object: Found) => `${tagValue(object.tags, stampTags.made) ?? ''} ${object.ref}`;
    return all.sort((a, b) => attempt(b) - attempt(a) || (age(a) < age(b) ? -1 : 1));
  }

  /** Makes the object, or finds the one that an earlier try or another caller made at the same time. */
  async function create(ec2: EC2Client, want: Want<K>, context: CallContext): Promise<string> {
    const wait = { context, pollMs: account.pollMs, limitMs: account.visibilityGraceMs };
    let ref: string | undefined;
    try {
      ref = await shape.create(ec2, want, tagsOf(shape, want), false);
    } catch (error) {
      if (!madeBefore.includes(providerCodeOf(error) ?? '')) throw error;
      const found = await waitFor(async () => (await find(ec2, { stamp: want.stamp }))[0], wait);
      if (!found) throw error;
      return found.ref;
    }
    if (!ref)
      throw new ProviderError('OutcomeUnknown', `EC2 answered the create of a ${main} without its id`);
    if (shape.once) return ref;
    // Not before our own can be seen: then an older one can be seen, too.
    const visible = async () => {
      const all = await find(ec2, { stamp: want.stamp });
      return all.some((object) => object.ref === ref) ? all : undefined;
    };
    const all = await waitFor(visible, { ...wait, details: { ref } });
    return all ? (await oldest(ec2, all)).ref : ref;
  }

  /** Of several made for one attempt the oldest; the others, which nobody was told of, are deleted unless they are used. */
  async function oldest(ec2: EC2Client, all: Found<M>[]): Promise<Found<M>> {
    const [first, ...spare] = all;
    if (!first) throw new Error('one of none was asked for');
    for (const object of spare) await deleteIfFree(ec2, object);
    return first;
  }

  async function converge(
    ec2: EC2Client,
    ref: string,
    want: Want<K>,
    context: CallContext,
  ): Promise<Present<K>> {
    const started = Date.now();
    const step: Step<K> = { ec2, want, done: new Set() };
    let last: Present<K> | undefined;
    const look = async (): Promise<Present<K> | undefined> => {
      const object = await describeOne(ec2, main, ref);
      if (!object) {
        if (Date.now() - started < account.visibilityGraceMs) return undefined;
        throw new ProviderError('Conflict', `EC2 no longer knows ${ref}, which was made for this attempt`);
      }
      const view = await shape.view(ec2, object);
      last = present(shape, want.location.region, object, view, want);
      if (view.state === 'failed' || view.state === 'removing')
        throw new ProviderError(
          'Conflict',
          `${ref} of this attempt is ${view.state}: only a new attempt can make another`,
        );
      if (object.state === 'creating') return undefined;
      try {
        const Tags = missingTags(object.tags, want.spec);
        if (Tags.length > 0 && !step.done.has('tags')) {
          await changing(ec2.send(new CreateTagsCommand({ Resources: [ref], Tags })));
          step.done.add('tags');
          return undefined;
        }
        const converged = await shape.step(step, object, view);
        return converged && view.state === 'ready' ? last : undefined;
      } catch (error) {
        if (passing.includes(providerCodeOf(error) ?? '')) return undefined;
        // One part of EC2 knows it, another does not yet (A6).
        const young = Date.now() - started < account.visibilityGraceMs;
        if (young && isProviderError(error, 'NotFound') && error.message.includes(ref)) return undefined;
        throw error;
      }
    };
    const wait = { context, pollMs: account.pollMs, limitMs: account.ensureWaitMs, details: { ref } };
    try {
      const converged = (await waitFor(look, wait)) ?? last;
      if (!converged) throw new ProviderError('Unavailable', `${ref} was made and cannot be seen`);
      return converged;
    } catch (error) {
      // What exists belongs to what an error says (A9).
      if (!(error instanceof ProviderError) || error.details.made) throw error;
      const made = [ref, ...(last?.details.children ?? [])];
      throw new ProviderError(error.code, error.message, { ...error.details, made }, error.cause ?? error);
    }
  }

  return {
    async validate(want) {
      account.checkRegion(want.location.region);
      shape.check?.(want);
      try {
        await reading(shape.create(account.ec2(want.location.region), want, tagsOf(shape, want), true));
      } catch (error) {
        // EC2 says by this error that the request would have succeeded.
        if (providerCodeOf(error) !== 'DryRunOperation') throw error;
      }
    },
    async observe(target, want) {
      const ec2 = account.ec2(target.location.region);
      const object = (await find(ec2, target))[0];
      if (object) return present(shape, target.location.region, object, await shape.view(ec2, object), want);
      const left = graceLeftMs(account, target);
      return left > 0
        ? { presence: 'unsettled', retryAfterMs: Math.min(left, account.pollMs) }
        : { presence: 'absent' };
    },
    async ensure(want, context) {
      account.checkRegion(want.location.region);
      shape.check?.(want);
      const ec2 = account.ec2(want.location.region);
      // By stamp before anything is made: an earlier try may have succeeded without our hearing of it (R1, R5). What its
      // heartbeat named is never made again, though it may not be visible yet.
      const known = refOf(context.resumed);
      const all = await find(ec2, { stamp: want.stamp, ref: known });
      context.signal.throwIfAborted();
      const found = all.length > 0 ? (await oldest(ec2, all)).ref : known;
      if (!found) mayBeMade(want as Want<Kind>);
      const ref = found ?? (await create(ec2, want, context));
      return converge(ec2, ref, want, context);
    },
    async remove(target, context): Promise<Removal> {
      const ec2 = account.ec2(target.location.region);
      const look = async (): Promise<boolean> => {
        const mains = await find(ec2, target);
        for (const object of mains) await shape.release?.(ec2, object);
        let seen = 0;
        for (const kind of shape.removal) {
          const objects = kind === main ? mains : await describeStamped(ec2, kind, target.stamp);
          seen += objects.length;
          let free = true;
          for (const object of objects)
            free = (await (kind === main && !shape.release ? deleteMain : deleteIfFree)(ec2, object)) && free;
          if (!free) return false;
        }
        return seen === 0;
      };
      return untilGone(account, target, context, look);
    },
  };
}

/** @returns false while it is only being made. @throws ProviderError `Conflict` while others use it. */
async function deleteMain(ec2: EC2Client, object: Found): Promise<boolean> {
  if (object.state === 'creating' || object.state === 'removing') return deleteIfFree(ec2, object);
  try {
    await deleteObject(ec2, object);
  } catch (error) {
    if (!isProviderError(error, 'NotFound')) throw error;
  }
  return true;
}

/** @throws ProviderError `Conflict` where the object carries no stamp. */
export function present<K extends OtherKind, M extends ObjectKind, V extends View<K>>(
  shape: Shape<K, M, V>,
  region: string,
  object: Found<M>,
  view: V,
  want?: Want<K>,
): Present<K> {
  const stamp = stampOf(object.tags);
  if (!stamp)
    throw new ProviderError('Conflict', `${object.ref} carries no stamp`, { providerCode: 'NotOurs' });
  const seen = {
    presence: 'present',
    ref: object.ref,
    stamp,
    location: { region, zone: object.zone },
    state: view.state,
    details: view.details,
    diff: want
      ? [...namedDiff(object.tags, want.spec), ...shape.diff(view, want.spec as Specs[K], object)]
      : [],
  };
  return seen as unknown as Present<K>;
}

/** The tags of a resource's main object. */
function tagsOf<K extends OtherKind>(shape: { kind: K; once: boolean }, { stamp, spec }: Want<K>): Tag[] {
  const made = shape.once ? [] : [{ Key: stampTags.made, Value: new Date().toISOString() }];
  return [...stampAsTags(stamp, shape.kind), ...made, ...mutableTags(spec)];
}

/** The object that an earlier try of this call had made, where it was the resource's own: its id can be seen before its tags can. */
function refOf(resumed: unknown): string | undefined {
  const ref = typeof resumed === 'object' && resumed && 'ref' in resumed ? resumed.ref : undefined;
  return typeof ref === 'string' ? ref : undefined;
}
