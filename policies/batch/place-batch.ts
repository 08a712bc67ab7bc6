import { HOURS_PER_MONTH } from '../place/offers.ts';
import type { Candidates } from './candidates.ts';
import { candidatesOf } from './candidates.ts';
import { circlesIn } from './circles.ts';
import { conflictsNow, conflictsOf } from './explain.ts';
import type { Limit } from './problem.ts';
import { type Answer, solveGreedy } from './solve.ts';
import { openSolver } from './solver.ts';
import type {
  BatchDecision,
  BatchInput,
  BatchOptions,
  BatchPlacement,
  Conflict,
  ShadowPrice,
  Unplaced,
} from './types.ts';

/**
 * Places many machines at once, under limits and rules they share: first as few without a place as can be, then the
 * least score. Yields an answer as soon as there is one that holds, with its gap to the least possible score, and then
 * better ones, until the gap is as wanted or the node limit is spent; leaving the loop ends the search. Where machines are left
 * without a place the last comes once more, with what is in their way proven: answers before it name what is full. Equal inputs,
 * options and seeds give equal answers, proofs aside, which take two seconds at most. Requests that make no sense are unplaced, with
 * the reasons as their conflict.
 *
 * Machines that are to be with others of the batch choose their places together (see `together.ts`). A strict preference is
 * kept as if it were a rule wherever an offer meets it: such a machine is left out rather than put elsewhere.
 */
export async function* placeBatch(
  input: BatchInput,
  options: BatchOptions = {},
): AsyncGenerator<BatchDecision> {
  const now = input.now ?? new Date();
  const { gap = 1e-3, nodeLimit = 2000, seed = 1, signal } = options;
  signal?.throwIfAborted();
  const solver = openSolver();
  try {
    const candidates = await candidatesOf(input, now, signal);
    let last: Answer | null = null;
    for await (const answer of solver.solve(candidates.batch, { gap, nodeLimit, seed }, signal)) {
      last = answer;
      yield decisionOf(input, candidates, answer, conflictsNow(input, now, candidates, answer));
    }
    if (last!.unplaced === 0) return;
    const conflicts = await conflictsOf(input, now, candidates, last!, seed, signal);
    yield decisionOf(input, candidates, last!, conflicts);
  } finally {
    await solver.close();
  }
}

/** The last answer of {@link placeBatch}. */
export async function bestBatch(input: BatchInput, options: BatchOptions = {}): Promise<BatchDecision> {
  let best: BatchDecision | null = null;
  for await (const decision of placeBatch(input, options)) best = decision;
  return best!;
}

/** One request after the other, each at its cheapest, and then repaired: without a solver, and with a weaker bound. */
export async function placeGreedy(input: BatchInput): Promise<BatchDecision> {
  const now = input.now ?? new Date();
  const candidates = await candidatesOf(input, now);
  const answer = solveGreedy(candidates.batch);
  return decisionOf(input, candidates, answer, await conflictsOf(input, now, candidates, answer, 1));
}

function decisionOf(
  input: BatchInput,
  candidates: Candidates,
  answer: Answer,
  conflicts: Conflict[],
): BatchDecision {
  const { batch, unsound } = candidates;
  const { placements, unplaced } = byRequest(input, candidates, answer);
  const pricePerHour = placements.reduce((t, p) => t + p.offer.pricePerHour * p.count, 0);
  const bad = unsound.reduce((t, u) => t + Math.max(0, input.requests[u.request]!.count || 0), 0);
  return {
    method: answer.method,
    placements,
    unplaced,
    unplacedBound: answer.unplacedBound + bad,
    pricePerHour,
    pricePerMonth: pricePerHour * HOURS_PER_MONTH,
    scorePerHour: answer.score,
    bound: answer.bound,
    gap: answer.gap,
    conflicts,
    shadowPrices: shadowPricesOf(candidates, answer),
    classes: batch.classes.length,
    options: batch.classes.reduce((t, c) => t + c.options.length, 0),
    notices: [...candidates.notices, ...circleNotices(candidates, answer)],
    catalogue: { version: input.catalogue.version, date: input.catalogue.date },
    policies: input.policies.policies.map(({ name, version }) => ({ name, version })),
  };
}

/** That a better answer may have been missed; the gap is true all the same. */
function circleNotices({ batch }: Candidates, { gap, unplaced, unplacedBound }: Answer): string[] {
  if (batch.together.length === 0 || (gap < 1e-9 && unplaced <= unplacedBound)) return [];
  return circlesIn(batch).map(
    (words) =>
      `${words}: some are to be with each other in a circle, of which a better answer may have been missed; the gap holds`,
  );
}

/** Deals the machines of each class out to its requests, in order. */
function byRequest(
  { requests }: BatchInput,
  { batch, members, unsound, offer }: Candidates,
  { placed }: Answer,
): { placements: BatchPlacement[]; unplaced: Unplaced[] } {
  const placements: BatchPlacement[] = [];
  const unplaced: Unplaced[] = unsound.map(({ request }) => ({ request, count: requests[request]!.count }));
  const of = batch.classes.map(() => [] as Answer['placed']);
  for (const p of placed) of[p.class]!.push({ ...p });
  members.forEach((own, c) => {
    const queue = of[c]!.reverse();
    for (const request of own) {
      let open = requests[request]!.count;
      while (open > 0 && queue.length > 0) {
        const next = queue.at(-1)!;
        const count = Math.min(open, next.count);
        placements.push({ request, count, offer: offer(c, next.option, next.host) });
        open -= count;
        next.count -= count;
        if (next.count === 0) queue.pop();
      }
      if (open > 0) unplaced.push({ request, count: open });
    }
  });
  const inOrder = (a: { request: number }, b: { request: number }): number => a.request - b.request;
  return { placements: placements.sort(inOrder), unplaced: unplaced.sort(inOrder) };
}

const UNITS: Record<Limit['counts'], ShadowPrice['unit']> = {
  instances: 'instance',
  vcpu: 'vCPU',
  memoryGiB: 'GiB',
  gpu: 'GPU',
  diskGiB: 'GiB of disk',
  price: 'USD/hour',
};

const ROOM_UNITS = ['vCPU', 'GiB', 'GiB of disk', 'GPU'] as const;

/** Less than this a month is rounding. */
const WORTH_TELLING = 0.005;

function shadowPricesOf({ batch }: Candidates, { worth }: Answer): ShadowPrice[] {
  if (worth === null) return [];
  return [
    ...batch.limits.map(({ words, counts }, l) => ({ words, unit: UNITS[counts], saves: worth.limits[l]! })),
    ...batch.pools.flatMap(({ words }, p) =>
      ROOM_UNITS.map((unit, d) => ({ words, unit, saves: worth.room[p]![d]! })),
    ),
  ]
    .map(({ words, unit, saves }) => ({ words, unit, savesPerMonth: saves * HOURS_PER_MONTH }))
    .filter((price) => price.savesPerMonth >= WORTH_TELLING)
    .sort((a, b) => b.savesPerMonth - a.savesPerMonth);
}
