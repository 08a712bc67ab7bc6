import type { Schemas } from '@landfall/model';
import {
  type BatchDecision,
  type BatchInput,
  type CompiledPolicies,
  NO_POLICIES,
  type PlacementRequest,
  placeBatch,
} from '@landfall/policies';
import { readsEstate } from './ledger-keys.ts';
import { noProvider } from './place.ts';
import { type PlacementSubject, placementRequest, UnreadablePolicy } from './place-input.ts';
import type { View } from './view.ts';

/** `count` machines of one request; its spec has no rules of its own. */
export interface BatchSubject {
  subject: PlacementSubject;
  count: number;
}

/** Branch-and-bound nodes per programme: a number of nodes and not a time, so that equal requests get equal answers. */
const NODES = 200;

/** A search that takes longer, ms, ends with the answer it has, which says so: the one case that a clock decides. */
const LONGEST = 20_000;

/**
 * Places the requests of one project together, over what the view knows. Fails closed as a single placement does: under
 * a policy that cannot be read nothing finds a place, and the conflict says why.
 */
export async function runBatch(
  view: View,
  wanted: readonly BatchSubject[],
  options: { gap?: number; signal: AbortSignal },
): Promise<Schemas['PlacementBatchDecision']> {
  const { policies, unreadable } = await readPolicies(view);
  const requests: { request: PlacementRequest; count: number }[] = [];
  /** Where in `wanted` each of them is. */
  const places: number[] = [];
  const refused = new Map<string, number[]>();
  for (const [place, { subject, count }] of wanted.entries()) {
    const image = await view.image(subject.spec.image ?? '');
    const request = { ...placementRequest(subject, image), count };
    const why = unreadable ?? (request.providers.length === 0 ? noProvider(subject, image) : null);
    if (why === null) {
      requests.push({ request, count });
      places.push(place);
    } else refused.set(why, [...(refused.get(why) ?? []), place]);
  }
  const catalogue = await view.catalogue();
  const { version, date, sources } = catalogue;
  const minds = await view.ownAntiAffinity();
  const counts = wanted.some(({ subject }) => readsEstate(policies, [], subject, minds));
  const decision = await bestInTime(
    {
      requests,
      catalogue,
      sites: await view.sites(await view.hosts()),
      policies,
      setAside: await view.setAside(),
      includeUnconfigured: true,
      estate: counts ? (await view.estate()).machines : [],
      now: new Date(),
    },
    options,
  );
  const without = [...refused.values()].flat().map((request) => ({ request, count: wanted[request]!.count }));
  const back = <T extends { request: number }>(of: T): T => ({ ...of, request: places[of.request]! });
  return {
    ...decision,
    placements: decision.placements.map(back) as Schemas['PlacementBatchDecision']['placements'],
    unplaced: [...decision.unplaced.map(back), ...without].sort((a, b) => a.request - b.request),
    unplacedBound: decision.unplacedBound + without.reduce((t, { count }) => t + count, 0),
    currency: 'USD',
    catalogue: { version, date, sources },
    conflicts: [
      ...decision.conflicts.map((conflict) => ({
        ...conflict,
        requests: conflict.requests.map((request) => places[request]!),
      })),
      ...[...refused].map(([why, of]) => ({ requests: of, because: [why], irreducible: true })),
    ],
  };
}

/** The best answer that is found in time; the first, from the linear programme, is always waited for. */
async function bestInTime(
  input: BatchInput,
  { signal, ...options }: { gap?: number; signal: AbortSignal },
): Promise<BatchDecision> {
  const late = AbortSignal.timeout(LONGEST);
  let best: BatchDecision | null = null;
  try {
    const search = { ...options, nodeLimit: NODES, signal: AbortSignal.any([signal, late]) };
    for await (const decision of placeBatch(input, search)) best = decision;
  } catch (error) {
    if (best === null || signal.aborted || !late.aborted) throw error;
    const notice = `the search for a better answer was ended after ${LONGEST / 1000} seconds`;
    return { ...best, notices: [...best.notices, notice] };
  }
  return best!;
}

/** The policies in force; where one cannot be read none, and why. */
export async function readPolicies(
  view: View,
): Promise<{ policies: CompiledPolicies; unreadable: string | null }> {
  try {
    return { policies: await view.policies(), unreadable: null };
  } catch (error) {
    if (!(error instanceof UnreadablePolicy)) throw error;
    return { policies: NO_POLICIES, unreadable: error.message };
  }
}
