import {
  ALONE,
  type Batch,
  cellOf,
  domainOf,
  fitsTimes,
  type Placed,
  ROOM,
  type Room,
  shareOf,
  standing,
  takes,
  within,
} from './problem.ts';
import { astray, Company, type Standing, standingsOf } from './together.ts';

/**
 * The books of an answer in the making: how many more machines of a class may go to an option now. Whatever is
 * added within {@link room} keeps limits, host room, anti-affinity and, but for rules that run in circles, affinity. A spread group whose members are known
 * beforehand is held to its share of all of them; {@link Tally.settle} takes back what is too much when some
 * found no place in the end.
 */
export class Tally {
  readonly batch: Batch;
  /** Machines not placed yet, by class. */
  readonly open: Int32Array;
  /** By limit and by spread group, from when they are first asked about: most never are. */
  readonly #left: number[] = [];
  readonly #groups: GroupNow[] = [];
  readonly #coming: Int32Array;
  readonly #free: [number, number, number, number][];
  readonly #apart: Map<number, Map<number, number>>[];
  /** Per anti-affinity rule: the sets that exclude a set. */
  readonly #excludes: Map<number, number[]>[];
  /** Per affinity rule: who is placed, and the sets that are to be with a set. */
  readonly #company: Company[];
  readonly #drawnTo: number[][][];
  /** Placed, by class, then by option and host. */
  readonly #placed: Map<number, Placed>[];

