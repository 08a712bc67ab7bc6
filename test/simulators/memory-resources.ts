import { randomUUID } from 'node:crypto';
import {
  type Details,
  type Kind,
  type KindAdapter,
  type Listed,
  type Location,
  type Present,
  ProviderError,
  type Stamp,
  type Target,
  type Want,
} from '@landfall/adapters';
import type { MemoryFaults } from './memory-provider.ts';

type OtherKind = Exclude<Kind, 'Instance'>;

interface Thing {
  ref: string;
  want: Want<OtherKind>;
}

/** Volumes, networks and the rest at the simulated provider in memory: each is what was last wanted of it. */
export class MemoryResources {
  readonly things = new Map<string, Thing>();
  created = 0;
  readonly #take: (fault: keyof MemoryFaults) => boolean;
  /** References of networks and firewalls that machines use. */
  readonly #inUse: () => Set<string>;

  constructor(take: (fault: keyof MemoryFaults) => boolean, inUse: () => Set<string>) {
    this.#take = take;
    this.#inUse = inUse;
  }

  adapter<K extends OtherKind>(): KindAdapter<K> {
    return {
      validate: async () => undefined,
      observe: async (target, want) => {
        const thing = this.#find(target.stamp);
        return thing
          ? this.#present<K>(thing, want && diffOf(thing.want, want as unknown as Want<Kind>))
          : { presence: 'absent' };
      },
      ensure: async (want) => this.#ensure(want as unknown as Want<OtherKind>) as unknown as Present<K>,
      remove: async (target) => this.#remove(target),
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

  #remove(target: Target): { done: true } {
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
      return { address: '192.0.2.9', ...(attachedTo ? { attachedTo } : {}), children };
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
