import { memo } from '../memo.ts';
import { type CompiledPolicies, type CompiledRule, scopeHolds } from '../place/compiled.ts';
import { place } from '../place/place.ts';
import { type Candidates, candidatesOf } from './candidates.ts';
import { obstaclesNow, type Proof, wordsOf } from './conflict.ts';
import type { Batch } from './problem.ts';
import type { Answer } from './solve.ts';
import { openSolver, type Solver } from './solver.ts';
import type { BatchInput, Conflict } from './types.ts';

/** At most so many kinds of machines are explained; the rest is counted in what is unplaced. */
const MOST_CONFLICTS = 10;

/** In larger batches nothing is thought away one by one, which solves the batch each time: what is full is named. */
const SMALL = 300;

/** Of what is not proven, at most so much is named. */
const MOST_NAMED = 20;

/** Nothing is proven after so many ms; a single programme that takes longer is given up. */
const LONGEST = 2_000;

/** A programme is told to be done before that, so that it can answer with what it has. */
const MARGIN = 500;

/** Why machines find no place, as far as can be said at once: requests that make no sense, and what is full. */
export function conflictsNow(
  input: BatchInput,
  now: Date,
  candidates: Candidates,
  answer: Answer,
): Conflict[] {
  return [
    ...unsoundOf(candidates),
    ...joined(shortOf(candidates, answer).map((c) => conflictNow(input, now, candidates, c, answer))),
  ];
}

/**
 * Why machines find no place; one conflict for all requests that have the same. What cannot be proven in two seconds is said as
 * {@link conflictsNow} says it. Throws the signal's reason.
 */
export async function conflictsOf(
  input: BatchInput,
  now: Date,
  candidates: Candidates,
  answer: Answer,
  seed: number,
  signal?: AbortSignal,
): Promise<Conflict[]> {
  const short = shortOf(candidates, answer);
  const proving = new Proving(input, now, candidates, answer, seed, signal);
  const found: Conflict[] = [];
  try {
    for (const c of short)
      found.push((await proving.prove(c)) ?? conflictNow(input, now, candidates, c, answer));
  } finally {
    await proving.close();
  }
  return [...unsoundOf(candidates), ...joined(found)];
}

function unsoundOf({ unsound }: Candidates): Conflict[] {
  return unsound.map(({ request, reasons }) => ({
    requests: [request],
    because: reasons,
    irreducible: true,
  }));
}

/** The first classes of which some are without a place. */
function shortOf({ batch }: Candidates, { placed }: Answer): number[] {
  const has = placedOf(batch, placed);
  return batch.classes.flatMap(({ count }, c) => (has[c]! < count ? [c] : [])).slice(0, MOST_CONFLICTS);
}

function placedOf({ classes }: Batch, placed: Answer['placed']): number[] {
  const has = classes.map(() => 0);
  for (const p of placed) has[p.class]! += p.count;
  return has;
}

function joined(conflicts: readonly Conflict[]): Conflict[] {
  const same = new Map<string, Conflict>();
  for (const conflict of conflicts) {
    const key = JSON.stringify([conflict.because, conflict.irreducible]);
    const known = same.get(key);
    if (known === undefined) same.set(key, { ...conflict, requests: [...conflict.requests] });
    else known.requests.push(...conflict.requests);
  }
  return [...same.values()];
}

function conflictNow(
  input: BatchInput,
  now: Date,
  { batch, members }: Candidates,
  c: number,
  { placed }: Answer,
): Conflict {
  const requests = [...members[c]!];
  const because =
    batch.classes[c]!.options.length === 0
      ? place({ ...input, request: input.requests[requests[0]!]!.request, now }).reasons
      : obstaclesNow(batch, c, placed).map((o) => wordsOf(batch, o));
  return { requests, because: because.slice(0, MOST_NAMED), irreducible: false };
}

/** Proves conflict after conflict, for as long as there is time. */
class Proving {
  readonly #input: BatchInput;
  readonly #now: Date;
  readonly #candidates: Candidates;
  readonly #has: readonly number[];
  readonly #seed: number;
  readonly #until = performance.now() + LONGEST;
  readonly #late = AbortSignal.timeout(LONGEST);
  readonly #gone: AbortSignal | undefined;
  readonly #ended: AbortSignal;
  /** A thread of its own: that of the answers may go on with them. */
  #solver: Solver | null = null;
  /** What the batch comes to under some of the rules: many kinds are explained under the same. */
  readonly #under = new Map<string, Promise<Candidates>>();

  constructor(
    input: BatchInput,
    now: Date,
    candidates: Candidates,
    { placed }: Answer,
    seed: number,
    gone: AbortSignal | undefined,
  ) {
    this.#input = input;
    this.#now = now;
    this.#candidates = candidates;
    this.#has = placedOf(candidates.batch, placed);
    this.#seed = seed;
    this.#gone = gone;
    this.#ended = gone === undefined ? this.#late : AbortSignal.any([gone, this.#late]);
  }

  async close(): Promise<void> {
    await this.#solver?.close();
  }

