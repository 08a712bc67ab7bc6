import type { CelRequest } from '../cel/schema.ts';
import { type Bits, countBits, fullBits, popcount, type TriValue } from '../cel/trivalue.ts';
import { memo } from '../memo.ts';
import type { CompiledRule } from './compiled.ts';
import { conditionsOf, restrict } from './fit.ts';
import { type OfferTable, USABLE } from './offers.ts';
import type { PlacementRequest } from './types.ts';

/** What became of the offers of one table. */
export interface Evaluated {
  table: OfferTable;
  /** Offers that fit the request, at usable sites or not. */
  fitting: number;
  /** Of those, the ones at usable sites: what the rules were asked about. */
  usable: number;
  compliant: number;
  compliantBits: Bits;
  rules: RuleCounts[];
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

/** Holds every offer of a table against the request and every rule. */
export function evaluateRules(
  table: OfferTable,
  request: PlacementRequest,
  cel: CelRequest,
  rules: readonly CompiledRule[],
  includeUnconfigured: boolean,
): Evaluated {
  const n = table.length;
  const base = fullBits(n);
  for (const condition of conditionsOf(request)) restrict(base, table, condition);
  const fitting = countBits(base);
  const allowed = memo(includeUnconfigured ? forPlans : atSites, table, () =>
    usableBits(table, includeUnconfigured ? USABLE.noSiteOfProvider : USABLE.atSite),
  );
  for (let w = 0; w < base.length; w++) base[w]! &= allowed[w]!;

  const verdicts = rules.map((rule) => {
    const value = rule.passes.run(table, cel);
    return { passes: trueOf(value, table), errors: errorsOf(value, table) };
  });
  const { alive, counts } = countRejections(base, rules, verdicts);
  return {
    table,
    fitting,
    usable: countBits(base),
    compliant: countBits(alive),
    compliantBits: alive,
    rules: rules.map((rule, r) => ({ ...counts[r]!, applies: applies(rule, table, cel) })),
  };
}

const everywhere = new WeakMap<OfferTable, Bits>();
const nowhere = new WeakMap<OfferTable, Bits>();

/** The bits that are true; shared, not to be changed. */
function trueOf(value: TriValue, table: OfferTable): Bits {
  if (value.all === null) return value.true;
  return value.all === 'true' ? all(table) : none(table);
}

/** The bits that are errors; shared, not to be changed. */
function errorsOf(value: TriValue, table: OfferTable): Bits {
  if (value.all === null) return value.error ?? none(table);
  return value.all === 'error' ? all(table) : none(table);
}

function all(table: OfferTable): Bits {
  return memo(everywhere, table, () => fullBits(table.length));
}

function none(table: OfferTable): Bits {
  return memo(nowhere, table, () => new Uint32Array((table.length + 31) >>> 5));
}

const atSites = new WeakMap<OfferTable, Bits>();
const forPlans = new WeakMap<OfferTable, Bits>();

function usableBits(table: OfferTable, worst: number): Bits {
  const bits = fullBits(table.length);
  const { usable } = table;
  for (let i = 0; i < table.length; i++) bits[i >>> 5]! &= ~((usable[i]! > worst ? 1 : 0) << (i & 31));
  return bits;
}

function applies(rule: CompiledRule, table: OfferTable, cel: CelRequest): boolean {
  if (rule.gate === null) return true;
  const value = rule.gate.run(table, cel);
  // A gate without a value holds the rule against the offer, so it counts as applying.
  if (value.all !== null) return value.all !== 'false';
  return countBits(value.true) > 0 || value.error !== null;
}

/**
 * Counts in one pass over the words: with the enforced rules' passes ANDed from the front (`before`) and from
 * the back (`after`), an offer outside a rule but inside both is one only that rule rejects.
 */
function countRejections(
  base: Bits,
  rules: readonly CompiledRule[],
  verdicts: readonly { passes: Bits; errors: Bits }[],
): { alive: Bits; counts: Omit<RuleCounts, 'applies'>[] } {
  const counts = rules.map(() => ({
    rejected: 0,
    rejectedAlone: 0,
    errors: 0,
    remaining: 0,
    firstAlone: -1,
  }));
  const alive = new Uint32Array(base.length);
  const before = new Uint32Array(rules.length);
  for (let w = 0; w < base.length; w++) {
    const all = base[w]!;
    if (all === 0) continue;
    let front = all;
    for (let r = 0; r < rules.length; r++) {
      before[r] = front;
      if (rules[r]!.mode === 'enforce') front = (front & verdicts[r]!.passes[w]!) >>> 0;
      counts[r]!.remaining += popcount(front);
    }
    alive[w] = front;
    let back = 0xffffffff;
    for (let r = rules.length - 1; r >= 0; r--) {
      const { passes, errors } = verdicts[r]!;
      const enforced = rules[r]!.mode === 'enforce';
      const out = (all & ~passes[w]!) >>> 0;
      if (out !== 0) {
        const count = counts[r]!;
        count.rejected += popcount(out);
        count.errors += popcount((all & errors[w]!) >>> 0);
        const alone = (out & before[r]! & back) >>> 0;
        if (alone !== 0) {
          count.rejectedAlone += popcount(alone);
          if (count.firstAlone < 0) count.firstAlone = w * 32 + 31 - Math.clz32(alone & -alone);
        }
      }
      if (enforced) back = (back & passes[w]!) >>> 0;
    }
  }
  return { alive, counts };
}
