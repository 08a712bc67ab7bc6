import type {
  CallContext,
  Details,
  Kind,
  KindAdapter,
  Observation,
  Present,
  Target,
  Want,
} from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { mayBeMade } from '../kinds.ts';
import { untilVisible } from '../wait.ts';
import type { Account } from './clients.ts';
import {
  type Collection,
  deathOf,
  find,
  findAdopted,
  notOurs,
  refOf,
  scopesOf,
  type Thing,
} from './collections.ts';
import { drive, type Next } from './drive.ts';
import { naming } from './made.ts';
import { type Answer, insertOnce, type OperationRef, resumedOperation } from './operation.ts';
import { zoneFor } from './places.ts';
import { graceLeftMs, removeStages } from './remove.ts';
import { objectName, partOfName, stampLabels } from './stamp.ts';

export type OtherKind = Exclude<Kind, 'Instance'>;

/** The object that stands for a resource, and what was made for it. */
export interface Seen<C extends Collection> {
  main: Thing<C>;
  children: Thing[];
}

/** What is of one kind alone; its life, the same for all, is below. */
export interface KindLife<K extends OtherKind, C extends Collection> {
  kind: K;
  /** Of the main object. */
  collection: C;
  /** Of its children, where they are in another: they go before it. */
  childCollection?: Collection;
  /** @throws ProviderError `Invalid` for what can be told to be wrong without asking. */
  check(want: Want<K>): void;
  /** Asks for the main object. */
  insert(account: Account, want: Want<K>, at: { name: string; scope: string; requestId: string }): Answer;
  /** Field of the spec that the main object stands on: what is not there when Google says so. */
  standsOn?: string;
  /** Starts the next operation towards what is wanted. */
  step(account: Account, want: Want<K>, seen: Seen<C>): Promise<Next>;
  details(seen: Seen<C>, account: Account): Details[K] | Promise<Details[K]>;
  /** One that exists can be adopted: it has labels by which it is found. */
  adoptable?: boolean;
  /** Fields of the spec that differ. */
  diff(seen: Seen<C>, want: Want<K>): string[];
  /** What uses it, where Google would delete it all the same. */
  usedBy?(account: Account, main: Thing<C>): Promise<string | undefined>;
}

/**
 * The adapter of one kind: what we made is found by its name, which is the same for every call of an attempt; what was adopted by
 * its reference and its labels.
 */
export function kindAdapter<K extends OtherKind, C extends Collection>(
  account: Account,
  life: KindLife<K, C>,
): KindAdapter<K> {
  return {
    async validate(want) {
      account.checkRegion(want.location.region);
      life.check(want);
      await scopeFor(account, life, want);
    },
    async observe(target, want): Promise<Observation<K>> {
      const seen = await look(account, life, target);
      if (seen) return present(account, life, seen, want);
      const left = graceLeftMs(account, target);
      return left > 0
        ? { presence: 'unsettled', retryAfterMs: Math.min(left, account.pollMs) }
        : { presence: 'absent' };
    },
    ensure: (want, context) => ensure(account, life, want, context),
    async remove(target, context) {
      const stages = [life.childCollection, life.collection].flatMap((collection) =>
        collection ? [{ find: () => findAny(account, life, collection, target), usersGo: false }] : [],
      );
      const used = life.usedBy && (await inUse(account, life, target));
      if (used) throw used;
      return removeStages(account, target, context, stages);
    },
  };
}

async function ensure<K extends OtherKind, C extends Collection>(
  account: Account,
  life: KindLife<K, C>,
  want: Want<K>,
  context: CallContext,
): Promise<Present<K>> {
  account.checkRegion(want.location.region);
  life.check(want);
  const name = want.adopted?.ref ?? objectName(want.stamp);
  try {
    const resumed = resumedOperation(context.resumed);
    const start =
      resumed ?? ((await look(account, life, want)) ? undefined : await insert(account, life, want, context));
    const { seen, converged } = await drive<Seen<C>>(account, context, start, {
      look: () => look(account, life, want),
      step: (now) => (now.main.state === 'ready' ? life.step(account, want, now) : waitOrFail(now.main)),
      gone: () => deathOf(name),
    });
    if (!seen)
      throw new ProviderError('OutcomeUnknown', `${name} was asked for and cannot be seen yet`, {
        providerCode: 'notVisible',
      });
    const made = await present(account, life, seen, want);
    return converged ? made : { ...made, state: made.state === 'ready' ? 'creating' : made.state };
  } catch (error) {
    throw await naming(account, error, want.stamp, async () =>
      (await all(account, life, want)).map(({ ref }) => ref),
    );
  }
}

async function waitOrFail({ state, ref }: Thing): Promise<Next> {
  if (state === 'failed')
    throw new ProviderError('Conflict', `${ref} failed at Google Cloud and has to be removed`, {
      providerCode: 'FAILED',
    });
  return 'waiting';
}

