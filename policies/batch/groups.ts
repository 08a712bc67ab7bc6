/** Parts offers into groups: of each, only size and price tell the offers apart for a kind of request. */
import { combinations } from '../cel/columnar.ts';
import { nextBit } from '../cel/trivalue.ts';
import { memo } from '../memo.ts';
import { type Circumstances, rowReader } from '../place/circumstances.ts';
import type { CompiledRule } from '../place/compiled.ts';
import { evaluateRules } from '../place/evaluate.ts';
import type { OfferTable } from '../place/offers.ts';
import type { SurchargeClass } from '../place/surcharges.ts';
import { lacksDomain, type Offered } from './coupling.ts';
import { heldAt } from './distinctions.ts';
import type { Picked } from './menu.ts';

/** Offers that only size and price tell apart: one place, one surcharge, and the same coupled rules. */
export interface Group {
  table: OfferTable;
  /** Cheapest first, one of each size; those that some request may want are left once `worthwhile` has looked at them. */
  rows: number[];
  of: SurchargeClass;
  coupled: readonly CompiledRule[];
  offered: Offered;
  /** Equal for groups that mean the same to the coupled rules. */
  meaning: number;
  sifted: boolean;
}

/**
 * Groups by the rules about one machine alone, and what is worth choosing from them: shared by kinds of requests that only
 * rules about several machines tell apart, as machines of an app that is spread from others.
 */
export interface Parting {
  clouds: readonly Group[];
  /** By size. */
  hosts: Map<string, readonly Group[]>;
  /** By size and price cap. */
  picked: Map<string, Picked>;
}

interface Given {
  clouds: OfferTable;
  /** A number for the place of each cloud offer, as far as coupled rules can tell places apart. */
  places: Uint32Array;
  /** Whether a cloud offer is out for a while. */
  aside: readonly ((row: number) => boolean)[];
  includeUnconfigured: boolean;
  numbers: ReadonlyMap<CompiledRule, number>;
  poolAt: (offer: Offered['offer']) => Offered['pool'];
}

export class Grouping {
  readonly #given: Given;
  /** Offers of one place are one to the coupled rules, whatever kind of request asks; the same of the cells they give. */
  readonly #offered = new Map<OfferTable, Map<number, Offered>>();
  readonly #meanings = new Map<Offered, Map<string, number>>();
  #meaningCount = 0;

  constructor(given: Given) {
    this.#given = given;
  }

  /** The offers that the rules let through, parted by place, surcharge, and which coupled rules have a say. */
  under(
    table: OfferTable,
    single: readonly CompiledRule[],
    coupled: readonly CompiledRule[],
    context: Circumstances,
  ): Group[] {
    const local = coupled.map((rule) => (rule.gate?.offerAttributes.size ?? 0) > 0);
    const gates = coupled.map((rule) => heldAt(rule, table, context));
    const key = (row: number): string => gates.map((holds, i) => (local[i] && holds(row) ? 1 : 0)).join('');
    return this.#part(table, single, context, local.includes(true) ? key : null, (group, row) => {
      const inForce = coupled.filter((_, i) => gates[i]!(row));
      return this.#narrowed(group, inForce);
    });
  }

  /** The same before the coupled rules, of which those in force hold for all offers alike: see {@link narrowed}. */
  before(
    table: OfferTable,
    single: readonly CompiledRule[],
    inForce: readonly CompiledRule[],
    context: Circumstances,
  ): Group[] {
    return this.#part(table, single, context, null, (group) => ({ ...group, coupled: inForce }));
  }

  /** What coupled rules that hold for all offers alike leave of groups. */
  narrowed(groups: readonly Group[], inForce: readonly CompiledRule[]): Group[] {
    return groups.flatMap((group) => this.#narrowed(group, inForce) ?? []);
  }

  #narrowed(group: Group, coupled: readonly CompiledRule[]): Group | null {
    const { offered } = group;
    if (coupled.some((rule) => lacksDomain(rule, offered.offer))) return null;
    const known = memo(this.#meanings, offered, () => new Map<string, number>());
    const rules = coupled.map((rule) => this.#given.numbers.get(rule)).join();
    return { ...group, coupled, meaning: memo(known, rules, () => this.#meaningCount++) };
  }

  #part(
    table: OfferTable,
    single: readonly CompiledRule[],
    context: Circumstances,
    gateKey: ((row: number) => string) | null,
    made: (group: Group, row: number) => Group | null,
  ): Group[] {
    const { clouds, places, includeUnconfigured } = this.#given;
    const { compliantBits, classes } = evaluateRules(table, single, context, includeUnconfigured);
    const { codes: sizeAt, first } = combinations(table, ['vcpus', 'memoryGiB', 'gpuCount']);
    /** By group and size, whether there is one: of thousands of groups, one array is sooner made. */
    let seen = new Uint8Array(0);
    const known = memo(this.#offered, table, () => new Map<number, Offered>());
    const found: Group[] = [];
    const aside = table === clouds ? this.#given.aside : [];
    for (const of of classes) {
      const open = of.bits.map((word, w) => word & compliantBits[w]!);
      /** By place, or by place and gates, which of those found; -1: the offers are out. A million rows come by here: an array is faster. */
      const byPlace: number[] = [];
      const byGate = new Map<string, number>();
      const groupAt = (row: number, place: number): number => {
        const offered = memo(known, place, () => this.#offeredAt(table, row));
        const group = made({ table, rows: [], of, coupled: [], offered, meaning: -1, sifted: false }, row);
        return group === null ? -1 : found.push(group) - 1;
      };
      for (let row = nextBit(open, 0); row >= 0; row = nextBit(open, row + 1)) {
        if (aside.some((is) => is(row))) continue;
        const place = table === clouds ? places[row]! : row;
        let group: number | undefined;
        if (gateKey !== null) {
          const key = `${place} ${gateKey(row)}`;
          group = byGate.get(key);
          if (group === undefined) {
            group = groupAt(row, place);
            byGate.set(key, group);
          }
        } else {
          group = byPlace[place];
          if (group === undefined) {
            group = groupAt(row, place);
            byPlace[place] = group;
          }
        }
        const size = group * first.length + sizeAt[row]!;
        if (group < 0 || seen[size] === 1) continue;
        if (size >= seen.length) seen = longer(seen, 2 * size + 1024);
        seen[size] = 1;
        found[group]!.rows.push(row);
      }
    }
    return found;
  }

  #offeredAt(table: OfferTable, row: number): Offered {
    const offer = rowReader(table, row);
    return { offer, pool: this.#given.poolAt(offer), names: new Map(), domains: new Map() };
  }
}

function longer(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(length);
  made.set(bytes);
  return made;
}
