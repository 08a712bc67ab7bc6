import {
  type Bits,
  FALSE,
  fullBits,
  hasBit,
  not,
  or,
  TRUE,
  type TriValue,
  triFrom,
} from '../cel/trivalue.ts';
import { memo } from '../memo.ts';
import { admits } from './admission.ts';
import type { Circumstances, MachinesVerdict } from './circumstances.ts';
import type { CompiledRule } from './compiled.ts';
import { limitVerdict } from './limits.ts';
import { neighbourVerdict } from './neighbours.ts';
import type { OfferTable } from './offers.ts';
import { isTurned, machinesAgainst } from './standing-rules.ts';

/**
 * What a rule says of the offers of a table: true = it lets the offer through (a preference: it is met), an error
 * rejects like false, unless the rule says `missing: pass`. Approvals and egress prices let all through. Rules about
 * other machines are asked about the offers `among` only; the others' bits say nothing.
 */
export function ruleVerdict(
  rule: CompiledRule,
  table: OfferTable,
  among: Bits,
  context: Circumstances,
): TriValue {
  const value = strictVerdict(rule, table, among, context);
  return rule.missing === 'pass' ? errorsPass(value, table) : value;
}

function strictVerdict(rule: CompiledRule, table: OfferTable, among: Bits, context: Circumstances): TriValue {
  const { clause } = rule;
  switch (clause.effect) {
    case 'require':
    case 'deny':
    case 'prefer':
    case 'maxPrice':
      return rule.passes!.run(table, context.cel);
    case 'gravity':
    case 'approval':
      return TRUE;
    case 'labels':
    case 'ttl':
    case 'window':
      return unlessGated(rule, table, context, () =>
        admits(clause, context.request, context.now) ? TRUE : FALSE,
      );
    default:
      return unlessGated(rule, table, context, () => {
        const { passes, errors } = machinesVerdict(rule, table, context)!.over(among);
        return triFrom(passes, errors, table.length);
      });
  }
}

/** The verdict of a rule that looks at other machines, without its gate; null for the other kinds. */
export function machinesVerdict(
  rule: CompiledRule,
  table: OfferTable,
  context: Circumstances,
): MachinesVerdict | null {
  const { clause } = rule;
  if (isTurned(rule) && clause.effect === 'antiAffinity') {
    const against = machinesAgainst(rule, context);
    // Nobody minds: then it matters not either where an offer's domain is not known.
    return against.length === 0 ? nobodyMinds(table) : neighbourVerdict(clause, table, context, against);
  }
  switch (clause.effect) {
    case 'spread':
    case 'affinity':
    case 'antiAffinity':
      return neighbourVerdict(clause, table, context);
    case 'budget':
    case 'quota':
      return limitVerdict(clause, table, context);
    default:
      return null;
  }
}

function nobodyMinds(table: OfferTable): MachinesVerdict {
  return { at: () => 'true', over: () => ({ passes: all(table), errors: none(table) }) };
}

function unlessGated(
  rule: CompiledRule,
  table: OfferTable,
  { cel }: Circumstances,
  verdict: () => TriValue,
): TriValue {
  const outside = rule.gate === null ? FALSE : not(rule.gate.run(table, cel), table.length);
  return outside.all === 'true' ? TRUE : or(outside, verdict(), table.length);
}

function errorsPass(value: TriValue, table: OfferTable): TriValue {
  if (value.all === 'error') return TRUE;
  if (value.all !== null || value.error === null) return value;
  const { error } = value;
  return triFrom(
    value.true.map((word, w) => word | error[w]!),
    null,
    table.length,
  );
}

/** The bits that are true; shared, not to be changed. */
export function trueOf(value: TriValue, table: OfferTable): Bits {
  if (value.all === null) return value.true;
  return value.all === 'true' ? all(table) : none(table);
}

/** The bits that are errors; shared, not to be changed. */
export function errorsOf(value: TriValue, table: OfferTable): Bits {
  if (value.all === null) return value.error ?? none(table);
  return value.all === 'error' ? all(table) : none(table);
}

/** Where a preference is met; shared, not to be changed. */
export function met(rule: CompiledRule, table: OfferTable, context: Circumstances): Bits {
  return trueOf(ruleVerdict(rule, table, none(table), context), table);
}

/** Whether a rule has a say over an offer; a gate without a value holds the rule against the offer. */
export function gateHolds(
  rule: CompiledRule,
  table: OfferTable,
  { cel }: Circumstances,
): (row: number) => boolean {
  if (rule.gate === null) return () => true;
  const value = rule.gate.run(table, cel);
  const [open, unknown] = [trueOf(value, table), errorsOf(value, table)];
  return (row) => hasBit(open, row) || hasBit(unknown, row);
}

const everywhere = new WeakMap<OfferTable, Bits>();
const nowhere = new WeakMap<OfferTable, Bits>();

/** All offers of a table; shared, not to be changed. */
export function all(table: OfferTable): Bits {
  return memo(everywhere, table, () => fullBits(table.length));
}

/** No offer of a table; shared, not to be changed. */
export function none(table: OfferTable): Bits {
  return memo(nowhere, table, () => new Uint32Array((table.length + 31) >>> 5));
}
