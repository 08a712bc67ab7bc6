import { interpret } from '../cel/columnar.ts';
import { celRequest, celResource, EVALUATION, reads } from '../cel/schema.ts';
import { memo } from '../memo.ts';
import { askedFor, chosenMachines } from '../place/chosen-machines.ts';
import type { Circumstances } from '../place/circumstances.ts';
import type { CompiledRule } from '../place/compiled.ts';
import type { PlacementRequest } from '../place/types.ts';

/** One kind of request, how many machines of it there are, and whether the rule has a say over it. */
export interface Member {
  request: PlacementRequest;
  count: number;
  held: boolean;
  context: Circumstances;
}

/**
 * Which kinds an affinity rule wants beside machines that only this batch is about to make: none that it chooses exists,
 * and another machine of the batch would be one. Where those will stand is not known while they all are being placed, so
 * a batch cannot promise it; taken alone, each would count as the first of them and might stand anywhere.
 */
export function besideOwn(rule: CompiledRule, members: readonly Member[], now: Date): boolean[] {
  const { clause } = rule;
  if (clause.effect !== 'affinity') throw new TypeError(`${rule.rule} is no affinity rule`);
  const { request: asked, resource: seen } = reads(EVALUATION.parse(clause.to).ast);
  const test = interpret(clause.to);
  /** One machine for all that are alike to the rule, and how many they are. */
  const alike = new Map<string, { resource: ReturnType<typeof celResource>; count: number }>();
  const looks = members.map(({ request, count }) => {
    const machine = askedFor(request, now);
    const own = [...seen].map((name) => (machine as unknown as Record<string, unknown>)[name]);
    const key = JSON.stringify(own);
    memo(alike, key, () => ({ resource: celResource(machine, now), count: 0 })).count += count;
    return key;
  });
  const choices = new Map<string, Set<string>>();
  return members.map(({ request, held, context }, i) => {
    if (!held) return false;
    const key = JSON.stringify([...asked].map((name) => request[name as keyof PlacementRequest]));
    const chosen = memo(choices, key, () => {
      const cel = celRequest(request);
      return new Set(
        [...alike].filter(([, { resource }]) => test(cel, {}, resource) === 'true').map(([look]) => look),
      );
    });
    const others = [...chosen].reduce((t, look) => t + alike.get(look)!.count, 0);
    if (others - (chosen.has(looks[i]!) ? 1 : 0) < 1) return false;
    return chosenMachines(clause.to, { ...context, request, cel: celRequest(request) }).length === 0;
  });
}
