/** Affinity in large batches: a set of machines goes to a domain as one, a column of the programme for each way it may. */
import { memo } from '../memo.ts';
import { domainAt, setsOf } from './homes.ts';
import type { Batch, Options, Share } from './problem.ts';
import type { Relaxation, Relaxed } from './relaxation.ts';

/** Machines that all stand in one domain. */
export interface Team {
  /** The set, as `homes.ts` names it. */
  key: string;
  classes: readonly number[];
  /** By domain where all of it may stand: the options of each class there, those where the rule has no say among them. */
  domains: ReadonlyMap<number, readonly (readonly number[])[]>;
}

/** The sets of a batch that stand together, as teams. Null: some machines are in several. */
export function teamsOf(batch: Batch): Team[] | null {
  const seen = new Set<number>();
  const known = new Map<Options['meaning'], Map<string, Map<number, number[]>>>();
  const teams: Team[] = [];
  for (const { key, classes } of setsOf(batch)) {
    if (classes.some((c) => seen.has(c))) return null;
    for (const c of classes) seen.add(c);
    const all = classes.map((c) => {
      const byKey = memo(known, batch.classes[c]!.options.meaning, () => new Map());
      return memo(byKey, key, () => byDomain(batch, c, key)) as Map<number, number[]>;
    });
    const domains = new Map<number, number[][]>();
    for (const domain of new Set(all.flatMap((of) => [...of.keys()]))) {
      const options = all.map((of) => [...(of.get(domain) ?? []), ...(of.get(ANYWHERE) ?? [])]);
      if (domain !== ANYWHERE && options.every((of) => of.length > 0)) domains.set(domain, options);
    }
    teams.push({ key, classes, domains });
  }
  return teams;
}

/** In the place of a domain: where the rule has no say. */
const ANYWHERE = Number.NaN;

function byDomain(batch: Batch, c: number, key: string): Map<number, number[]> {
  const found = new Map<number, number[]>();
  const machines = batch.classes[c]!;
  for (let option = 0; option < machines.options.length; option++)
    memo(found, domainAt(machines, option, key) ?? ANYWHERE, () => [] as number[]).push(option);
  return found;
}

type Reduced = (c: number, option: number) => number;

/**
 * Chooses where teams stand, with all else that is placed: a programme in which each goes as one, of whose columns those are made that
 * could improve it. Its bound is one for every answer in which each team stands in one domain. Then the teams that it parts are put
 * where most of each is, one after the other, and it is solved again around them.
 */
export class Housing {
  readonly #batch: Batch;
  readonly #relaxation: Relaxation;
  readonly #teams: readonly Team[];
  /** By team: where it may stand; one domain, once it is settled. */
  readonly #open: (readonly number[])[];
  /** By team, the domains that were cheapest when all were looked at. */
  readonly #near: (readonly number[])[];
  readonly #columns: { column: number; team: number; domain: number }[] = [];
  readonly #known = new Set<string>();

