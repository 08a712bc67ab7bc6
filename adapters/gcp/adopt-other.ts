import type { Adopting, CallContext, Kind, Present, Removal, Target, Want } from '../contract.ts';
import { cannotBeAdopted, known, managedBy, ofAnotherInstallation, type Unmanaged } from '../discovery.ts';
import { isNotOurs, ProviderError } from '../errors.ts';
import { namesNothing } from '../kinds.ts';
import type { Account } from './clients.ts';
import { find, findAdopted, parseRef, read, refOfLink, type Thing, writeLabels } from './collections.ts';
import { byLabel, discoverOver } from './discover.ts';
import { drive } from './drive.ts';
import { type KindLife, type OtherKind, present } from './life.ts';
import { graceLeftMs, looksForAbsence } from './remove.ts';
import { adoptedAsLabels, carries, readDescription, stampLabels, withoutStamp } from './stamp.ts';

/** Why something cannot be adopted. `part`: it is a part of something else, and is shown only where it is asked for. */
interface Bound {
  why: string;
  part?: boolean;
}

/** What discovery says of the objects of a collection that can be adopted. */
interface Look<C extends Adoptable> {
  shown(thing: Thing<C>): Partial<Unmanaged>;
  /** Beside the labels of tools. */
  bound(account: Account, thing: Thing<C>): Promise<Bound | undefined>;
}

type Adoptable = 'disks' | 'snapshots' | 'addresses' | 'images';

const usersOf = ({ body }: Thing<'disks' | 'addresses'>): string[] => (body.users ?? []).map(refOfLink);

