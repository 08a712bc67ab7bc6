import type { Bits } from '../cel/trivalue.ts';
import { hostRefusal, isSetAside } from '../place/available.ts';
import type { CompiledRule } from '../place/compiled.ts';
import { gpusOf } from '../place/fit.ts';
import { limitUse, withinLimit } from '../place/limits.ts';
import type { Evaluation } from '../place/place.ts';
import type { HostSize } from '../place/types.ts';
import { difference, referenceTo } from './groups.ts';
import { type Ranked, type Ranking, saving } from './ranking.ts';
import { type CapacityShortage, type LimitShortage, MOST_PLACES } from './types.ts';

/** How much a budget or quota lacks for the best offer that only it keeps out; null where it keeps none out. */
export function limitShortage(
  rule: CompiledRule,
  keptOut: readonly Bits[],
  { tables, context }: Evaluation,
  ranking: Ranking,
  winner: Ranked | null,
): LimitShortage | null {
  const { clause } = rule;
  if (clause.effect !== 'budget' && clause.effect !== 'quota') return null;
  const best = ranking.best(keptOut, winner);
  if (best === null || best === winner) return null;
  const use = limitUse(clause, tables[best.table]!.table, best.row, context);
  let oneMore: Ranked | null = null;
  for (const ranked of ranking.betterThan(keptOut, winner)) {
    if (!ranking.isBetter(ranked, oneMore)) continue;
    const { limit, used, takes } = limitUse(clause, tables[ranked.table]!.table, ranked.row, context);
    if (withinLimit({ limit: limit + 1, used, takes })) oneMore = ranked;
  }
  return {
    ...referenceTo(rule),
    effect: clause.effect,
    ...use,
    short: use.used + use.takes - use.limit,
    ...ranking.kept(best, winner),
    oneMoreSavesPerMonth: winner === null ? null : oneMore === null ? 0 : saving(oneMore, winner),
  };
}

/**
 * The compliant offers that are better than the winner and cannot be had now. `words`: how much of each table's sets
 * holds them.
 */
export function capacityShortages(
  evaluation: Evaluation,
  ranking: Ranking,
  winner: Ranked | null,
  words: readonly number[],
): CapacityShortage[] {
  const { tables, input, refusal, context } = evaluation;
  const left = tables.map(({ compliantBits, available }, t) =>
    difference(compliantBits.subarray(0, words[t]!), available),
  );
  const found: CapacityShortage[] = [];
  while (found.length < MOST_PLACES) {
    const best = ranking.best(left, winner);
    if (best === null || best === winner) break;
    left[best.table]![best.row >>> 5]! &= ~(1 << (best.row & 31));
    const { table } = tables[best.table]!;
    const aside = input.setAside.find((each) => isSetAside(table, each)?.(best.row));
    const kept = ranking.kept(best, winner);
    if (aside !== undefined) {
      found.push({ ...kept, reason: `set aside: ${aside.reason}` });
      continue;
    }
    const reason = hostRefusal(table, refusal)?.(best.row) ?? 'it cannot be had now';
    const short = shortOf(kept.offer, context);
    found.push({ ...kept, reason, ...(short !== null && { short }) });
  }
  return found;
}

/** How much room a host lacks for the request; null where room is not what is short. */
function shortOf(
  { site, host }: { site: string | null; host: string | null },
  { request, sites }: Evaluation['context'],
): HostSize | null {
  const view = sites.find((each) => each.name === site)?.hosts.find((each) => each.name === host);
  if (view === undefined || !view.ready) return null;
  const gpus = gpusOf(request);
  return {
    vcpus: Math.max(0, request.vcpus - view.free.vcpus),
    memoryGiB: Math.max(0, request.memoryGiB - view.free.memoryGiB),
    diskGiB: Math.max(0, request.diskGiB - view.free.diskGiB),
    ...(gpus > 0 && { gpus: Math.max(0, gpus - (view.free.gpus ?? 0)) }),
  };
}
