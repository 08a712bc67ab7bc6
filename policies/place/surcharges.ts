import { type Bits, nextBit } from '../cel/trivalue.ts';
import { memo } from '../memo.ts';
import type { Circumstances } from './circumstances.ts';
import type { CompiledRule } from './compiled.ts';
import { gravityCosts } from './egress.ts';
import type { OfferTable } from './offers.ts';
import { gateHolds, met } from './verdicts.ts';

/** What one preference or egress price adds to an offer's price: a share of it, and USD per hour. */
export interface Term {
  met: boolean;
  share: number;
  perHour: number;
}

/**
 * Offers that every rule in force adds the same to. Within one, the order of the scores is the order of the prices, as
 * each step of the sum rises with the price: so the first row of a class is its best, and no offers need be sorted.
 */
export interface SurchargeClass {
  bits: Bits;
  /** The strict preferences not met, the first rule's as the highest bit: a lower tier comes before any price. */
  tier: number;
  /** One for each rule of {@link pricingRules}, in their order. */
  terms: readonly Term[];
}

const MET: Term = { met: true, share: 0, perHour: 0 };

/** The enforced rules that price offers. */
export function pricingRules(rules: readonly CompiledRule[]): CompiledRule[] {
  return rules.filter((r) => r.mode === 'enforce' && (r.effect === 'prefer' || r.effect === 'gravity'));
}

/** Whether a rule among these changes the score, and not the order alone. */
export function pricesAnything(pricing: readonly CompiledRule[]): boolean {
  return pricing.some(({ clause }) => clause.effect !== 'prefer' || clause.weight.kind !== 'strict');
}

/** Parts the offers of a set into classes. Without pricing rules: one class. */
export function surchargeClasses(
  table: OfferTable,
  offers: Bits,
  pricing: readonly CompiledRule[],
  context: Circumstances,
): SurchargeClass[] {
  let classes: SurchargeClass[] = [{ bits: offers, tier: 0, terms: [] }];
  for (const rule of pricing)
    classes = classes.flatMap((c) =>
      rule.clause.effect === 'gravity'
        ? byCost(c, table, rule, context)
        : byPreference(c, table, rule, context),
    );
  return classes.filter((c) => nextBit(c.bits, 0) >= 0);
}

/** The score of an offer of a class, USD per hour. */
export function scoreOf({ terms }: Pick<SurchargeClass, 'terms'>, price: number): number {
  let score = price;
  for (const { share, perHour } of terms) score += share * price + perHour;
  return score;
}

function byPreference(
  { bits, tier, terms }: SurchargeClass,
  table: OfferTable,
  rule: CompiledRule,
  context: Circumstances,
): SurchargeClass[] {
  if (rule.clause.effect !== 'prefer') return [];
  const { weight } = rule.clause;
  const strict = weight.kind === 'strict';
  const good = met(rule, table, context);
  const split = [bits.slice(), bits.slice()] as const;
  for (let w = 0; w < bits.length; w++) {
    split[0][w]! &= good[w]!;
    split[1][w]! &= ~good[w]!;
  }
  const missed = {
    met: false,
    share: weight.kind === 'share' ? weight.share : 0,
    perHour: weight.kind === 'money' ? weight.perHour : 0,
  };
  return [
    { bits: split[0], tier: strict ? tier * 2 : tier, terms: [...terms, MET] },
    { bits: split[1], tier: strict ? tier * 2 + 1 : tier, terms: [...terms, missed] },
  ].filter((c) => nextBit(c.bits, 0) >= 0);
}

function byCost(
  { bits, tier, terms }: SurchargeClass,
  table: OfferTable,
  rule: CompiledRule,
  context: Circumstances,
): SurchargeClass[] {
  if (rule.clause.effect !== 'gravity') return [];
  const told = gravityCosts(rule.clause, rule.gibPerMonth!(context.cel), table, context);
  const holds = gateHolds(rule, table, context);
  const parts = new Map<number, Bits>();
  const partOf = (cost: number): Bits => memo(parts, cost, () => new Uint32Array(bits.length));
  /** By code: the offers are many, the codes few. */
  const known: (Bits | undefined)[] = [];
  for (let w = 0; w < bits.length; w++)
    for (let left = bits[w]!; left !== 0; left &= left - 1) {
      const bit = left & -left;
      const row = (w << 5) + 31 - Math.clz32(bit);
      let part: Bits;
      if (told === null || !holds(row)) part = partOf(0);
      else {
        const code = told.codes[row]!;
        part = known[code] ??= partOf(told.costs(row));
      }
      part[w]! |= bit;
    }
  return [...parts].map(([cost, part]) => ({
    bits: part,
    tier,
    terms: [...terms, cost === 0 ? MET : { met: false, share: 0, perHour: cost }],
  }));
}
