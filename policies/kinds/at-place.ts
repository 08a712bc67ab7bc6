import { gridCarbonOf } from '../catalogue/facts.ts';
import type { CelRequest } from '../cel/schema.ts';
import { memo } from '../memo.ts';
import { refusedBy } from '../place/admission.ts';
import type { CompiledPolicies, CompiledRule } from '../place/compiled.ts';
import { rulesInForce } from '../place/in-force.ts';
import { expressionWords } from '../place/messages.ts';
import { NEUTRAL_REQUEST, type PlacementRequest } from '../place/types.ts';
import { type Asked, OFFER_OF_PLACE, type Place, REQUEST_OF_ALL, type ResourceRequest } from './known.ts';
import { MAY, not, or, type Possible, possibleValues } from './possible.ts';

/** A rule that a resource which is no machine breaks at a place. */
export interface PlaceRefusal {
  rule: CompiledRule;
  /** Its own message; without one, what it asks for. */
  message: string;
  /** It is because a value that the rule reads is not known there. */
  unknown: boolean;
}

/**
 * The rules that a volume, a network, … breaks at a place, those of audit and dryRun too. A rule is held against it as far as
 * what it says follows from the place, from what every request has, and from the time: it refuses where it would refuse every
 * machine there, of whatever size and price. Of effects, `require`, `deny`, `labels` and `window` count; the others are about machines.
 * @param place null: not known yet. Then only what holds anywhere is found.
 */
export function refusalsAt(
  request: ResourceRequest,
  place: Place | null,
  policies: CompiledPolicies,
  now: Date,
): PlaceRefusal[] {
  const asked = askedOf(request, place);
  const { rules } = rulesInForce(policies, [], asRequest(request), asked.request, now);
  return rules.flatMap((rule) => refusalOf(rule, request, asked, now) ?? []);
}

/** What is wrong with one rule; undefined: nothing. */
export function refusalOf(
  rule: CompiledRule,
  request: ResourceRequest,
  asked: Asked,
  now: Date,
): PlaceRefusal | undefined {
  const passes = verdictOf(rule, request, asked, now);
  if (passes === null || passes & MAY.true) return undefined;
  if (rule.missing === 'pass' && passes & MAY.error) return undefined;
  const { clause } = rule;
  const own = rule.message?.(asked.request);
  const why =
    clause.effect === 'labels' || clause.effect === 'window'
      ? refusedBy(clause, asRequest(request), now)
      : expressionWords(rule);
  return { rule, message: own ?? why ?? '', unknown: (passes & MAY.false) === 0 };
}

/** Whether a rule lets the resource be there; null: it is about machines alone. */
function verdictOf(rule: CompiledRule, request: ResourceRequest, asked: Asked, now: Date): Possible | null {
  const { clause } = rule;
  const outside = (): Possible => (rule.gateText === null ? MAY.false : not(possible(rule.gateText)(asked)));
  switch (clause.effect) {
    case 'require':
      return or(outside(), possible(clause.expression)(asked));
    case 'deny':
      return or(outside(), not(possible(clause.expression)(asked)));
    case 'labels':
    case 'window':
      return refusedBy(clause, asRequest(request), now) === null ? MAY.true : outside();
    default:
      return null;
  }
}

const KEPT = 2_000;
const known = new Map<string, ReturnType<typeof possibleValues>>();

function possible(source: string): ReturnType<typeof possibleValues> {
  if (known.size >= KEPT) known.clear();
  return memo(known, source, () => possibleValues(source));
}

/** A request and a place in CEL's own values: without what only machines have, so that nothing of theirs can be read by mistake. */
export function askedOf(request: ResourceRequest, place: Place | null): Asked {
  const cel: CelRequest = Object.fromEntries(
    Object.entries(request).filter(([name]) => REQUEST_OF_ALL.has(name)),
  );
  if (place === null) return { request: cel, place: {}, ofPlace: new Set() };
  const { provider, region, site, zone, host, jurisdiction, certifications, labels } = place;
  const carbon = place.carbon === undefined ? gridCarbonOf(provider, region) : place.carbon;
  const values = { provider, region, site: site ?? '', host: host ?? '', labels };
  const maybe = { zone, jurisdiction, certifications, carbon };
  const ofPlace = new Set(OFFER_OF_PLACE);
  // Networks, addresses, snapshots and images of a cloud are in a region: they are in no zone, where a volume is in one.
  if (zone === null && request.kind !== 'Volume') ofPlace.delete('zone');
  return {
    request: cel,
    place: {
      ...values,
      ...Object.fromEntries(
        Object.entries(maybe).filter(([, value]) => value !== null && value !== undefined),
      ),
    },
    ofPlace,
  };
}

/** For what is asked of a whole request; what only machines have is neutral, and nothing here reads it. */
function asRequest(request: ResourceRequest): PlacementRequest {
  return { ...NEUTRAL_REQUEST, ...request };
}