  /** `coming`: members expected per spread group, where it is known that some find no place. */
  constructor(batch: Batch, coming: Int32Array = comingMembers(batch)) {
    this.batch = batch;
    this.open = Int32Array.from(batch.classes, (c) => c.count);
    this.#coming = coming;
    this.#free = batch.hosts.map((h) => [...h.free]);
    this.#apart = batch.apart.map(() => new Map());
    this.#excludes = batch.apart.map((rule) => {
      const by = new Map<number, number[]>();
      for (const [a, b] of rule.pairs)
        if (a !== b) {
          by.set(a, [...(by.get(a) ?? []), b]);
          by.set(b, [...(by.get(b) ?? []), a]);
        }
      return by;
    });
    this.#company = batch.together.map(() => new Company());
    this.#drawnTo = batch.together.map(({ sets }) =>
      sets.map((_, set) => [...sets.keys()].filter((other) => sets[other]!.beside?.includes(set))),
    );
    this.#placed = batch.classes.map(() => new Map());
  }

  /** How many more of the class may go to the option (on-prem: on that host); at most those still open. */
  room(c: number, option: number, host: number): number {
    const machines = this.batch.classes[c]!;
    const cell = cellOf(machines.options, option);
    let most = this.open[c]!;
    if (most === 0) return 0;
    if (host >= 0) most = Math.min(most, fitsTimes(this.#free[host]!, machines.size));
    for (const l of cell.limits) {
      const each = takes(this.batch.limits[l]!, machines, option);
      if (each > 0) most = Math.min(most, Math.floor(this.left(l) / each));
    }
    for (const { rule, set, domain } of standingsOf(machines.apart, cell.apart)) {
      if (most <= 0) return 0;
      if (domain === ALONE) continue;
      const sets = this.#apart[rule]!.get(domainOf(domain, host));
      if (this.batch.apart[rule]!.alone.has(set)) most = (sets?.get(set) ?? 0) > 0 ? 0 : Math.min(most, 1);
      if (sets && this.#excludes[rule]!.get(set)?.some((other) => (sets.get(other) ?? 0) > 0)) return 0;
    }
    for (const standing of standingsOf(machines.together, cell.together)) {
      if (most <= 0) return 0;
      most = Math.min(most, this.#roomBeside(standing));
    }
    for (const { group, domain } of cell.spreads) {
      if (most <= 0) return 0;
      most = Math.min(most, this.#spreadRoom(group, domainOf(domain, host), most));
    }
    return Math.max(0, most);
  }

  /** How many may stand so now, by a rule of affinity: none where nobody is that they are to be with, or those stand elsewhere who are the first. */
  #roomBeside({ rule, set, domain }: Standing): number {
    const { sets } = this.batch.together[rule]!;
    const company = this.#company[rule]!;
    const { beside, existing, mayBeFirst } = sets[set]!;
    let most = Number.POSITIVE_INFINITY;
    if (beside !== null && !existing.has(domain) && company.beside(domain, beside) === 0) {
      if (!mayBeFirst || company.all(beside) > 0) return 0;
      if (domain === ALONE) most = 1;
    }
    const isFirstElsewhere = (other: number): boolean => {
      const own = sets[other]!;
      const others = own.beside!.filter((s) => s !== other);
      return company
        .domainsOf(other)
        .some(
          (at) =>
            (at !== domain || at === ALONE) && !own.existing.has(at) && company.beside(at, others) === 0,
        );
    };
    return this.#drawnTo[rule]![set]!.some(isFirstElsewhere) ? 0 : most;
  }

  /** Whether a machine that is placed may go elsewhere: nobody is there because of it. */
  mayGo({ class: c, option }: Placed): boolean {
    const machines = this.batch.classes[c]!;
    return standingsOf(machines.together, cellOf(machines.options, option).together).every(
      ({ rule, set, domain }) => {
        const { sets } = this.batch.together[rule]!;
        return this.#drawnTo[rule]![set]!.every(
          (other) =>
            sets[other]!.existing.has(domain) ||
            this.#company[rule]!.at(domain, other) <= (other === set ? 1 : 0),
        );
      },
    );
  }

  /** What may still be taken of a limit, its slack included. */
  left(l: number): number {
    this.#left[l] ??= within(this.batch.limits[l]!);
    return this.#left[l];
  }

  #group(g: number): GroupNow {
    const group = this.batch.spreads[g]!;
    this.#groups[g] ??= {
      here: new Map([...group.existing, [ALONE, group.existingAlone]]),
      members: standing(group).machines,
      added: 0,
      coming: this.#coming[g] ?? -1,
    };
    return this.#groups[g];
  }

  #spreadRoom(g: number, domain: number, most: number): number {
    if (domain === ALONE) return most;
    const { min, maxShare } = this.batch.spreads[g]!;
    const { here, added, members, coming: expected } = this.#group(g);
    const there = here.get(domain) ?? 0;
    const coming = expected < 0 ? -1 : Math.max(expected, added + 1);
    const share = shareOf(maxShare, coming >= 0 ? members - added + coming : members + 1);
    let room = share - there;
    if (coming < 0) room = Math.min(room, 1);
    const missing = min - inUse(here);
    if (missing > 0) {
      // Every machine opens a domain, until enough of those to come are left to open the rest.
      const spare = coming < 0 ? 0 : coming - added - missing;
      room = Math.min(room, (there === 0 ? 1 : 0) + Math.max(0, spare));
    }
    return Math.min(room, most);
  }

  /** The limits that leave no room for one more of the class at an option, and whether none of the pool's hosts does. */
  full(c: number, option: number): { limits: number[]; pool: boolean } {
    const machines = this.batch.classes[c]!;
    const { limits, pool } = cellOf(machines.options, option);
    return {
      limits: limits.filter((l) => takes(this.batch.limits[l]!, machines, option) > this.left(l)),
      pool:
        pool >= 0 &&
        this.batch.pools[pool]!.hosts.every((h) => fitsTimes(this.#free[h]!, machines.size) === 0),
    };
  }

  /** The one limit that leaves no room for one more of the class at an option; -1: none does, or several. */
  onlyFull(c: number, option: number): number {
    const machines = this.batch.classes[c]!;
    let only = -1;
    for (const l of cellOf(machines.options, option).limits) {
      if (takes(this.batch.limits[l]!, machines, option) <= this.left(l)) continue;
      if (only >= 0) return -1;
      only = l;
    }
    return only;
  }

  /** Whether the limits leave room for one more of the class at an option. */
  couldTake(c: number, option: number): boolean {
    const machines = this.batch.classes[c]!;
    for (const l of cellOf(machines.options, option).limits)
      if (takes(this.batch.limits[l]!, machines, option) > this.left(l)) return false;
    return true;
  }

  /** Whether the limits leave room for one at an option once it has left where it is. */
  couldMove({ class: c, option: from }: Placed, to: number): boolean {
    const machines = this.batch.classes[c]!;
    const own = cellOf(machines.options, from).limits;
    for (const l of cellOf(machines.options, to).limits) {
      const limit = this.batch.limits[l]!;
      const needs = takes(limit, machines, to);
      if (needs > this.left(l) && (!own.includes(l) || needs > this.left(l) + takes(limit, machines, from)))
        return false;
    }
    return true;
  }

  /** Books `n` machines; `n` is at most {@link room}, or negative to take some back. */
  add(c: number, option: number, host: number, n: number): void {
    if (n === 0) return;
    const machines = this.batch.classes[c]!;
    const cell = cellOf(machines.options, option);
    this.open[c]! -= n;
    if (host >= 0) for (let d = 0; d < ROOM.length; d++) this.#free[host]![d]! -= machines.size[d]! * n;
    for (const l of cell.limits)
      this.#left[l] = this.left(l) - takes(this.batch.limits[l]!, machines, option) * n;
    for (const { rule, set, domain } of standingsOf(machines.apart, cell.apart)) {
      const at = domainOf(domain, host);
      const sets = this.#apart[rule]!.get(at) ?? new Map<number, number>();
      this.#apart[rule]!.set(at, sets);
      sets.set(set, (sets.get(set) ?? 0) + n);
    }
    for (const standing of standingsOf(machines.together, cell.together))
      this.#company[standing.rule]!.add(standing, n);
    for (const { group, domain } of cell.spreads) {
      const at = domainOf(domain, host);
      const of = this.#group(group);
      of.here.set(at, (of.here.get(at) ?? 0) + n);
      of.members += n;
      of.added += n;
    }
    const key = this.#key(option, host);
    const placed = this.#placed[c]!.get(key);
    if (placed === undefined) this.#placed[c]!.set(key, { class: c, option, host, count: n });
    else {
      placed.count += n;
      if (placed.count === 0) this.#placed[c]!.delete(key);
    }
  }

  #key(option: number, host: number): number {
    return option * (this.batch.hosts.length + 1) + host + 1;
  }

  /** The entry of the books for machines that are there. */
  at(c: number, option: number, host: number): Placed {
    return this.#placed[c]!.get(this.#key(option, host))!;
  }

  free(host: number): Room {
    return this.#free[host]!;
  }

  placedOf(c: number): Placed[] {
    return [...this.#placed[c]!.values()];
  }

  placed(): Placed[] {
    return this.#placed.flatMap((of) => [...of.values()]);
  }

  unplaced(): number {
    return this.open.reduce((t, n) => t + n, 0);
  }

  /** The placements a limit, host or group counts, so that room can be made by moving one. */
  *placements(): Iterable<Placed> {
    for (const of of this.#placed) yield* of.values();
  }

  /**
   * Takes machines back until every spread group holds for those that did get a place, as with some of a group
   * left out, its share is of fewer; and until all stand where affinity lets them. Dearest first; ends because each round
   * takes at least one.
   */
  settle(): void {
    for (let changed = true; changed; ) {
      changed = false;
      for (const [g, group] of this.batch.spreads.entries()) {
        const { here, members, added } = this.#group(g);
        if (added === 0) continue;
        const most = shareOf(group.maxShare, members);
        const full = new Set<number>();
        for (const [domain, n] of here)
          if (domain !== ALONE && n > most && n > (group.existing.get(domain) ?? 0)) full.add(domain);
        const wanted = Math.min(group.min, standing(group).domains + added);
        const short = inUse(here) < wanted;
        if (full.size === 0 && !short) continue;
        const crowded = (domain: number): boolean =>
          full.has(domain) || (full.size === 0 && domain !== ALONE && (here.get(domain) ?? 0) > 1);
        const victim = this.#dearest(g, crowded);
        if (victim === null) continue;
        this.add(victim.class, victim.option, victim.host, -1);
        changed = true;
      }
      for (const p of astray(this.batch, this.placed())) {
        this.add(p.class, p.option, p.host, -p.count);
        changed = true;
      }
    }
  }

  #dearest(g: number, crowded: (domain: number) => boolean): Placed | null {
    let worst: Placed | null = null;
    let score = Number.NEGATIVE_INFINITY;
    for (const p of this.placements()) {
      const { options } = this.batch.classes[p.class]!;
      const at = cellOf(options, p.option).spreads.find((s) => s.group === g);
      if (at === undefined || !crowded(domainOf(at.domain, p.host))) continue;
      if (options.score[p.option]! > score) {
        worst = p;
        score = options.score[p.option]!;
      }
    }
    return worst;
  }
}

/** Per spread group, the machines sure to be counted in it; -1 where that depends on where they go. */
export function comingMembers(batch: Batch): Int32Array {
  const coming = Int32Array.from(batch.spreads, (g) => (g.sure ? 0 : -1));
  for (const machines of batch.classes) for (const g of machines.spreads) coming[g]! += machines.count;
  return coming;
}

/** A spread group: machines by domain and in all, those that were there included; those added; those sure to come, or -1. */
interface GroupNow {
  here: Map<number, number>;
  members: number;
  added: number;
  coming: number;
}

function inUse(here: ReadonlyMap<number, number>): number {
  let n = here.get(ALONE) ?? 0;
  for (const [domain, count] of here) if (domain !== ALONE && count > 0) n++;
  return n;
}
