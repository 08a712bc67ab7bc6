import { randomUUID } from 'node:crypto';
import {
  type Adopting,
  type AdoptingKinds,
  type Details,
  type DiscoveryPage,
  type DiscoveryQuery,
  type Kind,
  type KindAdapter,
  known,
  type Listed,
  type Location,
  mayBeMade,
  type Present,
  ProviderError,
  type Stamp,
  type Target,
  type Unmanaged,
  type Want,
} from '@landfall/adapters';
import type { MemoryFaults } from './memory-provider.ts';

type OtherKind = Exclude<Kind, 'Instance'>;

interface Thing {
  ref: string;
  want: Want<OtherKind>;
}

/** What an adoption answers that has taken effect. */
export function refuseStamped(take: (fault: keyof MemoryFaults) => boolean): void {
  if (take('stampedDenied'))
    throw new ProviderError('Denied', 'simulated: may be stamped, not read', { providerCode: 'NotAllowed' });
  if (take('stampedUnavailable')) throw new ProviderError('Unavailable', 'simulated: not answering');
}

/** Volumes, networks and the rest at the simulated provider in memory: each is what was last wanted of it. */
export class MemoryResources {
  readonly things = new Map<string, Thing>();
  created = 0;
  readonly #take: (fault: keyof MemoryFaults) => boolean;
  /** References of networks and firewalls that machines use. */
  readonly #inUse: () => Set<string>;

  /** What is not ours, by reference. */
  readonly #foreign: Map<string, Unmanaged>;

  constructor(
    take: (fault: keyof MemoryFaults) => boolean,
    inUse: () => Set<string>,
    foreign: Map<string, Unmanaged>,
  ) {
    this.#take = take;
    this.#inUse = inUse;
    this.#foreign = foreign;
  }

  adapter<K extends OtherKind>(): KindAdapter<K> {
    return {
      validate: async () => undefined,
      observe: async (target, want) => {
        this.#requireOurs(target);
        const thing = this.#find(target.stamp);
        return thing
          ? this.#present<K>(thing, want && diffOf(thing.want, want as unknown as Want<Kind>))
          : { presence: 'absent' };
      },
      ensure: async (want) => this.#ensure(want as unknown as Want<OtherKind>) as unknown as Present<K>,
      remove: async (target) => this.#remove(target),
    };
  }

  /** @param discover finds what is not ours, of any kind. */
  adopting(discover: (query: DiscoveryQuery) => DiscoveryPage): Omit<AdoptingKinds, 'Instance'> {
    const adopting = <K extends OtherKind>(): Adopting<K> => ({
      discover: async (query) => discover(query),
      adopt: async (want) => this.#adopt(want as unknown as Want<OtherKind>) as unknown as Present<K>,
      release: async (target) => this.#release(target),
    });
    return {
      Volume: adopting(),
      Snapshot: adopting(),
      Address: adopting(),
      Image: notSimulated,
      Network: notSimulated,
      Firewall: notSimulated,
    };
  }

  list(broker: string): Listed[] {
    return [...this.things.values()]
      .filter(({ want }) => want.stamp.broker === broker)
      .map(({ ref, want }) => ({
        ref,
        kind: want.kind,
        stamp: want.stamp,
        location: want.location,
        state: 'ready',
        providerKind: want.kind.toLowerCase(),
        child: false,
      }));
  }

