import { memo } from '../memo.ts';
import { INFINITE, type LinearProgramme } from './linear.ts';
import { ALONE, type Batch, UNKNOWN } from './problem.ts';
import { type Standing, standingsOf } from './together.ts';

/** The rows of one set of machines, which is to be with others, in one domain; -1 = none. */
interface Presence {
  /** 1: its machines may stand there; and the row that asks for somebody there, or for this to be where the first of them is. */
  column: number;
  support: number;
  /** By class of the set, the row of its presence. */
  rows: Map<number, number>;
  /** While the first of it stands elsewhere, nobody that it is to be with is here. */
  elsewhere: number;
}

/**
 * Affinity as rows. A class x of a set that is to be with others T goes to a domain d only where its set may stand, y:
 * x(d) ≤ count · y(d), a row for each class, so that with nothing else scarce the programme puts each set as a whole. And
 * y(d) ≤ Σ T(d) + h(d), of machines of other sets; h is where the first one stands: in one domain, with all of T.
 * Sets that only stand right by each other, in a circle, are not told from those that stand by themselves: the bound is
 * one for more than the answers there are.
 */
export class TogetherRows {
  readonly #batch: Batch;
  readonly #programme: LinearProgramme;
  readonly #row: (lower: number, upper: number, rule: number) => number;
  /** By class and meaning, how the rules see its machines there: asked for thousands of options again and again. */
  readonly #standings: (readonly Standing[])[][];
  /** By rule and set, by domain. */
  readonly #presences: Map<number, Presence>[][];
  /** By rule and set: the row that counts where the first one is, and the column for whether it is anywhere. */
  readonly #homes = new Map<string, { row: number; column: number }>();
  /** By rule and set, the sets that are to be with it, itself among them where it is to be with any. */
  readonly #concerns: number[][][];
  /** By rule and set, how many machines may be of the sets it is to be with. */
  readonly #most: number[][];

  constructor(
    batch: Batch,
    programme: LinearProgramme,
    row: (lower: number, upper: number, rule: number) => number,
  ) {
    this.#batch = batch;
    this.#programme = programme;
    this.#row = row;
    this.#standings = batch.classes.map(() => []);
    this.#presences = batch.together.map(({ sets }) => sets.map(() => new Map<number, Presence>()));
    this.#concerns = batch.together.map(({ sets }) =>
      sets.map(({ beside }, set) =>
        [...sets.keys()].filter((s) => sets[s]!.beside?.includes(set) || (s === set && beside !== null)),
      ),
    );
    this.#most = batch.together.map(({ sets }, rule) =>
      sets.map(({ beside }) =>
        batch.classes.reduce((t, { together, count }) => {
          const own = together.get(rule);
          return t + (own !== undefined && beside?.some((s) => own.includes(s)) ? count : 0);
        }, 0),
      ),
    );
  }

  /** Calls back with every row an option has a value in, making them where `make`. */
  of(c: number, option: number, make: boolean, visit: (row: number, value: number) => void): void {
    const { together, options } = this.#batch.classes[c]!;
    if (together.size === 0) return;
    const known = this.#standings[c]!;
    const meaning = options.meaning[option]!;
    known[meaning] ??= standingsOf(together, options.cells[meaning]!.together);
    for (const standing of known[meaning]) this.#visit(c, standing, make, visit);
  }

  /** By rule and set, the most that it saves of a machine of the set that others may stand beside it. */
  #reward: number[][] = [];

  setHope(duals: Float64Array): void {
    const most = this.#presences.map((sets) =>
      sets.map((known) => {
        let dearest = 0;
        for (const { support } of known.values())
          if (support >= 0) dearest = Math.max(dearest, -(duals[support] ?? 0));
        return dearest;
      }),
    );
    this.#reward = this.#concerns.map((sets, rule) =>
      sets.map((concerned, set) => concerned.reduce((t, s) => (s === set ? t : t + most[rule]![s]!), 0)),
    );
  }

  /** The most that the rows make an option of a class better. */
  rewardOf(c: number): number {
    let all = 0;
    for (const [rule, sets] of this.#batch.classes[c]!.together)
      all += Math.max(...sets.map((set) => (set < 0 ? 0 : this.#reward[rule]![set]!)));
    return all;
  }

  #visit(
    c: number,
    { rule, set, domain }: Standing,
    make: boolean,
    visit: (row: number, value: number) => void,
  ): void {
    const { sets } = this.#batch.together[rule]!;
    for (const s of this.#concerns[rule]![set]!) {
      if (sets[s]!.existing.has(domain)) continue;
      const known = this.#presences[rule]![s]!;
      const presence = make
        ? memo(known, domain, () => this.#presenceOf(rule, s, domain))
        : known.get(domain);
      if (presence === undefined) continue;
      const isDrawn = sets[s]!.beside!.includes(set);
      if (isDrawn && s !== set && presence.support >= 0) visit(presence.support, -1);
      if (isDrawn && presence.elsewhere >= 0) visit(presence.elsewhere, 1);
      if (s !== set) continue;
      const row = make
        ? memo(presence.rows, c, () => this.#rowOfClass(rule, c, domain, presence.column))
        : presence.rows.get(c);
      if (row !== undefined) visit(row, 1);
    }
  }

  #rowOfClass(rule: number, c: number, domain: number, column: number): number {
    const row = this.#row(-INFINITE, 0, rule);
    const most = domain === ALONE ? 1 : this.#batch.classes[c]!.count;
    if (column >= 0) this.#programme.entry(row, column, -most);
    return row;
  }

  #presenceOf(rule: number, s: number, domain: number): Presence {
    const p = this.#programme;
    const { beside, mayBeFirst } = this.#batch.together[rule]!.sets[s]!;
    const others = beside!.some((other) => other !== s);
    const elsewhere = mayBeFirst && (others || domain === ALONE) ? this.#elsewhereRow(rule, s) : -1;
    const rows = new Map<number, number>();
    // Where it is not known who is beside whom, no set stands that the rule has a say over.
    if (domain === UNKNOWN) return { column: -1, support: -1, rows, elsewhere };
    // With none but its like, or in a domain of its own, its machines stand only where the first one does.
    if (!others || domain === ALONE)
      return {
        column: mayBeFirst ? this.#firstAt(rule, s, domain, elsewhere) : -1,
        support: -1,
        rows,
        elsewhere,
      };
    const support = this.#row(-INFINITE, 0, rule);
    if (mayBeFirst) p.entry(support, this.#firstAt(rule, s, domain, elsewhere), -1);
    return { column: p.column(0, 0, 1, true, [support, 1]), support, rows, elsewhere };
  }

  /** A column for whether the first one of a set is in a domain. */
  #firstAt(rule: number, s: number, domain: number, elsewhere: number): number {
    const entries = [this.#homeOf(rule, s).row, 1];
    if (elsewhere >= 0) entries.push(elsewhere, domain === ALONE ? -1 : -this.#most[rule]![s]!);
    return this.#programme.column(0, 0, 1, true, entries);
  }

  #elsewhereRow(rule: number, s: number): number {
    const most = this.#most[rule]![s]!;
    const row = this.#row(-INFINITE, most, rule);
    this.#programme.entry(row, this.#homeOf(rule, s).column, most);
    return row;
  }

  #homeOf(rule: number, s: number): { row: number; column: number } {
    return memo(this.#homes, `${rule}/${s}`, () => {
      const row = this.#row(-INFINITE, 0, rule);
      return { row, column: this.#programme.column(0, 0, 1, true, [row, -1]) };
    });
  }
}
