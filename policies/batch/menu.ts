/** What a kind of request may choose from, for one size. */
import { gpusOf } from '../place/fit.ts';
import { scoreOf } from '../place/surcharges.ts';
import type { PlacementRequest } from '../place/types.ts';
import type { Group } from './groups.ts';
import type { Options } from './problem.ts';

/** What to choose from, lowest score first. */
export type Menu = Omit<Options, 'cells'> & { groups: readonly Group[] };

/** A menu before it is known what its groups mean to the coupled rules: `group` is a place in the list of them. */
export type Picked = Omit<Options, 'cells' | 'meaning'> & { group: Int32Array };

/** A row of the menu. */
interface Dish {
  /** Of the list of groups. */
  at: number;
  group: Group;
  row: number;
  price: number;
  score: number;
  vcpus: number;
  memory: number;
  gpus: number;
}

/**
 * What to choose from for one size. Of the offers of a group only the cheapest that fits is worth looking at, and a
 * dearer one only where it takes less of a quota: any answer with another is still within all limits, and no dearer,
 * with that one in its stead.
 */
export function picked(request: PlacementRequest, groups: readonly Group[]): Picked {
  const found = groups.flatMap((group, at) => dishesOf(request, group, at));
  // Missing a strict preference is never worth a place: only the offers that miss the fewest are looked at.
  const tier = found.reduce((t, o) => Math.min(t, o.group.of.tier), Number.POSITIVE_INFINITY);
  const best = found.filter((o) => o.group.of.tier === tier);
  best.sort((a, b) => a.score - b.score || a.price - b.price);
  return {
    length: best.length,
    score: Float64Array.from(best, (o) => o.score),
    price: Float64Array.from(best, (o) => o.price),
    vcpus: Float64Array.from(best, (o) => o.vcpus),
    memoryGiB: Float64Array.from(best, (o) => o.memory),
    gpuCount: Float64Array.from(best, (o) => o.gpus),
    offer: Uint32Array.from(best, (o) => o.row),
    pool: Int32Array.from(best, (o) => o.group.offered.pool?.index ?? -1),
    group: Int32Array.from(best, (o) => o.at),
  };
}

/** The menu of what was picked from groups at the same places in another list. */
export function menuFrom({ group, ...rest }: Picked, groups: readonly Group[]): Menu {
  return {
    ...rest,
    meaning: group.map((at) => groups[at]!.meaning),
    groups: [...new Set(group)].map((at) => groups[at]!),
  };
}

export function menuOf(request: PlacementRequest, groups: readonly Group[]): Menu {
  return menuFrom(picked(request, groups), groups);
}

function dishesOf(request: PlacementRequest, group: Group, at: number): Dish[] {
  const { table } = group;
  const vcpus = table.numbers('vcpus');
  const memory = table.numbers('memoryGiB');
  const gpus = table.numbers('gpuCount');
  const prices = table.numbers('pricePerHour');
  const counted = countedBy(group);
  if (!group.sifted) {
    group.rows = worthwhile(group.rows, [vcpus, memory, gpus], counted);
    group.sifted = true;
  }
  const most = request.maxPricePerHour > 0 ? request.maxPricePerHour : Number.POSITIVE_INFINITY;
  const wantedGpus = gpusOf(request);
  const found: Dish[] = [];
  // The least of each that an offer so far takes, where a quota counts it.
  let [v, m, g] = counted.map((is) => (is ? Number.POSITIVE_INFINITY : 0)) as [number, number, number];
  for (const row of group.rows) {
    const ownVcpus = vcpus[row]!;
    const ownMemory = memory[row]!;
    const ownGpus = gpus[row]!;
    const price = prices[row]!;
    if (ownVcpus < request.vcpus || ownMemory < request.memoryGiB || ownGpus < wantedGpus) continue;
    if (price > most) break;
    if (found.length > 0 && ownVcpus >= v && ownMemory >= m && ownGpus >= g) continue;
    const score = scoreOf(group.of, price);
    found.push({ at, group, row, price, score, vcpus: ownVcpus, memory: ownMemory, gpus: ownGpus });
    v = Math.min(v, ownVcpus);
    m = Math.min(m, ownMemory);
    g = Math.min(g, ownGpus);
    if (v <= request.vcpus && m <= request.memoryGiB && g <= wantedGpus) break;
  }
  return found;
}

/** Whether a quota counts a group's vCPUs, memory and GPUs. */
function countedBy({ coupled }: Group): boolean[] {
  const counted = new Set<string>(
    coupled.map(({ clause }) => (clause.effect === 'quota' ? clause.resource : '')),
  );
  return ['vcpu', 'memoryGiB', 'gpu'].map((resource) => counted.has(resource));
}

/**
 * The offers of a group, cheapest first, that some size may want: not those for which a cheaper one is as large, and
 * no larger in what a quota counts.
 */
function worthwhile(
  rows: readonly number[],
  [vcpus, memory, gpus]: readonly ArrayLike<number>[],
  counted: readonly boolean[],
): number[] {
  const [exactVcpus, exactMemory, exactGpus] = counted;
  const kept: number[] = [];
  for (const row of rows) {
    const v = vcpus![row]!;
    const m = memory![row]!;
    const g = gpus![row]!;
    let covered = false;
    for (let i = 0; i < kept.length && !covered; i++) {
      const other = kept[i]!;
      covered =
        (exactVcpus ? vcpus![other] === v : vcpus![other]! >= v) &&
        (exactMemory ? memory![other] === m : memory![other]! >= m) &&
        (exactGpus ? gpus![other] === g : gpus![other]! >= g);
    }
    if (!covered) kept.push(row);
  }
  return kept;
}
