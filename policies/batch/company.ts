import { interpret } from '../cel/columnar.ts';
import { celRequest, celResource, EVALUATION, reads } from '../cel/schema.ts';
import { memo } from '../memo.ts';
import { askedFor } from '../place/chosen-machines.ts';
import type { CompiledRule } from '../place/compiled.ts';
import type { PlacementRequest } from '../place/types.ts';
import type { ApartRule } from './problem.ts';

/** One kind of request, and whether the rule has a say over it. */
export interface Company {
  request: PlacementRequest;
  held: boolean;
}

/**
 * Which kinds of machines of a batch an anti-affinity rule keeps apart: those a rule of one chooses the other by.
 * A machine of the batch has no place yet, so `to` sees an empty site, region, … of it. Answers the rule and,
 * for each kind, its set; -1: it is kept apart from none.
 */
export function keptApart(
  rule: CompiledRule,
  kinds: readonly Company[],
  now: Date,
): { rule: ApartRule; setOf: Int32Array } {
  const { clause } = rule;
  if (clause.effect !== 'antiAffinity') throw new TypeError(`${rule.rule} is no anti-affinity rule`);
  const { request: asked, resource: seen } = reads(EVALUATION.parse(clause.to).ast);
  const signatures = new Map<string, number>();
  const first: Company[] = [];
  const signature = kinds.map((kind) => {
    const machine = askedFor(kind.request, now) as unknown as Record<string, unknown>;
    const values = [...asked].map((name) => kind.request[name as keyof PlacementRequest]);
    const own = [...seen].map((name) => machine[name]);
    return memo(signatures, JSON.stringify([kind.held, values, own]), () => first.push(kind) - 1);
  });
  const test = interpret(clause.to);
  const cel = first.map((kind) => celRequest(kind.request));
  const resources = first.map((kind) => celResource(askedFor(kind.request, now), now));
  const chooses = (a: number, b: number): boolean =>
    first[a]!.held && test(cel[a]!, {}, resources[b]!) === 'true';
  const alone = new Set<number>();
  const pairs: (readonly [number, number])[] = [];
  const concerned = new Set<number>();
  for (let a = 0; a < first.length; a++)
    for (let b = a; b < first.length; b++) {
      if (!chooses(a, b) && (a === b || !chooses(b, a))) continue;
      concerned.add(a).add(b);
      if (a === b) alone.add(a);
      else pairs.push([a, b]);
    }
  const words = `anti-affinity ${rule.policy}/${rule.rule}: not in one ${clause.by}`;
  return {
    rule: { words, alone, pairs },
    setOf: Int32Array.from(signature, (s) => (concerned.has(s) ? s : -1)),
  };
}
