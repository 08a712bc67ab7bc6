import {
  type Bits,
  countBits,
  countBoth,
  countOutside,
  fullBits,
  nextOutside,
  popcount,
} from '../cel/trivalue.ts';
import { memo } from '../memo.ts';
import type { Circumstances } from './circumstances.ts';
import type { CompiledRule } from './compiled.ts';
import { gravityCosts } from './egress.ts';
import { fittingOffers } from './fit.ts';
import { type OfferTable, USABLE } from './offers.ts';
import { pricingRules, type SurchargeClass, scoreOf, surchargeClasses } from './surcharges.ts';
import { all, errorsOf, none, ruleVerdict, trueOf } from './verdicts.ts';

/** What became of the offers of one table. Bits are shared: not to be changed. */
export interface Evaluated {
  table: OfferTable;
  /** Offers that fit the request, at usable sites or not. */
  fitting: number;
  /** Of those, the ones at usable sites: what the rules were asked about. */
  usable: number;
  /** The usable ones. */
  base: Bits;
  compliant: number;
  compliantBits: Bits;
  rules: RuleCounts[];
  /** One for each rule in force, in order. Those of {@link readsMachines} speak of `base` only: other bits mean nothing. */
  verdicts: Verdicts[];
  /** `base` in classes of equal surcharges; one class where no rule prices anything. `scoreOf(class, price)` is an offer's score. */
  classes: SurchargeClass[];
}

/** What one rule says of the offers of one table. */
export interface Verdicts {
  /** Offers it lets through; all, where a rule of its kind rejects nothing (prefer, gravity, approval). */
  passes: Bits;
  /** Offers its expression has no value for. */
  errors: Bits;
}

/** One rule over one table. */
export interface RuleCounts {
  applies: boolean;
  rejected: number;
  rejectedAlone: number;
  errors: number;
  /** Enforced rules: offers left after this one and all enforced ones before it. */
  remaining: number;
  /** The cheapest offer that no other enforced rule rejects, or -1. */
  firstAlone: number;
}

/** Whether rules of a kind can reject an offer; the others rank offers, or ask somebody. */
export function canReject({ effect }: Pick<CompiledRule, 'effect'>): boolean {
  return effect !== 'prefer' && effect !== 'gravity' && effect !== 'approval';
}

/** Whether what a rule of a kind says of an offer depends on the machines that exist. */
export function readsMachines({ effect }: Pick<CompiledRule, 'effect'>): boolean {
  return MACHINES.has(effect);
}

const MACHINES: ReadonlySet<CompiledRule['effect']> = new Set([
  'spread',
  'affinity',
  'antiAffinity',
  'budget',
  'quota',
]);

/** Holds every offer of a table against the request and every rule. */
export function evaluateRules(
  table: OfferTable,
  rules: readonly CompiledRule[],
  context: Circumstances,
  includeUnconfigured: boolean,
): Evaluated {
  const base = fittingOffers(table, context.request).bits.slice();
  const fitting = countBits(base);
  const allowed = usableOffers(table, includeUnconfigured);
  for (let w = 0; w < base.length; w++) base[w]! &= allowed[w]!;

  const verdicts = rules.map((rule) => verdictsOf(rule, table, base, context));
  const { alive, counts } = countRejections(table, base, rules, verdicts);
  return {
    table,
    fitting,
    usable: countBits(base),
    base,
    compliant: countBits(alive),
    compliantBits: alive,
    rules: rules.map((rule, r) => ({ ...counts[r]!, applies: applies(rule, table, context) })),
    verdicts,
    classes: surchargeClasses(table, base, pricingRules(rules), context),
  };
}

function verdictsOf(rule: CompiledRule, table: OfferTable, base: Bits, context: Circumstances): Verdicts {
  const { clause } = rule;
  if (clause.effect === 'gravity') {
    const priced = gravityCosts(clause, rule.gibPerMonth!(context.cel), table, context) !== null;
    return { passes: all(table), errors: priced ? none(table) : all(table) };
  }
  const value = ruleVerdict(rule, table, base, context);
  return { passes: canReject(rule) ? trueOf(value, table) : all(table), errors: errorsOf(value, table) };
}

