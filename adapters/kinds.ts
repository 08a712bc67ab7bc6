import { imageUrlError, imageUrlSecret } from '@landfall/model/image-sources.ts';
import type {
  Adapter,
  Adopting,
  Capability,
  Description,
  ImageUrl,
  ImageWant,
  Kind,
  KindAdapter,
  NetworkWant,
  Specs,
  Verb,
  Want,
} from './contract.ts';

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

/** What an adapter adopts, kind by kind, or why it does not, for a person: the reason that `describe()` gives. */
export type AdoptingKinds = { [K in Kind]: Adopting<K> | string };

/** Discovering, adopting and releasing, each handed to what does it for the kind. `Invalid` with the reason for a kind that has one. */
export function overAdopting(kinds: AdoptingKinds): Pick<Adapter, 'discover' | 'adopt' | 'release'> {
  const of = <K extends Kind>(kind: K, done: string): Adopting<K> => {
    const found = kinds[kind] as Adopting<K> | string;
    if (typeof found !== 'string') return found;
    throw new ProviderError('Invalid', `a ${kind} cannot be ${done}: ${found}`, { field: '/kind' });
  };
  return {
    discover: async (query, context) => of(query.kind, 'adopted').discover(query, context),
    adopt: async (want, context) =>
      (of<Kind>(want.kind, 'adopted') as Adopting<never>).adopt(want as never, context),
    release: async (target, context) => of(target.kind, 'released').release(target, context),
  };
}

/** What `capability` leaves out of a kind that can be neither adopted nor released. */
export function notAdopted(reason: string): { adopt: string; release: string } {
  return { adopt: reason, release: reason };
}

/** What a machine is made from. @throws ProviderError `NotFound` of one that was adopted: it is gone, and nobody makes it anew. */
export function imageOf({ spec }: Pick<Want<'Instance'>, 'spec'>): ImageWant {
  if (spec.image) return spec.image;
  throw gone('machine');
}

/** What an image is made from. @throws ProviderError `NotFound` of one that was adopted: it is gone, and nobody makes it anew. */
export function sourceOf({ spec }: Pick<Want<'Image'>, 'spec'>): NonNullable<Specs['Image']['source']> {
  if (spec.source) return spec.source;
  throw gone('Image');
}

/**
 * To be called before an image is imported. @throws ProviderError `Invalid` at the field for which the provider cannot; the message
 * never repeats the URL.
 */
export function checkImport(provider: Description['provider'], source: ImageUrl): void {
  // A host took URLs with a query before the broker refused them, and an image that is made of one stays.
  const secret = provider === 'onprem' ? undefined : imageUrlSecret(source.url);
  const wrong = secret ?? imageUrlError(provider, source);
  if (wrong) throw new ProviderError('Invalid', wrong.message, { field: `/source/${wrong.field}` });
}

/** To be called before anything is made. @throws ProviderError `NotFound` of what was adopted: it is gone, and nobody makes it anew. */
export function mayBeMade({ kind, adopted }: { kind: Kind; adopted?: unknown }): void {
  if (adopted) throw gone(kind);
}

function gone(what: string): ProviderError {
  return new ProviderError(
    'NotFound',
    `the ${what} was adopted, and is not there any more: it is not made anew`,
  );
}

/**
 * To be called of a network that is there, before anything of it is changed: what it is made of stays as it was made.
 * @throws ProviderError `Invalid` where it, or a subnet, is wanted with another range than it has.
 */
export function rangesAreKept(
  has: Pick<NetworkWant, 'cidr' | 'subnets'>,
  { cidr, subnets }: Pick<NetworkWant, 'cidr' | 'subnets'>,
): void {
  const refuse = (what: string, is: string, wanted: string, field: string) =>
    new ProviderError(
      'Invalid',
      `${what} is ${is} and cannot become ${wanted}: ask for a network of another name`,
      { field },
    );
  if (has.cidr !== cidr) throw refuse('the network', has.cidr, cidr, '/cidr');
  for (const [at, wanted] of subnets.entries()) {
    const same = has.subnets.find(({ name }) => name === wanted.name);
    if (same && same.cidr !== wanted.cidr)
      throw refuse(`its subnet ${wanted.name}`, same.cidr, wanted.cidr, `/subnets/${at}/cidr`);
  }
}

/** Of a volume that is there, and wanted of another type. */
export function typeIsKept(is: string, wanted: string): ProviderError {
  return new ProviderError(
    'Invalid',
    `the volume is of type ${is} and cannot become ${wanted}: make another from a snapshot of it`,
    {
      field: '/type',
    },
  );
}

/** Of an adoption whose want does not say of what. */
export function namesNothing(): ProviderError {
  return new ProviderError('Invalid', 'the want names nothing to adopt', { field: '/adopted' });
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
