/** What rules can tell apart: by it requests are one kind, and hosts one pool. */
import { EVALUATION, reads } from '../cel/schema.ts';
import { hasBit } from '../cel/trivalue.ts';
import type { Circumstances } from '../place/circumstances.ts';
import type { CompiledRule } from '../place/compiled.ts';
import type { OfferTable } from '../place/offers.ts';
import type { EstateMachine } from '../place/types.ts';
import { gateHolds, trueOf } from '../place/verdicts.ts';

/**
 * Whether a rule has a say over an offer. A gate without a value holds the rule against it, unless the rule lets pass what is
 * not known.
 */
export function heldAt(
  rule: CompiledRule,
  table: OfferTable,
  context: Circumstances,
): (row: number) => boolean {
  if (rule.gate === null || rule.missing !== 'pass') return gateHolds(rule, table, context);
  const open = trueOf(rule.gate.run(table, context.cel), table);
  return (row) => hasBit(open, row);
}

/** Whether a rule may have a say over some offer, by what its gate says of all of a table. */
export function mayHold({ gate, missing }: CompiledRule, table: OfferTable, { cel }: Circumstances): boolean {
  if (gate === null) return true;
  const { all } = gate.run(table, cel);
  return all !== 'false' && !(all === 'error' && missing === 'pass');
}

/** Attributes of an offer that a rule's verdict reads. */
export function readsOf(rule: CompiledRule): ReadonlySet<string> {
  return new Set([...(rule.gate?.offerAttributes ?? []), ...(rule.passes?.offerAttributes ?? [])]);
}

/** Whether a rule that reads no host in its expressions can yet tell two hosts of one pool apart. */
export function namesHosts({ clause }: CompiledRule, estate: readonly EstateMachine[]): boolean {
  switch (clause.effect) {
    case 'budget':
    case 'quota':
    case 'spread':
      return clause.group.includes('host');
    case 'affinity':
      return clause.by === 'host';
    case 'antiAffinity':
      return clause.by === 'host' && estate.some((machine) => machine.host !== null);
    default:
      return false;
  }
}

export function readsNames(rule: CompiledRule): boolean {
  const { clause } = rule;
  const texts = [
    rule.gateText,
    'expression' in clause ? clause.expression : null,
    clause.effect === 'gravity' ? clause.gibPerMonth : null,
    ...rule.exceptions.map((e) => e.matchText),
  ].filter((text) => text !== null);
  if (texts.some((text) => reads(EVALUATION.parse(text).ast).request.has('name'))) return true;
  if (clause.effect !== 'affinity' && clause.effect !== 'antiAffinity') return false;
  const to = reads(EVALUATION.parse(clause.to).ast);
  return to.request.has('name') || to.resource.has('name');
}

/** Rules whose verdict `requestPart` does not tell: they look at the request as a whole. */
export function readsWholeRequest({ effect }: CompiledRule): boolean {
  return ['affinity', 'antiAffinity', 'labels', 'ttl', 'window'].includes(effect);
}
