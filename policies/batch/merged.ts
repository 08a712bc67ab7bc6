import { memo } from '../memo.ts';
import type { Batch, Cell, MachineClass, Options } from './problem.ts';

/** A batch whose classes are those of another that have the same offers, joined. */
export interface Merged {
  batch: Batch;
  /** The classes of the other batch that each is made of. */
  members: readonly (readonly number[])[];
}

/**
 * The batch without what is each project's or app's own: classes of one size and menu are one, and only limits that
 * count everybody's machines, and hosts, are left. A hundredth of the work to solve, and what is scarce there is most of
 * what is scarce. Null where few classes join.
 */
export function mergedOf(batch: Batch): Merged | null {
  const byMenu = new Map<Options['meaning'], Map<string, number[]>>();
  const members: number[][] = [];
  batch.classes.forEach(({ options, size }, c) => {
    const known = memo(byMenu, options.meaning, () => new Map<string, number[]>());
    const own = memo(known, size.join(), () => {
      const made: number[] = [];
      members.push(made);
      return made;
    });
    own.push(c);
  });
  if (members.length > batch.classes.length / FEWER) return null;
  const shared = new Map<Options['cells'], Cell[]>();
  const classes = members.map((own): MachineClass => {
    const first = batch.classes[own[0]!]!;
    const { options } = first;
    return {
      ...first,
      count: own.reduce((t, c) => t + batch.classes[c]!.count, 0),
      options: {
        ...options,
        cells: memo(shared, options.cells, () => options.cells.map((cell) => sharedPart(batch, cell))),
      },
      apart: new Map(),
      together: new Map(),
      spreads: [],
      loose: false,
    };
  });
  return { batch: { ...batch, classes, spreads: [], apart: [], together: [] }, members };
}

function sharedPart(batch: Batch, { pool, limits }: Cell): Cell {
  return {
    pool,
    limits: limits.filter((l) => batch.limits[l]!.shared),
    spreads: [],
    apart: [],
    together: [],
  };
}

/** Joining is worth it when at most this part of the classes is left. */
const FEWER = 4;
