import type { Highs, Model, ModelData } from 'highs';

type Loader = typeof import('highs')['default'];

const LOADING: { highs: Promise<Highs> | null } = { highs: null };

/** HiGHS in WebAssembly, loaded once. Rejects where WebAssembly is not to be had. */
export function loadHighs(): Promise<Highs> {
  // The package declares its types for CommonJS; imported, the loader is the default export itself.
  LOADING.highs ??= import('highs').then((module) => (module.default as unknown as Loader)());
  return LOADING.highs;
}

/** A bound of a row or column that is none. */
export const INFINITE = 1e30;

/** A linear or mixed-integer programme that grows: minimize cost · x between bounds of columns and rows. */
export class LinearProgramme {
  readonly rowLower: number[] = [];
  readonly rowUpper: number[] = [];
  readonly cost: number[] = [];
  readonly lower: number[] = [];
  readonly upper: number[] = [];
  readonly integer: boolean[] = [];
  /** Per column: row, value, row, value, … */
  readonly #entries: number[][] = [];
  /** Values put into columns after the fact, in order: row, column, value. */
  readonly late: [number, number, number][] = [];
  /** Where to start: columns in the basis, and as many rows whose slack is not. Null: the solver's choice. */
  start: { columns: number[]; rows: number[] } | null = null;

  row(lower: number, upper: number): number {
    this.rowLower.push(lower);
    this.rowUpper.push(upper);
    return this.rowLower.length - 1;
  }

  /** `entries` are row, value, row, value, …; no row twice. They are the programme's from here on. */
  column(cost: number, lower: number, upper: number, integer: boolean, entries: number[]): number {
    this.#entries.push(entries);
    this.cost.push(cost);
    this.lower.push(lower);
    this.upper.push(upper);
    this.integer.push(integer);
    return this.cost.length - 1;
  }

  /** Puts a value into a column that is there already. */
  entry(row: number, column: number, value: number): void {
    this.#entries[column]!.push(row, value);
    this.late.push([row, column, value]);
  }

  /** All of it, or only columns from `from` on. */
  data(from = 0): ModelData {
    const columns = this.#entries.slice(from);
    const { starts, indices, values } = compressed(columns);
    const numRows = this.rowLower.length;
    return {
      numCols: columns.length,
      numRows,
      colCost: Float64Array.from(this.cost.slice(from)),
      colLower: Float64Array.from(this.lower.slice(from)),
      colUpper: Float64Array.from(this.upper.slice(from)),
      rowLower: Float64Array.from(this.rowLower),
      rowUpper: Float64Array.from(this.rowUpper),
      matrix: { format: 'csc', numRows, numCols: columns.length, starts, indices, values },
    };
  }

  /** {@link data} with whole numbers where they must be. */
  wholeData(): ModelData {
    return { ...this.data(), integrality: Int32Array.from(this.integer, (i) => (i ? 1 : 0)) };
  }
}

/** Lists of place, value, place, value, … as a compressed matrix. */
function compressed(lists: readonly (readonly number[])[]): {
  starts: Int32Array;
  indices: Int32Array;
  values: Float64Array;
} {
  const starts = new Int32Array(lists.length + 1);
  lists.forEach((entries, j) => {
    starts[j + 1] = starts[j]! + entries.length / 2;
  });
  const indices = new Int32Array(starts[lists.length]!);
  const values = new Float64Array(indices.length);
  let at = 0;
  for (const entries of lists)
    for (let i = 0; i < entries.length; i += 2, at++) {
      indices[at] = entries[i]!;
      values[at] = entries[i + 1]!;
    }
  return { starts, indices, values };
}

/** What an LP came to. */
export interface LinearAnswer {
  objective: number;
  values: Float64Array;
  /** Per row, what one more unit of its bound adds to the objective. */
  duals: Float64Array;
}

/** A solver that keeps its basis between solves, for a programme that grows. Dispose it. */
export class LinearSolver {
  readonly #programme: LinearProgramme;
  readonly #model: Model;
  readonly #highs: Highs;
  #rows = 0;
  #columns = 0;
  #late = 0;