  /** `relaxation`: of the batch without affinity, with these teams. `guess`: what options cost beside the prices of what is scarce, about. */
  constructor(batch: Batch, relaxation: Relaxation, teams: readonly Team[], guess: Reduced) {
    this.#batch = batch;
    this.#relaxation = relaxation;
    this.#teams = teams;
    this.#open = teams.map(({ domains }) => [...domains.keys()]);
    this.#near = teams.map(() => []);
    for (const t of teams.keys())
      for (const { domain, shares } of this.#cheapest(t, this.#open[t]!, guess).slice(0, AT_FIRST))
        this.#include(t, domain, shares);
  }

  /** Null: infeasible. */
  solve(): { relaxed: Relaxed; bound: number } | null {
    for (;;) {
      const relaxed = this.#relaxation.solve();
      if (relaxed === null) return null;
      const reduced: Reduced = (c, k) => this.#relaxation.reducedAtLeast(c, k, relaxed.duals);
      let [added, short] = [0, 0];
      for (const t of this.#teams.keys()) added += this.#improve(t, this.#near[t]!, reduced).added;
      if (added > 0) continue;
      for (const t of this.#teams.keys()) {
        const found = this.#improve(t, this.#open[t]!, reduced);
        added += found.added;
        short += Math.min(0, found.least);
      }
      // At these prices no team can save more than that.
      if (added === 0 || short > -TAIL * Math.abs(relaxed.bound))
        return { relaxed, bound: relaxed.bound + short };
    }
  }

  /**
   * A domain for each team, and the solution with all of them there; null: none was found. Teams that are whole in one domain stay
   * there; of those that the solution parts, all that are nearly whole are settled at once, or else one, or else that one elsewhere.
   */
  settle(first: Relaxed): { of: Map<string, number>; relaxed: Relaxed } | null {
    let relaxed = first;
    let alone = false;
    for (;;) {
      const most = this.#teams.flatMap((_, t) =>
        this.#open[t]!.length === 1 ? [] : [{ t, ...this.#mostOf(t, relaxed.values) }],
      );
      most.sort((a, b) => b.part - a.part || a.t - b.t);
      for (const { t, domain, part } of most) if (part > WHOLE) this.#stay(t, [domain]);
      const parted = most.filter(({ part }) => part <= WHOLE);
      if (parted.length === 0) break;
      const chosen = parted.filter(({ part }, i) => i === 0 || (!alone && part > SURE));
      const before = chosen.map(({ t }) => this.#open[t]!);
      for (const { t, domain } of chosen) this.#stay(t, [domain]);
      const found = this.solve()?.relaxed ?? null;
      alone = found === null || this.#relaxation.leavesOut(found.values);
      if (!alone) relaxed = found!;
      else
        for (const [i, { t, domain }] of chosen.entries())
          this.#stay(t, chosen.length > 1 ? before[i]! : before[i]!.filter((other) => other !== domain));
      if (this.#open.some((domains) => domains.length === 0)) return null;
      if (!alone || chosen.length > 1) continue;
      const elsewhere = this.solve()?.relaxed ?? null;
      if (elsewhere === null || this.#relaxation.leavesOut(elsewhere.values)) return null;
      relaxed = elsewhere;
      alone = false;
    }
    return { of: new Map(this.#teams.map(({ key }, t) => [key, this.#open[t]![0]!])), relaxed };
  }

  /** Has a team stand in one of some domains. */
  #stay(t: number, domains: readonly number[]): void {
    this.#open[t] = domains;
    this.#near[t] = domains.slice(0, NEAR);
    for (const { column, team, domain } of this.#columns)
      if (team === t) this.#relaxation.allow(column, domains.includes(domain));
  }

  /** The domain with most of a team. */
  #mostOf(t: number, values: Float64Array): { domain: number; part: number } {
    const parts = new Map(this.#open[t]!.map((domain) => [domain, 0]));
    for (const { column, team, domain } of this.#columns)
      if (team === t && parts.has(domain)) parts.set(domain, parts.get(domain)! + (values[column] ?? 0));
    const [domain, part] = [...parts].reduce((a, b) => (b[1] > a[1] ? b : a));
    return { domain, part };
  }

  /** Takes in the ways of a team that could improve the solution; `least`: what the best of them adds. */
  #improve(t: number, domains: readonly number[], reduced: Reduced): { added: number; least: number } {
    const found = this.#cheapest(t, domains, reduced);
    if (domains.length > this.#near[t]!.length)
      this.#near[t] = found.slice(0, NEAR).map(({ domain }) => domain);
    let added = 0;
    for (const { domain, cost, shares } of found.slice(0, AT_ONCE))
      if (cost < -TOLERANCE && this.#include(t, domain, shares)) added++;
    return { added, least: found[0]?.cost ?? 0 };
  }

  #include(t: number, domain: number, shares: readonly Share[]): boolean {
    const key = `${t} ${domain} ${shares.map(({ option }) => option).join()}`;
    if (this.#known.has(key)) return false;
    this.#known.add(key);
    this.#columns.push({ column: this.#relaxation.includeTogether(shares), team: t, domain });
    return true;
  }

  /** In each domain each class at its cheapest option; the cheapest domain in front. */
  #cheapest(
    t: number,
    domains: readonly number[],
    reduced: Reduced,
  ): { domain: number; cost: number; shares: Share[] }[] {
    const { classes, domains: all } = this.#teams[t]!;
    const found = domains.map((domain) => {
      let cost = 0;
      const shares = all.get(domain)!.map((options, i): Share => {
        const c = classes[i]!;
        const { count } = this.#batch.classes[c]!;
        let [best, least] = [options[0]!, Number.POSITIVE_INFINITY];
        for (const option of options) {
          const one = reduced(c, option);
          if (one < least) [best, least] = [option, one];
        }
        cost += least * count;
        return { class: c, option: best, count };
      });
      return { domain, cost, shares };
    });
    return found.sort((a, b) => a.cost - b.cost || a.domain - b.domain);
  }
}

const TOLERANCE = 1e-7;

/** Domains of a team taken in to begin with, and per round; and those looked at in every round. */
const AT_FIRST = 3;
const AT_ONCE = 2;
const NEAR = 6;

/** A programme is solved when all teams together could save no more than this part. */
const TAIL = 1e-4;

/** So much of a team in one domain is all of it, or nearly. */
const WHOLE = 1 - 1e-6;
const SURE = 0.7;