const disks: Look<'disks'> = {
  shown(thing) {
    const [user] = usersOf(thing);
    return {
      ...known('diskGiB', thing.body.sizeGb ? Number(thing.body.sizeGb) : undefined),
      ...known('type', thing.body.type?.replace(/^.*\//, '')),
      ...known('attachedTo', user),
    };
  },
  async bound(account, thing) {
    // Kubernetes' drivers of volumes write who asked for one.
    if (/(storage\.gke|kubernetes)\.io\/created/.test(thing.body.description ?? ''))
      return { why: 'it is managed by a Kubernetes cluster (description)' };
    const [user, ...more] = usersOf(thing);
    if (more.length > 0) return { why: `it is attached to ${more.length + 1} machines` };
    const at = parseRef('instances', user);
    const machine = at && (await read(account, { ...at, collection: 'instances' }));
    const attached = machine?.body.disks?.find(({ source }) => source && refOfLink(source) === thing.ref);
    if (attached?.boot) return { why: `it is the root disk of ${user}`, part: true };
    return attached?.autoDelete
      ? { why: `it is deleted with ${user}: switch its auto-delete off first` }
      : undefined;
  },
};

const snapshots: Look<'snapshots'> = {
  shown: ({ body }) => ({
    ...known('diskGiB', body.diskSizeGb ? Number(body.diskSizeGb) : undefined),
    ...known('volume', body.sourceDisk ? refOfLink(body.sourceDisk) : undefined),
  }),
  async bound(_, { body }) {
    const schedule = body.sourceSnapshotSchedulePolicy;
    return schedule ? { why: `it is managed by the snapshot schedule ${refOfLink(schedule)}` } : undefined;
  },
};

const addresses: Look<'addresses'> = {
  shown(thing) {
    const { address, addressType } = thing.body;
    const type = addressType === 'INTERNAL' ? 'internal' : 'external';
    return {
      addresses: address ? [{ type, address }] : [],
      ...known(
        'attachedTo',
        usersOf(thing).find((user) => parseRef('instances', user)),
      ),
    };
  },
  async bound(_, thing) {
    const { addressType, ipVersion, purpose } = thing.body;
    if (addressType === 'INTERNAL') return { why: 'it is an internal address' };
    if (ipVersion === 'IPV6') return { why: 'it is an address of IPv6' };
    if (purpose === 'NAT_AUTO') return { why: 'it is managed by Cloud NAT' };
    const other = usersOf(thing).find((user) => !parseRef('instances', user));
    return other ? { why: `it leads to ${other}, which is no machine` } : undefined;
  },
};

const images: Look<'images'> = {
  shown: ({ body }) => ({
    ...known('diskGiB', body.diskSizeGb ? Number(body.diskSizeGb) : undefined),
    architecture: body.architecture === 'ARM64' ? 'arm64' : 'x86_64',
  }),
  async bound(_, { body }) {
    const retired = String(body.deprecated?.state ?? '');
    if (retired === 'OBSOLETE' || retired === 'DELETED') return { why: `it is ${retired.toLowerCase()}` };
    return body.guestOsFeatures?.some(({ type }) => type === 'WINDOWS')
      ? { why: 'it is of Windows, which Landfall cannot set up' }
      : undefined;
  },
};

const looks = { disks, snapshots, addresses, images };

/** Adopting and releasing resources that are one object with labels at Google, by these alone. */
export function adoptingOther<K extends OtherKind, C extends Adoptable>(
  account: Account,
  life: KindLife<K, C>,
): Adopting<K> {
  const { kind, collection } = life;
  const look = looks[collection] as unknown as Look<C>;

  async function whyRefused(thing: Thing<C>): Promise<Bound | undefined> {
    if (thing.stamp) return { why: ofAnotherInstallation };
    const tool = managedBy(byLabel, thing.labels, 'label');
    return tool ? { why: tool } : look.bound(account, thing);
  }

  async function shown(thing: Thing<C>, asked: boolean): Promise<Unmanaged[]> {
    const refused = await whyRefused(thing);
    if (refused?.part && !asked) return [];
    const { ref, name, location, state, labels, createdAt } = thing;
    const { [stampLabels.released]: _, ...others } = labels;
    return [
      {
        kind,
        ref,
        name,
        location,
        state,
        addresses: [],
        labels: others,
        ...known('createdAt', createdAt ? new Date(createdAt).toISOString() : undefined),
        ...look.shown(thing),
        ...known('refused', refused?.why),
      },
    ];
  }

  return {
    discover: (query, context) =>
      discoverOver(account, query, context, collection, async (things, asked) => {
        const there = things.filter(({ state }) => state !== 'removing');
        return (await Promise.all(there.map((thing) => shown(thing, asked)))).flat();
      }),
    adopt: (want, context) => adopt(account, life, want, context, whyRefused),
    release: (target, context) => release(account, life, target, context),
  };
}

/** Labels what exists with our stamp, on the condition that nobody wrote any since they were read, and changes nothing else of it. */
async function adopt<K extends OtherKind, C extends Adoptable>(
  account: Account,
  life: KindLife<K, C>,
  want: Want<K>,
  context: CallContext,
  whyRefused: (thing: Thing<C>) => Promise<Bound | undefined>,
): Promise<Present<K>> {
  const { location, stamp, adopted } = want as Want<Kind>;
  if (!adopted) throw namesNothing();
  account.checkRegion(location.region);
  const { ref } = adopted;
  const at = parseRef(life.collection, ref);
  const gone = () => new ProviderError('NotFound', `there is no ${life.kind} ${ref} any more`);
  const { seen, converged } = await drive<Thing<C>>(account, context, undefined, {
    async look() {
      const thing = at && (await read(account, { ...at, collection: life.collection }));
      // It was there before us: not to see it is no matter of time.
      if (!thing || thing.state === 'removing') throw gone();
      return thing;
    },
    async step(thing) {
      if (carries(thing.labels, stamp)) return 'converged';
      const refused = await whyRefused(thing);
      if (refused) throw cannotBeAdopted(ref, refused.why);
      const { [stampLabels.released]: _, ...labels } = thing.labels;
      return writeLabels(account, thing, { ...labels, ...adoptedAsLabels(stamp, life.kind) });
    },
    gone,
  });
  if (!seen || !converged)
    throw new ProviderError('OutcomeUnknown', `${ref} was labelled, and does not show it yet`, {
      providerCode: 'notVisible',
    });
  return present(account, life, { main: seen, children: [] });
}

/** Takes our labels off what has the target's stamp, on the condition that nobody wrote any since they were read. */
async function release<K extends OtherKind, C extends Adoptable>(
  account: Account,
  { kind, collection }: KindLife<K, C>,
  target: Target,
  context: CallContext,
): Promise<Removal> {
  account.checkRegion(target.location.region);
  const stamped = async (): Promise<Thing<C>[]> => {
    // By reference too, for as long as that carries the stamp.
    const named = await find(account, collection, target).catch((error: unknown) => {
      if (!isNotOurs(error)) throw error;
      return find(account, collection, { ...target, ref: undefined });
    });
    return named.length > 0 ? named : findAdopted(account, collection, { ...target, kind });
  };
  let absences = 0;
  const { converged } = await drive<Thing<C>[]>(account, context, undefined, {
    look: stamped,
    async step([thing]) {
      absences = thing ? 0 : absences + 1;
      if (thing) return writeLabels(account, thing, releasedLabels(thing));
      return absences >= looksForAbsence ? 'converged' : 'waiting';
    },
    gone: () => {
      throw new TypeError('a look at what is stamped always answers');
    },
  });
  const hiddenForMs = converged ? graceLeftMs(account, target) : account.pollMs;
  return hiddenForMs > 0
    ? { done: false, retryAfterMs: Math.min(hiddenForMs, account.pollMs) }
    : { done: true };
}

/** An address that we made says so in its description, which Google never changes: a label says that it is not so any more. */
function releasedLabels({ labels, body }: Thing<Adoptable>) {
  const { description } = body as { description?: string | null };
  return {
    ...withoutStamp(labels),
    ...(readDescription(description) ? { [stampLabels.released]: 'true' } : {}),
  };
}
