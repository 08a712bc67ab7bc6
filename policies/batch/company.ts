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
 * Which kinds of machines of a batch an anti-affinity rule keeps apart: those a rule of one chooses the other by, where it
 * has a say over it. A machine of the batch has no place yet, so `to` sees an empty site, region, … of it. Answers the rule and,
 * for each kind, its sets; null: it is kept apart from none.
 */
export function keptApart(
  rule: CompiledRule,
  kinds: readonly Company[],
  now: Date,
): { rule: ApartRule; setsOf: (readonly [held: number, free: number] | null)[] } {
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
  const isPartly = (rule.gate?.offerAttributes.size ?? 0) > 0;
  /** Two sets for each: where the rule has a say over it, and where not. */
  const held = (set: number): boolean => set % 2 === 0;
  const setsOf = (a: number): number[] =>
    !first[a]!.held ? [2 * a + 1] : isPartly ? [2 * a, 2 * a + 1] : [2 * a];
  const alone = new Set<number>();
  const pairs: (readonly [number, number])[] = [];
  const concerned = new Set<number>();
  for (let a = 0; a < first.length; a++)
    for (let b = a; b < first.length; b++) {
      const isChosen = first[a]!.held && test(cel[a]!, {}, resources[b]!) === 'true';
      const chooses = first[b]!.held && (a === b ? isChosen : test(cel[b]!, {}, resources[a]!) === 'true');
      if (!isChosen && !chooses) continue;
      for (const own of setsOf(a))
        for (const other of setsOf(b)) {
          if (own > other || !((isChosen && held(own)) || (chooses && held(other)))) continue;
          concerned.add(own).add(other);
          if (own === other) alone.add(own);
          else pairs.push([own, other]);
        }
    }
  const words = `anti-affinity ${rule.policy}/${rule.rule}: not in one ${clause.by}`;
  const named = (set: number): number => (concerned.has(set) ? set : -1);
  return {
    rule: { words, alone, pairs },
    setsOf: signature.map((s) => {
      const sets = [named(2 * s), named(2 * s + 1)] as const;
      return sets[0] < 0 && sets[1] < 0 ? null : sets;
    }),
  };
}