/** Offers at sites, or for a plan also those of providers without one. Shared, not to be changed. */
export function usableOffers(table: OfferTable, includeUnconfigured: boolean): Bits {
  return memo(includeUnconfigured ? forPlans : atSites, table, () =>
    usableBits(table, includeUnconfigured ? USABLE.noSiteOfProvider : USABLE.atSite),
  );
}

/** The score of an offer of `base`: its price, and what the preferences and egress prices in force add. */
export function scoreAt({ table, classes }: Pick<Evaluated, 'table' | 'classes'>, row: number): number {
  const own = classes.find(({ bits }) => ((bits[row >>> 5]! >>> (row & 31)) & 1) === 1)!;
  return scoreOf(own, table.numbers('pricePerHour')[row]!);
}

const atSites = new WeakMap<OfferTable, Bits>();
const forPlans = new WeakMap<OfferTable, Bits>();

function usableBits(table: OfferTable, worst: number): Bits {
  const bits = fullBits(table.length);
  const { usable } = table;
  for (let i = 0; i < table.length; i++) bits[i >>> 5]! &= ~((usable[i]! > worst ? 1 : 0) << (i & 31));
  return bits;
}

function applies(rule: CompiledRule, table: OfferTable, { cel }: Circumstances): boolean {
  if (rule.gate === null) return true;
  const value = rule.gate.run(table, cel);
  // A gate without a value holds the rule against the offer, so it counts as applying.
  if (value.all !== null) return value.all !== 'false';
  return countBits(value.true) > 0 || value.error !== null;
}

/**
 * Counts rule by rule over whole sets, which takes a third of the time of going word by word through all rules. Beside the
 * counts it gathers what some enforced rule rejects and what two do: an offer of the first set only has one against it.
 */
function countRejections(
  table: OfferTable,
  base: Bits,
  rules: readonly CompiledRule[],
  verdicts: readonly Verdicts[],
): { alive: Bits; counts: Omit<RuleCounts, 'applies'>[] } {
  const rejected = new Uint32Array(base.length);
  const twice = new Uint32Array(base.length);
  let remaining = countBits(base);
  const counts = rules.map(({ mode }, r) => {
    const { passes, errors } = verdicts[r]!;
    const errorCount = errors === none(table) ? 0 : countBoth(base, errors);
    const count = { rejected: 0, rejectedAlone: 0, errors: errorCount, remaining, firstAlone: -1 };
    if (passes === all(table)) return count;
    if (mode !== 'enforce') return { ...count, rejected: countOutside(base, passes) };
    let [own, fresh] = [0, 0];
    for (let w = 0; w < base.length; w++) {
      const out = base[w]! & ~passes[w]!;
      if (out === 0) continue;
      const before = rejected[w]!;
      own += popcount(out);
      fresh += popcount(out & ~before);
      twice[w]! |= out & before;
      rejected[w] = before | out;
    }
    remaining -= fresh;
    return { ...count, rejected: own, remaining };
  });
  const alive = new Uint32Array(base.length);
  const once = twice;
  for (let w = 0; w < base.length; w++) {
    alive[w] = base[w]! & ~rejected[w]!;
    once[w] = rejected[w]! & ~twice[w]!;
  }
  for (const [r, count] of counts.entries()) {
    if (count.rejected === 0) continue;
    const { passes } = verdicts[r]!;
    // Of an enforced rule, those that it is the one to reject; of another, those that no enforced one does.
    const others = rules[r]!.mode === 'enforce' ? once : alive;
    count.rejectedAlone = countOutside(others, passes);
    if (count.rejectedAlone > 0) count.firstAlone = nextOutside(others, passes, 0);
  }
  return { alive, counts };
}
