/** Affinity in large batches: where each set of machines stands is chosen first, and then the machines are placed. */
import { memo } from '../memo.ts';
import {
  ALONE,
  type Batch,
  type Cell,
  cellOf,
  type MachineClass,
  type Options,
  type Placed,
  takes,
  UNKNOWN,
  within,
} from './problem.ts';
import { type Standing, standingsOf } from './together.ts';

/** The batch as if nobody had to be with anybody: what no answer is better than. */
export function withoutTogether(batch: Batch): Batch {
  return {
    ...batch,
    classes: batch.classes.map((machines) => ({ ...machines, together: new Map() })),
    together: [],
  };
}

/** Whether each set of machines has to be with its like alone: all of it stands in one domain, then, which may be any. */
export function standTogether({ together }: Batch): boolean {
  return together.every(({ sets }) =>
    sets.every(
      ({ beside, existing, mayBeFirst }, set) =>
        mayBeFirst && existing.size === 0 && beside?.length === 1 && beside[0] === set,
    ),
  );
}

/** Where sets of machines stand. */
export interface Homes {
  /** By rule and set, the domain. */
  of: ReadonlyMap<string, number>;
  /** The batch is dearer than without affinity by at least this, USD an hour. */
  dearer: number;
}

/**
 * Chooses a domain for each set of machines of a batch that {@link standTogether}, the largest set first: the one that is cheapest
 * by `reduced`, what an option costs beside the prices of all that is scarce (at least, and nothing for the best of each class), and
 * that has room left by the limits. Null: some set has none.
 *
 * `dearer` is Lagrangian: at those prices each set is at least so much dearer in its cheapest domain than its machines one by
 * one, whatever the others do.
 */
export function homesOf(batch: Batch, reduced: (c: number, option: number) => number): Homes | null {
  const sets = setsOf(batch);
  const left = batch.limits.map(within);
  const of = new Map<string, number>();
  let dearer = 0;
  const seen = new Set<number>();
  for (const { key, classes } of sets) {
    const costs = costsOf(batch, key, classes, reduced);
    // A class in sets of several rules counts once, and one that may stand where the rule has no say, not at all.
    const isBound = classes.every((c) => !seen.has(c) && hasSayEverywhere(batch.classes[c]!, key));
    if (isBound && costs.length > 0) dearer += Math.max(0, costs[0]!.cost - free(classes, reduced, batch));
    for (const c of classes) seen.add(c);
    const home = costs.find(({ domain }) => takeRoom(batch, key, classes, domain, reduced, left));
    if (home === undefined) return null;
    of.set(key, home.domain);
  }
  return { of, dearer };
}

const keyOf = ({ rule, set }: Pick<Standing, 'rule' | 'set'>): string => `${rule}/${set}`;

/** The sets with their classes, the largest first. */
export function setsOf({ classes }: Batch): { key: string; classes: number[]; size: number }[] {
  const found = new Map<string, { key: string; classes: number[]; size: number }>();
  classes.forEach(({ together, count, size }, c) => {
    for (const [rule, [held]] of together) {
      if (held < 0) continue;
      const key = keyOf({ rule, set: held });
      const known = memo(found, key, () => ({ key, classes: [], size: 0 }));
      known.classes.push(c);
      known.size += count * size[0];
    }
  });
  return [...found.values()].sort((a, b) => b.size - a.size);
}

/** The domain of an option to a set; null: the rule has no say there, or nobody knows. */
export function domainAt({ together, options }: MachineClass, option: number, key: string): number | null {
  for (const standing of standingsOf(together, cellOf(options, option).together))
    if (keyOf(standing) === key)
      return standing.domain === ALONE || standing.domain === UNKNOWN ? null : standing.domain;
  return null;
}

function hasSayEverywhere(machines: MachineClass, key: string): boolean {
  for (let option = 0; option < machines.options.length; option++)
    if (domainAt(machines, option, key) === null) return false;
  return true;
}

/** The cheapest of a class in each domain. */
function cheapestIn(
  batch: Batch,
  c: number,
  key: string,
  reduced: (c: number, option: number) => number,
): Map<number, number> {
  const machines = batch.classes[c]!;
  const best = new Map<number, number>();
  for (let option = 0; option < machines.options.length; option++) {
    const domain = domainAt(machines, option, key);
    if (domain === null) continue;
    const cost = reduced(c, option);
    if (cost < (best.get(domain) ?? Number.POSITIVE_INFINITY)) best.set(domain, cost);
  }
  return best;
}

