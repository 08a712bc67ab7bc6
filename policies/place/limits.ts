import { combinations } from '../cel/columnar.ts';
import { fullBits } from '../cel/trivalue.ts';
import { figure } from '../figure.ts';
import type { Clause, Countable } from '../file/policy.ts';
import { memo } from '../memo.ts';
import { type Circumstances, type MachinesVerdict, rowReader } from './circumstances.ts';
import { candidateValue, groupIn, groupName, isSelf, machineValue, offerKeys, selvesIn } from './groups.ts';
import { HOURS_PER_MONTH, type OfferTable } from './offers.ts';
import type { EstateMachine } from './types.ts';

/** A clause that limits what a group of machines may use together. */
export type LimitClause = Extract<Clause, { effect: 'budget' | 'quota' }>;

/** How a limit stands for one offer. */
export interface LimitUse {
  /** The group, such as `project=shop, region=eu-central-1`. */
  key: string;
  /** Such as `USD/month`, `vcpu`. */
  unit: string;
  limit: number;
  /** By the machines that exist, the request's own not counted. */
  used: number;
  takes: number;
}

const HOURS = { hour: 1, day: 24, month: HOURS_PER_MONTH };

/** Sums of prices are not exact in binary: what is over by less than a part in a billion is not over. */
const ROUNDING = 1e-9;

/** Whether something more fits under a limit. What takes nothing always does, even where a lowered limit is passed already. */
export function withinLimit(use: Pick<LimitUse, 'limit' | 'used' | 'takes'>): boolean {
  return use.takes === 0 || use.used + use.takes <= withRounding(use.limit);
}

function withRounding(limit: number): number {
  return limit * (1 + ROUNDING);
}

/** Whether each offer stays within the limit, given the machines there are. */
export function limitVerdict(
  clause: LimitClause,
  table: OfferTable,
  context: Circumstances,
): MachinesVerdict {
  const { usedBy, codes, rows } = usedByOffer(clause, table, context);
  const { column, times } = takesOf(clause, table, context);
  const { limit } = clause;
  return {
    at: (row) =>
      withinLimit({ limit, used: usedBy(row), takes: column === null ? times : column[row]! * times })
        ? 'true'
        : 'false',
    over: (among) => {
      const words = (table.length + 31) >>> 5;
      const errors = new Uint32Array(words);
      // Most limits are far away: where even the largest offer fits, none need be asked.
      const used = Float64Array.from(rows, usedBy);
      const takes = column === null ? times : largestOf(column) * times;
      if (used.every((used) => withinLimit({ limit, used, takes })))
        return { passes: fullBits(table.length), errors };
      const passes = new Uint32Array(words);
      const most = withRounding(limit);
      for (let w = 0; w < among.length; w++)
        for (let left = among[w]!; left !== 0; left &= left - 1) {
          const bit = left & -left;
          const row = (w << 5) + 31 - Math.clz32(bit);
          const code = codes === null ? 0 : codes[row]!;
          const takes = column === null ? times : column[row]! * times;
          if (takes === 0 || used[code]! + takes <= most) passes[w]! |= bit;
        }
      return { passes, errors };
    },
  };
}

/** How the limit stands for one offer. */
export function limitUse(
  clause: LimitClause,
  table: OfferTable,
  row: number,
  context: Circumstances,
): LimitUse {
  const offer = rowReader(table, row);
  const { column, times } = takesOf(clause, table, context);
  return {
    key: clause.group.map((key) => `${key}=${candidateValue(context.request, offer, key)}`).join(', '),
    unit: clause.effect === 'budget' ? `USD/${clause.per}` : clause.resource,
    limit: clause.limit,
    used: usedByOffer(clause, table, context).usedBy(row),
    takes: column === null ? times : column[row]! * times,
  };
}

/** A limit that an offer passes, for a person. */
export function limitWords({ key, unit, limit, used, takes }: LimitUse): string {
  const [amount, all, more] = [used, limit, takes].map((n) => figure(n));
  return `${key}: ${amount} of ${all} ${unit} used, ${more} more needed`;
}

/** What one machine uses of a limit. */
export function machineUse(clause: LimitClause, machine: EstateMachine): number {
  return clause.effect === 'budget'
    ? machine.pricePerHour * HOURS[clause.per]
    : MEASURES[clause.resource](machine);
}

const MEASURES: Record<Countable, (machine: EstateMachine) => number> = {
  instances: () => 1,
  vcpu: (m) => m.vcpus,
  memoryGiB: (m) => m.memoryGiB,
  gpu: (m) => m.gpuCount,
  diskGiB: (m) => m.diskGiB,
};

/** What the machines of a group use together, by unit. */
const sums = new WeakMap<readonly EstateMachine[], Map<string, number>>();

/** By row, what is used already; equal for equal codes (null: for all), and `rows` has one of each. */
function usedByOffer(
  clause: LimitClause,
  table: OfferTable,
  { request, estate }: Circumstances,
): { usedBy: (row: number) => number; codes: Uint32Array | null; rows: readonly number[] } {
  const selves = new Set(
    selvesIn(estate, request).map((machine) =>
      groupName(clause.group.map((key) => machineValue(machine, key))),
    ),
  );
  const sum = (machines: readonly EstateMachine[], before = 0): number =>
    machines.reduce((total, machine) => total + machineUse(clause, machine), before);
  const unit = clause.effect === 'budget' ? clause.per : clause.resource;
  const used = (row: number): number => {
    const offer = rowReader(table, row);
    const name = groupName(clause.group.map((key) => candidateValue(request, offer, key)));
    const { standing, added } = groupIn(estate, clause.group, name);
    if (selves.has(name)) return sum([...standing, ...added].filter((machine) => !isSelf(machine, request)));
    const known = memo(sums, standing, () => new Map<string, number>());
    return sum(
      added,
      memo(known, unit, () => sum(standing)),
    );
  };
  const attributes = offerKeys(clause.group);
  const known = new Map<number, number>();
  if (attributes.length === 0)
    return {
      usedBy: (row) => memo(known, 0, () => used(row)),
      codes: null,
      rows: table.length > 0 ? [0] : [],
    };
  const { codes, first } = combinations(table, attributes);
  return { usedBy: (row) => memo(known, codes[row]!, () => used(row)), codes, rows: first };
}

const largest = new WeakMap<Float64Array, number>();

function largestOf(column: Float64Array): number {
  return memo(largest, column, () => column.reduce((most, x) => Math.max(most, x), 0));
}

/** What an offer takes: the number of a column so many times, or without a column that alone. */
function takesOf(
  clause: LimitClause,
  table: OfferTable,
  { request }: Circumstances,
): { column: Float64Array | null; times: number } {
  if (clause.effect === 'budget') return { column: table.numbers('pricePerHour'), times: HOURS[clause.per] };
  switch (clause.resource) {
    case 'instances':
      return { column: null, times: 1 };
    case 'diskGiB':
      return { column: null, times: request.diskGiB };
    case 'vcpu':
    case 'memoryGiB':
    case 'gpu': {
      const column = { vcpu: 'vcpus', memoryGiB: 'memoryGiB', gpu: 'gpuCount' } as const;
      return { column: table.numbers(column[clause.resource]), times: 1 };
    }
  }
}
