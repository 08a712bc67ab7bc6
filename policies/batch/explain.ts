import type { Highs } from 'highs';
import { type CompiledPolicies, type CompiledRule, scopeHolds } from '../place/compiled.ts';
import { place } from '../place/place.ts';
import type { PlacementRequest } from '../place/types.ts';
import { type Candidates, candidatesOf } from './candidates.ts';
import { conflictOf, obstaclesNow, wordsOf } from './conflict.ts';
import { loadHighs } from './linear.ts';
import type { Batch } from './problem.ts';
import type { Obstacle } from './rows.ts';
import type { Answer } from './solve.ts';
import type { BatchInput, Conflict } from './types.ts';

/** At most so many kinds of machines are explained; the rest is counted in what is unplaced. */
const MOST_CONFLICTS = 10;

/** In larger batches nothing is thought away one by one, which solves the batch each time: what is full is named. */
const SMALL = 300;

/** Of what is not proven, at most so much is named. */
const MOST_NAMED = 20;

/** Why machines find no place; one conflict for all requests that have the same. */
export async function conflictsOf(
  input: BatchInput,
  now: Date,
  candidates: Candidates,
  { placed, unplaced }: Answer,
  seed: number,
): Promise<Conflict[]> {
  const { batch, members, unsound } = candidates;
  const found: Conflict[] = unsound.map(({ request, reasons }) => ({
    requests: [request],
    because: reasons,
    irreducible: true,
  }));
  if (unplaced === 0) return found;
  const highs = await loadHighs().catch(() => null);
  const has = batch.classes.map(() => 0);
  for (const p of placed) has[p.class]! += p.count;
  const short = batch.classes.flatMap((machines, c) => (has[c]! < machines.count ? [c] : []));
  const same = new Map<string, Conflict>();
  for (const c of short.slice(0, MOST_CONFLICTS)) {
    const conflict =
      batch.classes[c]!.options.length === 0
        ? await withoutOffers(input, now, members[c]!)
        : await withoutRoom(highs, input, now, candidates, c, placed, has, seed);
    const key = JSON.stringify([conflict.because, conflict.irreducible]);
    const known = same.get(key);
    if (known === undefined) same.set(key, conflict);
    else known.requests.push(...conflict.requests);
  }
  return [...found, ...same.values()];
}

/** No offer fits and is allowed: the rules without any one of which there would be one, or what the request itself asks. */
async function withoutOffers(input: BatchInput, now: Date, members: readonly number[]): Promise<Conflict> {
  const { request } = input.requests[members[0]!]!;
  const alone = async (policies: CompiledPolicies): Promise<boolean> => {
    const { batch } = await candidatesOf({ ...input, requests: [{ request, count: 1 }], policies }, now);
    return batch.classes[0]!.options.length === 0;
  };
  if (await alone({ ...input.policies, rules: [] })) {
    const decision = place({ ...input, request, now, policies: { ...input.policies, rules: [] } });
    return { requests: [...members], because: decision.reasons, irreducible: false };
  }
  const { needed } = await neededRules(input.policies, request, () => true, alone);
  return { requests: [...members], because: needed.map(rejects), irreducible: true };
}

function rejects({ policy, rule, line, file }: CompiledRule): string {
  return `rule ${policy}/${rule} (${file}:${line}) rejects offers`;
}

/**
 * The deletion filter over rules: those of the request's scopes that cannot be taken away, one after the other, without
 * `stuck` ending to hold; and the policies with what was not taken away.
 */
async function neededRules(
  all: CompiledPolicies,
  request: PlacementRequest,
  may: (rule: CompiledRule) => boolean,
  stuck: (policies: CompiledPolicies) => Promise<boolean>,
): Promise<{ policies: CompiledPolicies; needed: CompiledRule[] }> {
  const named = (rule: CompiledRule): string => JSON.stringify([rule.scope, rule.policy, rule.rule]);
  let policies = all;
  const needed: CompiledRule[] = [];
  const seen = new Set<string>();
  for (const rule of all.rules) {
    if (rule.mode !== 'enforce' || !scopeHolds(rule.scope, request) || !may(rule) || seen.has(named(rule)))
      continue;
    seen.add(named(rule));
    const without = { ...policies, rules: policies.rules.filter((r) => named(r) !== named(rule)) };
    if (await stuck(without)) policies = without;
    else needed.push(rule);
  }
  return { policies, needed };
}

/**
 * There are offers, but limits, spread, anti-affinity or hosts leave no room. Rules first, as they narrow the offers
 * down to the scarce ones; then the rest, under the rules that are needed.
 */
async function withoutRoom(
  highs: Highs | null,
  input: BatchInput,
  now: Date,
  candidates: Candidates,
  c: number,
  placed: Answer['placed'],
  has: readonly number[],
  seed: number,
): Promise<Conflict> {
  const { batch, members } = candidates;
  const requests = [...members[c]!];
  const first = requests[0]!;
  const under = async (policies: CompiledPolicies): Promise<{ in: Batch; obstacles: Obstacle[] | null }> => {
    const other = policies === input.policies ? candidates : await candidatesOf({ ...input, policies }, now);
    // Without a rule that reads names, classes may have been joined.
    const counts = other.members.map((own) =>
      members.reduce((t, of, i) => t + (of[0] !== first && own.includes(of[0]!) ? has[i]! : 0), 0),
    );
    const own = other.members.findIndex((of) => of.includes(first));
    const obstacles = conflictOf(highs!, other.batch, own, counts, seed);
    return { in: other.batch, obstacles };
  };
  const provable = highs !== null && batch.classes.length <= SMALL;
  if (!provable || (await under(input.policies)).obstacles === null)
    return {
      requests,
      because: obstaclesNow(batch, c, placed)
        .slice(0, MOST_NAMED)
        .map((o) => wordsOf(batch, o)),
      irreducible: false,
    };
  const narrowing = (rule: CompiledRule): boolean => ['require', 'deny', 'maxPrice'].includes(rule.effect);
  const { policies, needed } = await neededRules(
    input.policies,
    input.requests[first]!.request,
    narrowing,
    async (some) => (await under(some)).obstacles !== null,
  );
  const least = await under(policies);
  return {
    requests,
    because: [...(least.obstacles ?? []).map((o) => wordsOf(least.in, o)), ...needed.map(rejects)],
    irreducible: true,
  };
}
