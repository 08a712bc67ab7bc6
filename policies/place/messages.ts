import { hasBit, nextOutside } from '../cel/trivalue.ts';
import { figure } from '../figure.ts';
import { readable } from '../file/readable.ts';
import { memo } from '../memo.ts';
import { refusedBy } from './admission.ts';
import type { Circumstances } from './circumstances.ts';
import type { CompiledRule } from './compiled.ts';
import type { Evaluated } from './evaluate.ts';
import { limitUse, limitWords } from './limits.ts';
import { neighbourRefusal } from './neighbours.ts';
import type { OfferTable } from './offers.ts';
import { isTurned, whoseRule } from './standing-rules.ts';

/**
 * The message of rule number `r`, which rejects something: its own; else its expression, why the request is refused, or
 * what stands against the cheapest offer that it rejects. Null where there is nothing to add.
 */
export function messageOf(
  rule: CompiledRule,
  r: number,
  context: Circumstances,
  tables: readonly Evaluated[],
): string | null {
  if (isTurned(rule)) return whoseRule(rule, context);
  if (rule.message !== null) return rule.message(context.cel);
  const { clause } = rule;
  switch (clause.effect) {
    case 'labels':
    case 'ttl':
    case 'window':
      return refusedBy(clause, context.request, context.now);
    case 'maxPrice':
      return `at most ${figure(clause.perHour)} USD an hour`;
    case 'budget':
    case 'quota': {
      const found = cheapestRejected(r, tables);
      return found && limitWords(limitUse(clause, found.table, found.row, context));
    }
    case 'spread':
    case 'affinity':
    case 'antiAffinity': {
      const found = cheapestRejected(r, tables);
      return found && neighbourRefusal(clause, found.table, found.row, context);
    }
    case 'require':
    case 'deny':
      return expressionWords(rule);
    default:
      return null;
  }
}

/** What a `require` or `deny` says, for a person; null for the other kinds. */
export function expressionWords(rule: CompiledRule): string | null {
  const { clause } = rule;
  if (clause.effect !== 'require' && clause.effect !== 'deny') return null;
  return memo(expressions, rule, () => shortened(`${WORDS[clause.effect]} ${readable(clause.expression)}`));
}

const WORDS = { require: 'requires', deny: 'denies' };

/** Parsing takes longer than all else about a message. */
const expressions = new WeakMap<CompiledRule, string>();

/** Characters of an expression that are shown; its file and line stand beside it. */
const LONGEST = 120;

function shortened(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
}

/** The cheapest offer that a rule says no to; what it has no value for is told elsewhere. */
function cheapestRejected(
  r: number,
  tables: readonly Evaluated[],
): { table: OfferTable; row: number; price: number } | null {
  let cheapest: { table: OfferTable; row: number; price: number } | null = null;
  for (const { table, base, verdicts } of tables) {
    const { passes, errors } = verdicts[r]!;
    // The rows of a table are in the order of prices.
    let row = nextOutside(base, passes, 0);
    while (row >= 0 && hasBit(errors, row)) row = nextOutside(base, passes, row + 1);
    if (row < 0) continue;
    const price = table.numbers('pricePerHour')[row]!;
    if (cheapest === null || price < cheapest.price) cheapest = { table, row, price };
  }
  return cheapest;
}