/** What a set costs in each domain where all of it may stand, the cheapest first. */
function costsOf(
  batch: Batch,
  key: string,
  classes: readonly number[],
  reduced: (c: number, option: number) => number,
): { domain: number; cost: number }[] {
  const sums = new Map<number, { cost: number; classes: number }>();
  for (const c of classes)
    for (const [domain, cost] of cheapestIn(batch, c, key, reduced)) {
      const known = memo(sums, domain, () => ({ cost: 0, classes: 0 }));
      known.cost += cost * batch.classes[c]!.count;
      known.classes++;
    }
  return [...sums]
    .filter(([, sum]) => sum.classes === classes.length)
    .map(([domain, { cost }]) => ({ domain, cost }))
    .sort((a, b) => a.cost - b.cost || a.domain - b.domain);
}

/** What the machines of some classes cost each at its best. */
function free(
  classes: readonly number[],
  reduced: (c: number, option: number) => number,
  batch: Batch,
): number {
  return classes.reduce((t, c) => {
    const { options, count } = batch.classes[c]!;
    let best = Number.POSITIVE_INFINITY;
    for (let option = 0; option < options.length; option++) best = Math.min(best, reduced(c, option));
    return t + best * count;
  }, 0);
}

/** Takes what a set needs in a domain off what is left of the limits; false, and nothing taken, where that is not enough. */
function takeRoom(
  batch: Batch,
  key: string,
  classes: readonly number[],
  domain: number,
  reduced: (c: number, option: number) => number,
  left: number[],
): boolean {
  const taken = new Map<number, number>();
  for (const c of classes) {
    const machines = batch.classes[c]!;
    const { options, count } = machines;
    const usable: { option: number; cost: number }[] = [];
    for (let option = 0; option < options.length; option++)
      if (domainAt(machines, option, key) === domain) usable.push({ option, cost: reduced(c, option) });
    usable.sort((a, b) => a.cost - b.cost);
    const needs = (option: number, l: number): number => takes(batch.limits[l]!, machines, option) * count;
    const fits = usable.find(({ option }) =>
      cellOf(options, option).limits.every((l) => (taken.get(l) ?? 0) + needs(option, l) <= left[l]!),
    );
    if (fits === undefined) return false;
    for (const l of cellOf(options, fits.option).limits)
      taken.set(l, (taken.get(l) ?? 0) + needs(fits.option, l));
  }
  for (const [l, amount] of taken) left[l]! -= amount;
  return true;
}

export interface AtHome {
  batch: Batch;
  /** The option of a class in the batch itself. */
  optionOf: (c: number, option: number) => number;
  back: (placed: Placed[]) => Placed[];
}

/** The batch with each set at its home, and the way back: what was placed in it, as placed in the batch itself. */
export function atHome(batch: Batch, homes: Pick<Homes, 'of'>): AtHome {
  const known = new Map<Options['meaning'], Map<string, number[]>>();
  const narrowed = new Map<number[], Map<Options['cells'], Options>>();
  const kept: (number[] | null)[] = [];
  const classes = withoutTogether(batch).classes.map((plain, c): MachineClass => {
    const machines = batch.classes[c]!;
    const keys = [...machines.together].flatMap(([rule, [held]]) =>
      held < 0 ? [] : [keyOf({ rule, set: held })],
    );
    if (keys.length === 0) {
      kept.push(null);
      return plain;
    }
    const name = JSON.stringify(keys.map((key) => [key, homes.of.get(key)]));
    const byName = memo(known, machines.options.meaning, () => new Map<string, number[]>());
    const options = memo(byName, name, () =>
      Array.from({ length: machines.options.length }, (_, option) => option).filter((option) =>
        keys.every((key) => domainAt(machines, option, key) === homes.of.get(key)),
      ),
    );
    kept.push(options);
    // What an offer means to the limits of one project it does not mean to another's.
    const byCells = memo(narrowed, options, () => new Map<Options['cells'], Options>());
    const { cells } = machines.options;
    return { ...plain, options: memo(byCells, cells, () => only(machines.options, options)) };
  });
  return {
    batch: { ...batch, classes, together: [] },
    optionOf: (c, option) => kept[c]?.[option] ?? option,
    back: (placed) => placed.map((p) => ({ ...p, option: kept[p.class]?.[p.option] ?? p.option })),
  };
}

function only(options: Options, kept: readonly number[]): Options {
  const numbers = (of: ArrayLike<number>): Float64Array => Float64Array.from(kept, (k) => of[k]!);
  const { score, price, vcpus, memoryGiB, gpuCount, offer, meaning, pool } = options;
  return {
    length: kept.length,
    score: numbers(score),
    price: numbers(price),
    vcpus: numbers(vcpus),
    memoryGiB: numbers(memoryGiB),
    gpuCount: numbers(gpuCount),
    offer: numbers(offer),
    meaning: numbers(meaning),
    cells: options.cells as readonly Cell[],
    pool: numbers(pool),
  };
}
