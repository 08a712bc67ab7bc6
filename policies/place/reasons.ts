import { countBits, fullBits } from '../cel/trivalue.ts';
import { count } from '../figure.ts';
import type { Evaluated } from './evaluate.ts';
import { conditionsOf, restrict, sizesOf } from './fit.ts';
import { compareOffers, USABLE } from './offers.ts';
import { tooSmall } from './onprem.ts';
import type { Decision, PlacedOffer, PlacementRequest, SiteView } from './types.ts';

/** Sentences on why nothing could be placed, and on what would change that. */
export function explainUnplaceable(
  decision: Decision,
  request: PlacementRequest,
  evaluated: readonly Evaluated[],
  refusals: ReadonlyMap<string, number>,
  { sites, includeUnconfigured }: { sites: readonly SiteView[]; includeUnconfigured: boolean },
): string[] {
  const fitting = evaluated.reduce((t, e) => t + e.fitting, 0);
  const usable = evaluated.reduce((t, e) => t + e.usable, 0);
  if (decision.considered === 0)
    return ['there are no offers at all: the catalogue is empty and no on-prem host is large enough'];
  if (fitting === 0) return [...nothingFits(request, evaluated), ...tooSmall(request, sites)];
  if (usable === 0) return [notConfigured(fitting, evaluated, sites, includeUnconfigured)];
  if (decision.compliant === 0) return rulesReject(decision, evaluated, usable);
  return [
    `${offers(decision.compliant)} would be compliant, but none can be had now`,
    ...[...refusals]
      .sort((a, b) => b[1] - a[1])
      .slice(0, 5)
      .map(([reason, n]) => `${count(n)} of them: ${reason}`),
  ];
}

function nothingFits(request: PlacementRequest, evaluated: readonly Evaluated[]): string[] {
  const conditions = conditionsOf(request);
  const fitting = (keep: (c: (typeof conditions)[number]) => boolean): number =>
    evaluated.reduce((total, { table }) => {
      const bits = fullBits(table.length);
      for (const condition of conditions) if (keep(condition)) restrict(bits, table, condition);
      return total + countBits(bits);
    }, 0);
  const reasons = [`no offer meets the request: ${conditions.map((c) => c.words).join(', ')}`];
  for (const condition of conditions) {
    if (fitting((c) => c === condition) === 0)
      reasons.push(`no offer at all has ${condition.words}${largest(condition, evaluated)}`);
    const without = conditions.length > 1 ? fitting((c) => c !== condition) : 0;
    if (without > 0) reasons.push(`without "${condition.words}", ${offers(without)} would fit`);
  }
  return reasons;
}

function largest(
  condition: ReturnType<typeof conditionsOf>[number],
  evaluated: readonly Evaluated[],
): string {
  if (!('numbers' in condition.test)) return '';
  const { numbers } = condition.test;
  const most = Math.max(0, ...evaluated.map(({ table }) => sizesOf(table, numbers).at(-1) ?? 0));
  return ` (the most there is: ${most})`;
}

function notConfigured(
  fitting: number,
  evaluated: readonly Evaluated[],
  sites: readonly SiteView[],
  includeUnconfigured: boolean,
): string {
  const providers = new Set<string>();
  for (const { table } of evaluated)
    table.usable.forEach((standing, i) => {
      if (standing === USABLE.noSiteOfProvider && providers.size < 4) {
        const { codes, values } = table.column('provider');
        providers.add(values[codes[i]!] as string);
      }
    });
  const named =
    sites.length === 0 ? 'no site is configured' : `the sites are ${sites.map((s) => s.name).join(', ')}`;
  const plan =
    includeUnconfigured || providers.size === 0
      ? ''
      : `; providers without a site: ${[...providers].sort().join(', ')}`;
  return `${offers(fitting)} would fit the request, but none is at a configured site (${named}${plan})`;
}

function rulesReject(decision: Decision, evaluated: readonly Evaluated[], usable: number): string[] {
  const reasons = [`${offers(usable)} would fit the request, but the policies reject all`];
  decision.rules.forEach((rule, r) => {
    if (rule.mode !== 'enforce' || rule.rejected === 0) return;
    const errors =
      rule.errors === 0
        ? ''
        : ` (${count(rule.errors)} of them because a value the rule reads is not known there)`;
    const message = rule.message === null ? '' : `: ${rule.message}`;
    reasons.push(
      `rule ${rule.policy}/${rule.rule} (line ${rule.line}) rejects ${count(rule.rejected)}${errors}${message}`,
    );
    const freed = cheapestAlone(evaluated, r);
    if (freed !== null)
      reasons.push(
        `only ${rule.policy}/${rule.rule} stands against ${count(rule.rejectedAlone)} of them, the cheapest being ${describe(freed)}`,
      );
  });
  return reasons;
}

function cheapestAlone(evaluated: readonly Evaluated[], rule: number): PlacedOffer | null {
  const freed = evaluated.flatMap(({ table, rules }) => {
    const at = rules[rule]!.firstAlone;
    return at < 0 ? [] : [table.offer(at)];
  });
  return freed.sort(compareOffers)[0] ?? null;
}

function offers(n: number): string {
  return n === 1 ? '1 offer' : `${count(n)} offers`;
}

/** An offer in a few words: `m7g.large in eu-central-1 (aws) at 0.0977 USD an hour`. */
export function describe(offer: PlacedOffer): string {
  const at =
    offer.host === null ? (offer.zone ?? offer.region) : `${offer.host}, ${offer.zone ?? offer.region}`;
  return `${offer.instanceType} in ${at} (${offer.site ?? offer.provider}) at ${Number(offer.pricePerHour.toFixed(5))} USD an hour`;
}
