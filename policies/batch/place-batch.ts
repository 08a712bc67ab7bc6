import { HOURS_PER_MONTH } from '../place/offers.ts';
import type { Candidates } from './candidates.ts';
import { candidatesOf } from './candidates.ts';
import { conflictsOf } from './explain.ts';
import type { Limit } from './problem.ts';
import { type Answer, solveGreedy } from './solve.ts';
import { openSolver } from './solver.ts';
import type {
  BatchDecision,
  BatchInput,
  BatchOptions,
  BatchPlacement,
  ShadowPrice,
  Unplaced,
} from './types.ts';

/**
 * Places many machines at once, under limits and rules they share: first as few without a place as can be, then the
 * least score. Yields an answer as soon as there is one that holds, with its gap to the least possible score, and then
 * better ones, until the gap is as wanted or the node limit is spent; leaving the loop ends the search. Equal inputs,
 * options and seeds give equal answers; no clock is asked. Requests that make no sense are unplaced, with the reasons
 * as their conflict.
 *
 * Affinity is towards machines that exist: a request that a rule wants beside others of the batch is left out, with that
 * as its conflict. A strict preference is
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
    const candidates = await candidatesOf(input, now);
    for await (const answer of solver.solve(candidates.batch, { gap, nodeLimit, seed }, signal))
      yield await decisionOf(input, now, candidates, answer, seed);
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
  return decisionOf(input, now, candidates, solveGreedy(candidates.batch), 1);
}

async function decisionOf(
  input: BatchInput,
  now: Date,
  candidates: Candidates,
  answer: Answer,
  seed: number,
): Promise<BatchDecision> {
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
    conflicts: await conflictsOf(input, now, candidates, answer, seed),
    shadowPrices: shadowPricesOf(candidates, answer),
    classes: batch.classes.length,
    options: batch.classes.reduce((t, c) => t + c.options.length, 0),
    notices: candidates.notices,
    catalogue: { version: input.catalogue.version, date: input.catalogue.date },
    policies: input.policies.policies.map(({ name, version }) => ({ name, version })),
  };
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