  constructor(highs: Highs, programme: LinearProgramme, seed: number) {
    this.#highs = highs;
    this.#programme = programme;
    this.#model = highs.createModel();
    this.#model.options.set({ output_flag: false, random_seed: seed });
  }

  /** Solves what is there now. Null: infeasible. Throws when HiGHS ends in any other way. */
  solve(): LinearAnswer | null {
    const p = this.#programme;
    const { modelStatus: status } = this.#highs.constants;
    if (this.#columns > 0) this.#grow();
    else {
      this.#model.passModel(p.data());
      if (p.start !== null) this.#startFrom(p.start);
    }
    this.#rows = p.rowLower.length;
    this.#columns = p.cost.length;
    this.#late = p.late.length;
    const ended = this.#model.run().modelStatus;
    if (ended === status.infeasible || ended === status.unboundedOrInfeasible) return null;
    if (ended !== status.optimal && ended !== status.empty)
      throw new Error(`the LP solver ended with status ${ended}`);
    const { colValue, rowDual } = this.#model.getSolution();
    return { objective: this.#model.getObjectiveValue(), values: colValue, duals: rowDual };
  }

  #grow(): void {
    const p = this.#programme;
    const added = p.rowLower.length - this.#rows;
    const rows = Array.from({ length: Math.max(0, added) }, () => [] as number[]);
    for (const [row, column, value] of p.late.slice(this.#late)) {
      if (column >= this.#columns) continue;
      if (row >= this.#rows) rows[row - this.#rows]!.push(column, value);
      else this.#model.changeCoefficient(row, column, value);
    }
    if (added > 0) {
      const { starts, indices, values } = compressed(rows);
      this.#model.addRows({
        lower: Float64Array.from(p.rowLower.slice(this.#rows)),
        upper: Float64Array.from(p.rowUpper.slice(this.#rows)),
        matrix: { format: 'csr', numRows: added, numCols: this.#columns, starts, indices, values },
      });
    }
    if (p.cost.length > this.#columns) {
      const { colCost, colLower, colUpper, matrix } = p.data(this.#columns);
      this.#model.addCols({
        cost: colCost as Float64Array,
        lower: colLower as Float64Array,
        upper: colUpper as Float64Array,
        matrix: matrix as Parameters<Model['addCols']>[0]['matrix'],
      });
    }
  }

  /** The basis of the last solution, by place: whether a column is in it, and a row's slack. */
  basis(): { columns: boolean[]; rows: boolean[] } {
    const { basic } = this.#highs.constants.basisStatus;
    const { colStatus, rowStatus } = this.#model.getBasis();
    return {
      columns: Array.from(colStatus, (s) => s === basic),
      rows: Array.from(rowStatus, (s) => s === basic),
    };
  }

  #startFrom({ columns, rows }: { columns: number[]; rows: number[] }): void {
    const { lower, basic } = this.#highs.constants.basisStatus;
    const { cost, rowLower } = this.#programme;
    const colStatus = new Int32Array(cost.length).fill(lower);
    const rowStatus = new Int32Array(rowLower.length).fill(basic);
    for (const column of columns) colStatus[column] = basic;
    for (const row of rows) rowStatus[row] = lower;
    this.#model.setBasis({ colStatus, rowStatus });
  }

  /** Changes bounds of a row, here and in the programme. */
  bound(row: number, lower: number, upper: number): void {
    this.#programme.rowLower[row] = lower;
    this.#programme.rowUpper[row] = upper;
    if (row < this.#rows) this.#model.changeRowBounds(row, lower, upper);
  }

  /** Has a column be at most so much, here and in the programme. */
  atMost(column: number, upper: number): void {
    this.#programme.upper[column] = upper;
    if (column < this.#columns) this.#model.changeColBounds(column, 0, upper);
  }

  dispose(): void {
    this.#model.dispose();
  }
}
