import type { CelRequest } from '../cel/schema.ts';
import { type Bits, keepOnly, nextBit } from '../cel/trivalue.ts';
import { availableOffers } from '../place/available.ts';
import type { CompiledRule } from '../place/compiled.ts';
import { readsMachines, usableOffers } from '../place/evaluate.ts';
import { type Condition, conditionsOf, restrict } from '../place/fit.ts';
import type { OfferTable } from '../place/offers.ts';
import type { Evaluation } from '../place/place.ts';
import { pricingRules, surchargeClasses } from '../place/surcharges.ts';
import type { PlacementRequest } from '../place/types.ts';
import { errorsOf, ruleVerdict, trueOf } from '../place/verdicts.ts';
import { comparisonsOf, requestReads } from './comparisons.ts';
import { difference, intersection, referenceTo } from './groups.ts';
import { type Ranked, Ranking } from './ranking.ts';
import type { Threshold } from './types.ts';

/**
 * For each comparison of a rule: the nearest value at which a better offer than the winner (any, without one) gets
 * through. `keptOut`: the offers that can be had now and that only this clause rejects.
 */
export function ruleThresholds(
  rule: CompiledRule,
  keptOut: readonly Bits[],
  { tables, context }: Evaluation,
  ranking: Ranking,
  winner: Ranked | null,
): Threshold[] {
  return comparisonsOf(rule).flatMap((comparison): Threshold[] => {
    const value = comparison.value(tables[0]!.table, context.cel);
    if (value === null) return [];
    const sets = tables.map(({ table }, t) => {
      const loosened = comparison.loosened.run(table, context.cel);
      if (loosened.all === 'true') return keptOut[t]!;
      const lets = trueOf(loosened, table);
      if (rule.missing === 'reject') return intersection(keptOut[t]!, lets);
      const errors = errorsOf(loosened, table);
      return keptOut[t]!.map((word, w) => word & (lets[w]! | errors[w]!));
    });
    const found = nearest(sets, tables, comparison, context.cel, ranking, winner);
    if (found === null) return [];
    const { expression, subject, operator } = comparison;
    const { needed, best } = found;
    const reference = referenceTo(rule);
    return [{ rule: reference, expression, subject, operator, value, needed, ...ranking.kept(best, winner) }];
  });
}

/** The number nearest to passing among the better offers of the sets, and the best offer that has it. */
function nearest(
  sets: readonly Bits[],
  tables: readonly { table: OfferTable }[],
  {
    numbers,
    operator,
  }: {
    numbers: (table: OfferTable, request: CelRequest) => Float64Array | null;
    operator: Threshold['operator'];
  },
  cel: CelRequest,
  ranking: Ranking,
  winner: Ranked | null,
): { needed: number; best: Ranked } | null {
  const rising = operator === '<' || operator === '<=';
  const found = ranking.extreme(sets, winner, rising, (t) => numbers(tables[t]!.table, cel));
  return found && { needed: found.number, best: found.best };
}

type Size = { attribute: keyof PlacementRequest; operator: '<=' | '>='; subject: string };

function sizeOf({ test }: Condition): Size | null {
  if ('numbers' in test) return { attribute: test.numbers, operator: '>=', subject: `offer.${test.numbers}` };
  return 'most' in test
    ? { attribute: 'maxPricePerHour', operator: '<=', subject: 'offer.pricePerHour' }
    : null;
}

/**
 * For each size and the price cap the request asks for: the nearest that lets a better offer of a provider's list through.
 * Offers made to measure are left out (they shrink with the request), and so is a size that a rule reads: with another
 * size it would judge otherwise. `words`: how much of each table's sets holds the better offers.
 */
export function requestThresholds(
  evaluation: Evaluation,
  winner: Ranked | null,
  words: readonly number[],
): Threshold[] {
  const { input, context, inForce, tables, refusal, priced } = evaluation;
  const conditions = conditionsOf(context.request);
  const rules = [...input.policies.rules, ...inForce.rules];
  const asked = conditions.flatMap((condition) => {
    const size = sizeOf(condition);
    return size === null || rules.some((rule) => requestReads(rule).has(size.attribute))
      ? []
      : [{ condition, size }];
  });
  return asked.flatMap(({ condition, size }): Threshold[] => {
    const wider = tables.map((evaluated, t) => {
      const { table, base } = evaluated;
      const bits = difference(listedOffers(table).subarray(0, words[t]!), base);
      for (const other of conditions) if (other !== condition) restrict(bits, table, other);
      keepOnly(bits, usableOffers(table, input.includeUnconfigured));
      keepCompliant(bits, evaluated, inForce.rules, context);
      return availableOffers(table, bits, input.setAside, refusal, new Map());
    });
    const pricing = pricingRules(inForce.rules);
    const classes = tables.map(({ table }, t) => surchargeClasses(table, wider[t]!, pricing, context));
    const ranking = new Ranking(tables, classes, priced);
    const value = context.request[size.attribute] as number;
    const attribute = size.attribute === 'maxPricePerHour' ? 'pricePerHour' : size.attribute;
    const numbers = (table: OfferTable): Float64Array =>
      table.numbers(attribute as 'vcpus' | 'memoryGiB' | 'gpuCount' | 'pricePerHour');
    const found = nearest(wider, tables, { numbers, operator: size.operator }, context.cel, ranking, winner);
    if (found === null) return [];
    const { operator, subject } = size;
    const expression = condition.words;
    const { needed, best } = found;
    return [{ rule: null, expression, subject, operator, value, needed, ...ranking.kept(best, winner) }];
  });
}

/** Takes away what an enforced rule rejects, of offers that were not asked about before. */
function keepCompliant(
  bits: Bits,
  { table, verdicts }: Evaluation['tables'][number],
  rules: readonly CompiledRule[],
  context: Evaluation['context'],
): void {
  for (const [r, rule] of rules.entries())
    if (rule.mode === 'enforce' && !readsMachines(rule)) keepOnly(bits, verdicts[r]!.passes);
  for (const rule of rules)
    if (rule.mode === 'enforce' && readsMachines(rule) && nextBit(bits, 0) >= 0)
      keepOnly(bits, trueOf(ruleVerdict(rule, table, bits, context), table));
}

const listed = new WeakMap<OfferTable, Bits>();

/** Offers that are not made to measure: those without a host. */
function listedOffers(table: OfferTable): Bits {
  const found = listed.get(table);
  if (found !== undefined) return found;
  const { codes, values } = table.column('host');
  const bits = new Uint32Array((table.length + 31) >>> 5);
  for (let i = 0; i < table.length; i++) if (values[codes[i]!] === '') bits[i >>> 5]! |= 1 << (i & 31);
  listed.set(table, bits);
  return bits;
}
