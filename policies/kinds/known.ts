import type { CelRequest, OfferAttribute } from '../cel/schema.ts';
import type { PlacementRequest, ResourceKind } from '../place/types.ts';

/** What policies see of a resource that is no machine. */
export type ResourceRequest = Pick<
  PlacementRequest,
  'name' | 'project' | 'organization' | 'labels' | 'dataClass'
> & { kind: Exclude<ResourceKind, 'Instance'> };

/** Where such a resource is, or is to be. Null = not known. */
export interface Place {
  site: string | null;
  provider: string;
  region: string;
  zone: string | null;
  /** Null: a cloud has none. */
  host: string | null;
  jurisdiction: string | null;
  certifications: readonly string[] | null;
  /** The site's. */
  labels: Readonly<Record<string, string>>;
  /** Undefined = what the shipped table says, null = not known. */
  carbon?: number | null;
}

/** Attributes of `request` that a resource of every kind has. */
export const REQUEST_OF_ALL: ReadonlySet<string> = new Set<keyof ResourceRequest>([
  'kind',
  'name',
  'project',
  'organization',
  'labels',
  'dataClass',
]);

/** Attributes of `offer` that are the place's, whatever stands there. */
export const OFFER_OF_PLACE: ReadonlySet<string> = new Set<OfferAttribute>([
  'provider',
  'site',
  'region',
  'zone',
  'host',
  'jurisdiction',
  'certifications',
  'labels',
  'carbon',
]);

/** What an expression may ask: an attribute that is none of these is one that the resource has not, or that nobody knows yet. */
export interface Asked {
  request: CelRequest;
  place: Record<string, unknown>;
  /** Attributes of the place that can have a value; one of them that is not in `place` is missing, and reading it an error. */
  ofPlace: ReadonlySet<string>;
}
