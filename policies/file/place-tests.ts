/** Tests of policies whose request is for a volume, a network, …: they choose among places, which have no price. */
import type { Catalogue } from '../catalogue/catalogue.ts';
import { jurisdictionOf } from '../catalogue/jurisdictions.ts';
import { refusalsAt } from '../kinds/at-place.ts';
import type { Place, ResourceRequest } from '../kinds/known.ts';
import type { CompiledPolicies } from '../place/compiled.ts';
import type { PlacementRequest } from '../place/types.ts';
import type { Outcome } from './run-tests.ts';

type Asked = Pick<ResourceRequest, 'kind' | 'project' | 'organization'> & Partial<PlacementRequest>;

/** The first place that is asked for and that no enforced rule refuses, and what each rule refuses. */
export function goesTo(
  asked: Asked,
  given: readonly Record<string, unknown>[] | null,
  catalogue: Catalogue,
  policies: CompiledPolicies,
  now: Date,
): Outcome {
  const { kind, name = '', project, organization, labels = {}, dataClass = '' } = asked;
  const request: ResourceRequest = { kind, name, project, organization, labels, dataClass };
  const places = (given === null ? regionsOf(catalogue) : given.map(placeOf)).filter((place) =>
    isAskedFor(place, asked),
  );
  const counts = new Map(
    policies.rules.map(({ rule, mode }) => [rule, { rule, mode, rejected: 0, rejectedAlone: 0 }]),
  );
  const reasons = new Set<string>();
  let winner: Place | null = null;
  for (const place of places) {
    const refusals = refusalsAt(request, place, policies, now);
    const rules = new Map(refusals.map((refusal) => [refusal.rule.rule, refusal]));
    for (const { rule, message } of rules.values()) {
      counts.get(rule.rule)!.rejected++;
      reasons.add(`rule ${rule.policy}/${rule.rule} (line ${rule.line}): ${message}`);
    }
    const enforced = [...rules.values()].filter(({ rule }) => rule.mode === 'enforce');
    if (enforced.length === 1) counts.get(enforced[0]!.rule.rule)!.rejectedAlone++;
    if (enforced.length === 0) winner ??= place;
  }
  return {
    winner,
    where: winner && whereOf(winner),
    rules: [...counts.values()],
    reasons: places.length === 0 ? ['no place is what the request asks for'] : [...reasons],
  };
}

function whereOf({ provider, region, zone, site, host }: Place): string {
  const at = host === null ? (zone ?? region) : `${host}, ${zone ?? region}`;
  return `in ${at} (${site ?? provider})`;
}

/** A place of a test, with what follows from its names filled in. */
function placeOf(given: Record<string, unknown>): Place {
  const { provider, region } = given as { provider: string; region: string };
  return {
    site: null,
    zone: null,
    host: null,
    jurisdiction: jurisdictionOf(provider, region),
    certifications: null,
    labels: {},
    ...given,
    provider,
    region,
  };
}

function regionsOf({ length, provider, region }: Catalogue): Place[] {
  const found = new Map<number, Place>();
  for (let row = 0; row < length; row++) {
    const [p, r] = [provider.codes[row]!, region.codes[row]!];
    const key = p * region.values.length + r;
    if (!found.has(key)) found.set(key, placeOf({ provider: provider.values[p], region: region.values[r] }));
  }
  return [...found.values()];
}

function isAskedFor(place: Place, asked: Asked): boolean {
  const among = (wanted: readonly string[] | undefined, name: string | null): boolean =>
    wanted === undefined || wanted.length === 0 || wanted.includes(name ?? '');
  return (
    among(asked.providers, place.provider) &&
    among(asked.sites, place.site) &&
    among(asked.regions, place.region) &&
    among(asked.zones, place.zone) &&
    among(asked.hosts, place.host)
  );
}