  /** What stands in the way of a class; null: nothing is proven. */
  async prove(c: number): Promise<Conflict | null> {
    this.#gone?.throwIfAborted();
    if (this.#isLate(0)) return null;
    try {
      return this.#candidates.batch.classes[c]!.options.length === 0
        ? await this.#withoutOffers(c)
        : await this.#withoutRoom(c);
    } catch (error) {
      if (this.#gone?.aborted || !this.#late.aborted) throw error;
      return null;
    }
  }

  #isLate(margin = MARGIN): boolean {
    return performance.now() > this.#until - margin;
  }

  /** No offer fits and is allowed: the rules without any one of which there would be one, or what the request itself asks. */
  async #withoutOffers(c: number): Promise<Conflict> {
    const input = this.#input;
    const requests = [...this.#candidates.members[c]!];
    const { request } = input.requests[requests[0]!]!;
    const alone = async (policies: CompiledPolicies): Promise<boolean> => {
      const one = { ...input, requests: [{ request, count: 1 }], policies };
      const { batch } = await candidatesOf(one, this.#now, this.#ended);
      return batch.classes[0]!.options.length === 0;
    };
    const free = { ...input.policies, rules: [] };
    if (await alone(free)) {
      const { reasons } = place({ ...input, request, now: this.#now, policies: free });
      return { requests, because: reasons, irreducible: false };
    }
    const { needed, irreducible } = await this.#neededRules(c, () => true, alone);
    return { requests, because: needed.map(rejects), irreducible };
  }

  /**
   * There are offers, but limits, spread, anti-affinity or hosts leave no room. Rules first, as they narrow the offers
   * down to the scarce ones; then the rest, under the rules that are needed.
   */
  async #withoutRoom(c: number): Promise<Conflict | null> {
    const { batch, members } = this.#candidates;
    if (batch.classes.length > SMALL) return null;
    const all = await this.#proofUnder(this.#input.policies, c);
    if (all.proof === null) return null;
    const narrowing = (rule: CompiledRule): boolean => ['require', 'deny', 'maxPrice'].includes(rule.effect);
    const isStuck = async (some: CompiledPolicies): Promise<boolean> =>
      (await this.#proofUnder(some, c)).proof !== null;
    const found = await this.#neededRules(c, narrowing, isStuck);
    const least = found.policies === this.#input.policies ? all : await this.#proofUnder(found.policies, c);
    const { obstacles, irreducible } = least.proof ?? { obstacles: [], irreducible: false };
    return {
      requests: [...members[c]!],
      because: [...obstacles.map((o) => wordsOf(least.in, o)), ...found.needed.map(rejects)],
      irreducible: irreducible && found.irreducible,
    };
  }

  async #proofUnder(policies: CompiledPolicies, c: number): Promise<{ in: Batch; proof: Proof | null }> {
    const { members } = this.#candidates;
    const first = members[c]![0]!;
    const { batch, members: others } = await this.#candidatesUnder(policies);
    // Without a rule that reads names, classes may have been joined.
    const counts = others.map((own) =>
      members.reduce((t, of, i) => t + (of[0] !== first && own.includes(of[0]!) ? this.#has[i]! : 0), 0),
    );
    const own = others.findIndex((of) => of.includes(first));
    this.#solver ??= openSolver();
    const within = this.#until - MARGIN - performance.now();
    return {
      in: batch,
      proof: await this.#solver.conflict(batch, own, counts, this.#seed, within, this.#ended),
    };
  }

  #candidatesUnder(policies: CompiledPolicies): Promise<Candidates> | Candidates {
    if (policies === this.#input.policies) return this.#candidates;
    return memo(this.#under, JSON.stringify(policies.rules.map(nameOf)), () =>
      candidatesOf({ ...this.#input, policies }, this.#now, this.#ended),
    );
  }

  /**
   * The deletion filter over rules: those of the request's scopes that cannot be taken away, one after the other, without
   * `stuck` ending to hold; and the policies with what was not taken away. Rules that there was no time for are among them.
   */
  async #neededRules(
    c: number,
    may: (rule: CompiledRule) => boolean,
    stuck: (policies: CompiledPolicies) => Promise<boolean>,
  ): Promise<{ policies: CompiledPolicies; needed: CompiledRule[]; irreducible: boolean }> {
    const { request } = this.#input.requests[this.#candidates.members[c]![0]!]!;
    let policies = this.#input.policies;
    let irreducible = true;
    const needed: CompiledRule[] = [];
    const seen = new Set<string>();
    for (const rule of policies.rules) {
      const name = nameOf(rule);
      if (rule.mode !== 'enforce' || !scopeHolds(rule.scope, request) || !may(rule) || seen.has(name))
        continue;
      seen.add(name);
      const without = { ...policies, rules: policies.rules.filter((r) => nameOf(r) !== name) };
      const isCut = this.#isLate();
      if (isCut) irreducible = false;
      if (!isCut && (await stuck(without))) policies = without;
      else needed.push(rule);
    }
    return { policies, needed, irreducible };
  }
}

function nameOf({ scope, policy, rule }: CompiledRule): string {
  return JSON.stringify([scope, policy, rule]);
}

function rejects({ policy, rule, line, file }: CompiledRule): string {
  return `rule ${policy}/${rule} (${file}:${line}) rejects offers`;
}