  #find(stamp: Target['stamp']): Thing | undefined {
    return [...this.things.values()].find(
      ({ want }) =>
        want.stamp.broker === stamp.broker &&
        want.stamp.resource === stamp.resource &&
        (stamp.attempt === undefined || want.stamp.attempt === stamp.attempt),
    );
  }

  #ensure(want: Want<OtherKind>): Present<Kind> {
    if (this.#take('unavailable')) throw new ProviderError('Unavailable', 'simulated: not answering');
    const found = this.#find(want.stamp);
    if (found) {
      found.want = want;
      return this.#present(found);
    }
    mayBeMade(want);
    if (this.#take('quota'))
      throw new ProviderError('QuotaExceeded', 'simulated: quota', { providerCode: 'Quota' });
    if (this.#take('denied')) throw new ProviderError('Denied', 'simulated: not allowed');
    if (this.#take('requestLost')) throw new ProviderError('OutcomeUnknown', 'simulated: request lost');
    const thing = { ref: `${want.kind.toLowerCase()}-${randomUUID()}`, want };
    this.things.set(thing.ref, thing);
    this.created++;
    if (this.#take('responseLost')) throw new ProviderError('OutcomeUnknown', 'simulated: response lost');
    return this.#present(thing);
  }

  /** As the clouds' adapters do of a reference that leads to what does not carry the stamp. */
  #requireOurs({ ref = '' }: Target): void {
    if (this.#foreign.has(ref))
      throw new ProviderError('Conflict', `simulated: ${ref} does not carry the stamp`, {
        providerCode: 'NotOurs',
      });
  }

  #answer(): void {
    if (this.#take('unavailable')) throw new ProviderError('Unavailable', 'simulated: not answering');
    if (this.#take('denied'))
      throw new ProviderError('Denied', 'simulated: not allowed', { providerCode: 'NotAllowed' });
    if (this.#take('requestLost')) throw new ProviderError('OutcomeUnknown', 'simulated: request lost');
  }

  #adopt(want: Want<OtherKind>): Present<Kind> {
    this.#answer();
    const known = this.#find(want.stamp);
    if (known) {
      refuseStamped(this.#take);
      return this.#present(known);
    }
    const ref = want.adopted?.ref ?? '';
    const found = this.#foreign.get(ref);
    if (found?.kind !== want.kind)
      throw new ProviderError(
        this.things.has(ref) ? 'Conflict' : 'NotFound',
        `simulated: ${ref} cannot be had`,
      );
    if (found.refused) throw new ProviderError('Conflict', found.refused);
    this.#foreign.delete(ref);
    // What it is, whatever is wanted of it: adopting only stamps.
    const { diskGiB: sizeGiB = 0, attachedTo } = found;
    const is =
      want.kind === 'Snapshot' ? {} : want.kind === 'Volume' ? { sizeGiB, attachedTo } : { attachedTo };
    const thing = { ref, want: { ...want, spec: { ...want.spec, ...is } } as Want<OtherKind> };
    this.things.set(ref, thing);
    if (this.#take('responseLost')) throw new ProviderError('OutcomeUnknown', 'simulated: response lost');
    refuseStamped(this.#take);
    return this.#present(thing);
  }

  /** What was ours is somebody's again. */
  #release(target: Target): { done: true } {
    if (this.#take('unreleasable')) throw new ProviderError('Invalid', 'simulated: it cannot do without us');
    this.#answer();
    const thing = this.#find(target.stamp);
    if (thing) {
      const { kind, location, spec } = thing.want;
      this.things.delete(thing.ref);
      const is = spec as { sizeGiB?: number; attachedTo?: string; volume?: string };
      this.#foreign.set(thing.ref, {
        kind,
        ref: thing.ref,
        location,
        state: 'ready',
        ...known('diskGiB', is.sizeGiB),
        ...known('attachedTo', is.attachedTo),
        ...known('volume', is.volume),
        addresses: kind === 'Address' ? [{ type: 'external', address: simulatedAddress }] : [],
        labels: {},
      });
    }
    if (this.#take('responseLost')) throw new ProviderError('OutcomeUnknown', 'simulated: response lost');
    return { done: true };
  }

  #remove(target: Target): { done: true } {
    this.#requireOurs(target);
    const thing = this.#find(target.stamp);
    if (!thing) return { done: true };
    if (thing.want.kind === 'Volume' && thing.want.spec.attachedTo !== undefined)
      throw new ProviderError('Conflict', `simulated: ${thing.ref} is attached`);
    const users = [...this.things.values()].filter(
      ({ want }) => want.kind === 'Firewall' && want.spec.network === thing.ref,
    );
    if (users.length > 0 || this.#inUse().has(thing.ref))
      throw new ProviderError('Conflict', `simulated: ${thing.ref} is in use`);
    this.things.delete(thing.ref);
    return { done: true };
  }

  #present<K extends Kind>({ ref, want }: Thing, diff: string[] = []): Present<K> {
    const { stamp, location } = want as { stamp: Stamp; location: Location };
    return {
      presence: 'present',
      ref,
      stamp,
      location,
      state: 'ready',
      details: detailsOf(want) as Details[K],
      diff,
    };
  }
}

const simulatedAddress = '192.0.2.9';
const notSimulated = 'the provider in memory simulates it for machines, volumes, snapshots and addresses';

function detailsOf(want: Want<OtherKind>): Details[OtherKind] {
  const children: string[] = [];
  switch (want.kind) {
    case 'Volume': {
      const { sizeGiB, type, attachedTo } = want.spec;
      return { sizeGiB, type, ...(attachedTo ? { attachedTo } : {}), children };
    }
    case 'Snapshot':
      return { sizeGiB: 1, children };
    case 'Network': {
      const { cidr, subnets } = want.spec;
      return {
        cidr,
        subnets: subnets.map((subnet) => ({ ...subnet, ref: `subnet-${subnet.name}` })),
        children,
      };
    }
    case 'Firewall':
      return { rules: want.spec.rules, children };
    case 'Address': {
      const { attachedTo } = want.spec;
      return { address: simulatedAddress, ...(attachedTo ? { attachedTo } : {}), children };
    }
    case 'Image':
      return { children };
  }
}

function diffOf(is: Want<OtherKind>, wanted: Want<Kind>): string[] {
  const [have, want] = [is.spec, wanted.spec] as unknown as Record<string, unknown>[];
  return Object.keys({ ...have, ...want }).filter(
    (key) => JSON.stringify(have![key]) !== JSON.stringify(want![key]),
  );
}
