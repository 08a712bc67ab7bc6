import type { Adapter, Capability, ImageWant, Kind, KindAdapter, Verb, Want } from './contract.ts';
import { verbsOfKinds } from './contract.ts';
import { ProviderError } from './errors.ts';

/** What an adapter does, kind by kind; a kind that is absent is one that the provider cannot have. */
export type KindAdapters = { [K in Kind]?: KindAdapter<K> };

/** The verbs of an adapter, each handed to the adapter of its kind. `Invalid` for a kind that is absent. */
export function overKinds(kinds: KindAdapters): Pick<Adapter, 'validate' | 'observe' | 'ensure' | 'remove'> {
  const of = <K extends Kind>(kind: K): KindAdapter<K> => {
    const found = kinds[kind] as KindAdapter<K> | undefined;
    if (!found) throw new ProviderError('Invalid', `this provider has no ${kind}`, { field: '/kind' });
    return found;
  };
  return {
    validate: async (want) => (of<Kind>(want.kind) as KindAdapter<never>).validate(want as never),
    observe: async (target, want) => of(target.kind).observe(target, want),
    ensure: async (want, context) =>
      (of<Kind>(want.kind) as KindAdapter<never>).ensure(want as never, context),
    remove: async (target, context) => of(target.kind).remove(target, context),
  };
}

/** What a machine is made from. @throws ProviderError `NotFound` of one that was adopted: it is gone, and nobody makes it anew. */
export function imageOf({ spec }: Pick<Want<'Instance'>, 'spec'>): ImageWant {
  if (spec.image) return spec.image;
  throw new ProviderError(
    'NotFound',
    'the machine was adopted, and is not there any more: it is not made anew',
  );
}

/** @throws ProviderError `Invalid` unless the kind is one of those that can be adopted. */
export function adoptedKind(kind: Kind, adoptable: readonly Kind[]): void {
  if (adoptable.includes(kind)) return;
  throw new ProviderError('Invalid', `a ${kind} ${whyNotAdopted}`, { field: '/kind' });
}

/** Why a provider that adopts machines adopts nothing else. */
export const whyNotAdopted = 'cannot be adopted yet: only machines are';

/** The verbs of an adapter that finds and adopts nothing, for this reason. */
export function adoptsNothing(reason: string): Pick<Adapter, 'discover' | 'adopt'> {
  const refuse = async (): Promise<never> => {
    throw new ProviderError('Invalid', reason, { field: '/kind' });
  };
  return { discover: refuse, adopt: refuse };
}

/** The capability of a kind: every verb, but those for which a reason is given. */
export function capability<K extends Kind>(
  kind: K,
  except: Partial<Record<Verb<K>, string>> = {},
): Capability<K> {
  const verbs = Object.fromEntries(
    verbsOfKinds[kind].map((verb) => {
      const reason = (except as Record<string, string | undefined>)[verb];
      return [verb, reason === undefined ? true : { reason }];
    }),
  ) as Capability<K>['verbs'];
  return { kind, verbs };
}

/** The capability of a kind that the provider cannot have at all. */
export function incapable<K extends Kind>(kind: K, reason: string): Capability<K> {
  return capability(
    kind,
    Object.fromEntries(verbsOfKinds[kind].map((verb) => [verb, reason])) as Record<Verb<K>, string>,
  );
}
