/** What affinity inside a batch comes to: who may stand where, beside whom. */
import { ALONE, type Batch, cellOf, type Neighbourhood, type Placed, type SetsOf } from './problem.ts';

/** A machine of a class at an offer, as one rule about other machines sees it. */
export interface Standing {
  rule: number;
  set: number;
  domain: number;
}

/** How the rules of affinity, or of anti-affinity, see a machine of a class at an offer. */
export function standingsOf(sets: SetsOf, cell: readonly Neighbourhood[]): readonly Standing[] {
  if (sets.size === 0) return NONE;
  return cell.flatMap(({ rule, domain, held }) => {
    const set = sets.get(rule)?.[held ? 0 : 1] ?? -1;
    return set < 0 ? [] : [{ rule, set, domain }];
  });
}

const NONE: readonly Standing[] = [];

/** Machines of one rule, by domain and set, and by set in all. */
export class Company {
  readonly #at = new Map<number, Map<number, number>>();
  readonly #all = new Map<number, number>();

  add({ set, domain }: Standing, n: number): void {
    const there = this.#at.get(domain) ?? new Map<number, number>();
    this.#at.set(domain, there);
    there.set(set, (there.get(set) ?? 0) + n);
    this.#all.set(set, (this.#all.get(set) ?? 0) + n);
  }

  at(domain: number, set: number): number {
    return this.#at.get(domain)?.get(set) ?? 0;
  }

  /** Machines of some sets that one who stands in a domain is beside. */
  beside(domain: number, sets: readonly number[]): number {
    return domain === ALONE ? 0 : sets.reduce((t, set) => t + this.at(domain, set), 0);
  }

  all(sets: readonly number[]): number {
    return sets.reduce((t, set) => t + (this.#all.get(set) ?? 0), 0);
  }

  /** Domains with machines of a set. */
  domainsOf(set: number): number[] {
    return [...this.#at].flatMap(([domain, there]) => ((there.get(set) ?? 0) > 0 ? [domain] : []));
  }
}

/**
 * The placements of an answer that affinity does not let stand. One stands right, to each rule that has a say over it, beside
 * a machine that exists; or beside another of the batch that stands right itself; or as the first of those that it is to be
 * with, when all of them are in its own domain. So what stands right can be made one by one: the first ones, and then
 * each beside one that is there; and machines that each wait for the other do not.
 */
export function astray(batch: Batch, placed: readonly Placed[]): Placed[] {
  if (batch.together.length === 0) return [];
  const all = batch.together.map(() => new Company());
  const right = batch.together.map(() => new Company());
  let open = placed.map((p) => {
    const machines = batch.classes[p.class]!;
    const standings = standingsOf(machines.together, cellOf(machines.options, p.option).together);
    for (const s of standings) all[s.rule]!.add(s, p.count);
    return { p, standings };
  });
  const isRight = (s: Standing): boolean => {
    const { beside, existing, mayBeFirst } = batch.together[s.rule]!.sets[s.set]!;
    if (beside === null || existing.has(s.domain) || right[s.rule]!.beside(s.domain, beside) > 0) return true;
    const company = all[s.rule]!;
    const here = s.domain === ALONE ? 1 : company.beside(s.domain, beside);
    return mayBeFirst && company.all(beside) <= here;
  };
  for (let before = -1; before !== open.length; ) {
    before = open.length;
    open = open.filter(({ p, standings }) => {
      if (!standings.every(isRight)) return true;
      for (const s of standings) right[s.rule]!.add(s, p.count);
      return false;
    });
  }
  return open.map(({ p }) => p);
}