async function insert<K extends OtherKind, C extends Collection>(
  account: Account,
  life: KindLife<K, C>,
  want: Want<K>,
  context: CallContext,
): Promise<OperationRef | undefined> {
  mayBeMade(want as Want<Kind>);
  const scope = await scopeFor(account, life, want);
  const name = objectName(want.stamp);
  const ask = () => {
    context.signal.throwIfAborted();
    return insertOnce(account, want.stamp, (requestId) =>
      life.insert(account, want, { name, scope, requestId }),
    );
  };
  try {
    // What it stands on may have been made a moment ago.
    const { pollMs, visibilityGraceMs: limitMs } = account;
    return await untilVisible(ask, { context, pollMs, limitMs, codes: ['resourceNotReady'] });
  } catch (error) {
    // It is there already and only could not be seen.
    if (isProviderError(error, 'Conflict') && error.message.includes(`/${name}'`) && isTaken(error))
      return undefined;
    if (isProviderError(error, 'NotFound'))
      throw new ProviderError(
        'Invalid',
        error.message,
        { ...error.details, field: life.standsOn },
        error.cause,
      );
    throw error;
  }
}

const isTaken = (error: ProviderError): boolean => error.details.providerCode === 'alreadyExists';

/** The place to create in. */
async function scopeFor<K extends OtherKind, C extends Collection>(
  account: Account,
  { collection }: KindLife<K, C>,
  { location }: Want<K>,
): Promise<string> {
  const zone = collection === 'disks' ? await zoneFor(account, location) : undefined;
  const [scope = ''] = await scopesOf(account, collection, { ...location, zone });
  return scope;
}

/** What is looked for: a target, or a want, which says itself whether it was adopted. */
type Sought = Pick<Target, 'stamp' | 'location' | 'ref'> & { spec?: unknown; adopted?: { ref: string } };

/** By name, and where there is nothing of such a name, what was adopted. What is known to be none is not asked for. */
async function findAny<K extends OtherKind, C extends Collection, D extends Collection>(
  account: Account,
  { kind, collection: main, adoptable }: KindLife<K, C>,
  collection: D,
  sought: Sought,
): Promise<Thing<D>[]> {
  const { stamp, location, adopted, ref = adopted?.ref } = sought;
  const found = await find(account, collection, { stamp, location, ref });
  const mayBeAdopted = adoptable && collection === (main as Collection) && !(sought.spec && !adopted);
  return found.length > 0 || !mayBeAdopted
    ? found
    : findAdopted(account, collection, { kind, stamp, location });
}

/** Everything of the target, the main objects and their children. */
async function all<K extends OtherKind, C extends Collection>(
  account: Account,
  life: KindLife<K, C>,
  target: Sought,
): Promise<Thing[]> {
  const { collection, childCollection } = life;
  const found = await Promise.all([
    findAny(account, life, collection, target),
    childCollection ? find(account, childCollection, { ...target, ref: undefined }) : [],
  ]);
  return found.flat();
}

/** The newest attempt's object with its children. */
async function look<K extends OtherKind, C extends Collection>(
  account: Account,
  life: KindLife<K, C>,
  target: Sought,
): Promise<Seen<C> | undefined> {
  const things = await all(account, life, target);
  const main = things.find((thing) => isMain(life, thing)) as Thing<C> | undefined;
  if (!main) return undefined;
  if (!main.stamp) throw notOurs(main.ref);
  const children = things.filter(
    (thing) => thing.ref !== main.ref && thing.stamp?.attempt === main.stamp?.attempt,
  );
  return { main, children };
}

const isMain = ({ collection, kind }: { collection: Collection; kind: Kind }, thing: Thing): boolean =>
  thing.collection === collection &&
  (partOfName(thing.name) === '' || thing.labels[stampLabels.kind] === kind.toLowerCase());

export async function present<K extends OtherKind, C extends Collection>(
  account: Account,
  life: KindLife<K, C>,
  seen: Seen<C>,
  want?: Want<K>,
): Promise<Present<K>> {
  const { main } = seen;
  const shown = {
    presence: 'present' as const,
    ref: refOf(main),
    stamp: bare(main),
    location: main.location,
    state: main.state,
    details: await life.details(seen, account),
    diff: want ? life.diff(seen, want) : [],
  };
  return shown as unknown as Present<K>;
}

/** The stamp without what the description holds beside it. */
export function bare({ ref, stamp }: Thing): Present['stamp'] {
  if (!stamp) throw notOurs(ref);
  const { broker, project, resource, attempt } = stamp;
  return { broker, project, resource, attempt };
}

async function inUse<K extends OtherKind, C extends Collection>(
  account: Account,
  life: KindLife<K, C>,
  target: Target<K>,
): Promise<ProviderError | undefined> {
  for (const thing of await find(account, life.collection, target)) {
    const user = isMain(life, thing) ? await life.usedBy?.(account, thing) : undefined;
    if (user)
      return new ProviderError('Conflict', `${thing.ref} is already being used by ${user}`, {
        providerCode: 'resourceInUseByAnotherResource',
      });
  }
  return undefined;
}
