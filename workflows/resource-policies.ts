import { type CompiledPolicies, jurisdictionOf, NO_POLICIES, type SiteView } from '@landfall/policies';
import { type PlaceRefusal, refusalsAt } from '@landfall/policies/kinds/at-place.ts';
import type { Place, ResourceRequest } from '@landfall/policies/kinds/known.ts';
import type { Queryable, ResourceKind, ResourceSpec } from '@landfall/store';
import { policiesInForce, UnreadablePolicy } from './place-input.ts';

/** What is to have a place. */
export interface PlacedResource {
  organization: string;
  project: string;
  kind: ResourceKind;
  name: string;
  labels: Record<string, string>;
  spec: ResourceSpec;
}

/** A rule that refuses a resource, and the part of the request that it is about. */
export interface RuleAgainst {
  pointer: string;
  message: string;
}

/** Policies refuse every place that comes into question. */
export interface RefusedPlace {
  code: 'PolicyRefused';
  refused: string;
  /** JSON pointer into the spec; `''` = all of it. */
  field: string;
  rules: RuleAgainst[];
}

/** What policies see of a resource. One that holds no data has no class of it. */
export function resourceRequest(resource: PlacedResource): ResourceRequest {
  const { kind, name, project, organization, labels, spec } = resource;
  return { kind, name, project, organization, labels, dataClass: spec.dataClass ?? '' };
}

/** What policies see of a place at a site. `zone`: also that of the host. */
export function placeAt(
  site: Pick<SiteView, 'name' | 'jurisdiction' | 'certifications' | 'labels'> & { provider: string },
  at: { region: string; zone: string | null; host: string | null },
): Place {
  const { name, provider, jurisdiction, certifications, labels } = site;
  return {
    site: name,
    provider,
    ...at,
    jurisdiction: jurisdictionOf(provider, at.region) ?? jurisdiction ?? null,
    certifications,
    labels,
  };
}

/** The enforced rules that a resource is held to, ready for places. `field`: what of its spec says where it is. */
export async function rulesAtPlaces(db: Queryable, resource: PlacedResource, field: string) {
  const now = new Date();
  const request = resourceRequest(resource);
  let policies: CompiledPolicies = NO_POLICIES;
  let unreadable: string | undefined;
  try {
    policies = await policiesInForce(db, resource.organization);
  } catch (error) {
    if (!(error instanceof UnreadablePolicy)) throw error;
    unreadable = error.message;
  }
  const refusals = (place: Place | null): PlaceRefusal[] =>
    refusalsAt(request, place, policies, now).filter(({ rule }) => rule.mode === 'enforce');
  return {
    /** What is refused wherever it goes. */
    anywhere: (): RuleAgainst[] =>
      unreadable === undefined
        ? refusals(null).map((refusal) => against(refusal, [], field))
        : [{ pointer: '', message: unreadable }],

    /** The first choice that no rule refuses; with none, every rule that refuses one. */
    firstAllowed<T>(choices: readonly { place: T; seen: Place }[]): T | RefusedPlace {
      if (unreadable !== undefined) return refusedPlace([{ pointer: '', message: unreadable }], '');
      const found = new Map<PlaceRefusal['rule'], { refusal: PlaceRefusal; places: string[] }>();
      for (const { place, seen } of choices) {
        const broken = refusals(seen);
        if (broken.length === 0) return place;
        for (const refusal of broken) {
          const known = found.get(refusal.rule);
          if (known) known.places.push(whereOf(seen));
          else found.set(refusal.rule, { refusal, places: [whereOf(seen)] });
        }
      }
      const rules = [...found.values()].map(({ refusal, places }) => against(refusal, places, field));
      return refusedPlace(rules, field);
    },
  };
}

function refusedPlace(rules: RuleAgainst[], field: string): RefusedPlace {
  return { code: 'PolicyRefused', refused: rules.map(({ message }) => message).join('; '), field, rules };
}

function whereOf({ site, region, host }: Place): string {
  return `${site} ${host ?? region}`;
}

/** Places that are named in a message. */
const NAMED = 5;

function against({ rule, message, unknown }: PlaceRefusal, places: string[], field: string): RuleAgainst {
  const isOfRequest = rule.effect === 'labels' || rule.effect === 'window';
  const more = places.length > NAMED ? ` and ${places.length - NAMED} more` : '';
  const at = isOfRequest || places.length === 0 ? '' : ` at ${places.slice(0, NAMED).join(', ')}${more}`;
  const why = unknown ? `${message} (a value that the rule reads is not known there)` : message;
  return {
    pointer: rule.effect === 'labels' ? '/labels' : rule.effect === 'window' ? '' : `/spec${field}`,
    message: `is refused by ${rule.policy}/${rule.rule} (line ${rule.line})${at}: ${why}`,
  };
}
