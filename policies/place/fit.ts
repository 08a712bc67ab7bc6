import { bitsOfCodes } from '../cel/columnar.ts';
import type { OfferAttribute } from '../cel/schema.ts';
import { type Bits, fullBits } from '../cel/trivalue.ts';
import { memo } from '../memo.ts';
import type { OfferTable } from './offers.ts';
import { Recent } from './recent.ts';
import type { PlacementRequest } from './types.ts';

/** What the request itself asks of an offer, one condition at a time so that each can be explained. */
export interface Condition {
  /** For a person, such as "at least 8 vCPUs". */
  words: string;
  /** Equal for equal conditions only: what a user wrote is in it as JSON. */
  key: string;
  test:
    | { column: OfferAttribute; allows: (value: unknown) => boolean }
    | { numbers: 'vcpus' | 'memoryGiB' | 'gpuCount'; least: number }
    | { most: number };
}

/** How many GPUs a request is for; one that only names a kind is for one. */
export function gpusOf({ gpuCount, gpuName }: PlacementRequest): number {
  return Math.max(gpuCount, gpuName === '' ? 0 : 1);
}

/** The conditions of a request, the neutral ones left out. */
export function conditionsOf(request: PlacementRequest): Condition[] {
  const conditions: Condition[] = [];
  const atLeast = (numbers: 'vcpus' | 'memoryGiB' | 'gpuCount', least: number, words: string): void => {
    conditions.push({ words: `at least ${words}`, key: `${numbers} ${least}`, test: { numbers, least } });
  };
  const oneOf = (column: OfferAttribute, names: readonly string[], words: string, fold = false): void => {
    conditions.push(oneOfThese(column, names, words, fold));
  };
  atLeast('vcpus', request.vcpus, `${request.vcpus} vCPUs`);
  atLeast('memoryGiB', request.memoryGiB, `${request.memoryGiB} GiB of memory`);
  if (request.architecture !== 'any') oneOf('architecture', [request.architecture], 'architecture');
  if (request.market !== 'any') oneOf('market', [request.market], 'market');
  if (request.instanceType !== '') oneOf('instanceType', [request.instanceType], 'instance type');
  if (request.gpuName !== '') oneOf('gpuName', [request.gpuName.toLowerCase()], 'GPU', true);
  const gpus = gpusOf(request);
  if (gpus > 0) atLeast('gpuCount', gpus, `${gpus} GPUs`);
  if (request.providers.length > 0) oneOf('provider', request.providers, 'provider');
  if (request.sites.length > 0) oneOf('site', request.sites, 'site');
  if (request.regions.length > 0) oneOf('region', request.regions, 'region');
  if (request.zones.length > 0) oneOf('zone', request.zones, 'zone');
  if (request.hosts.length > 0) oneOf('host', request.hosts, 'host');
  const most = request.maxPricePerHour;
  if (most > 0)
    conditions.push({ words: `at most ${most} USD an hour`, key: `price ${most}`, test: { most } });
  return conditions;
}

function oneOfThese(
  column: OfferAttribute,
  names: readonly string[],
  words: string,
  fold = false,
): Condition {
  const allowed = new Set<unknown>(names);
  const allows = (v: unknown): boolean => allowed.has(fold ? String(v).toLowerCase() : (v ?? ''));
  const key = `${column} ${JSON.stringify([...names].sort())}`;
  return { words: `${words} ${names.filter(Boolean).join(' or ')}`, key, test: { column, allows } };
}

/** Offers of a table, and for each 32 words of the bits whether any is set, so that a scan can pass over them. */
export interface OfferSet {
  bits: Bits;
  any: Uint8Array;
}

/** How many conditions' answers are kept per table; requests ask for few sizes. One answer is a bit per offer. */
const CONDITIONS = 128;
/** The same of whole requests' answers. */
const REQUESTS = 256;

const answers = new WeakMap<OfferTable, Recent<Bits>>();
const fits = new WeakMap<OfferTable, Recent<OfferSet>>();

/** Clears the bits of offers that do not meet a condition. */
export function restrict(bits: Bits, table: OfferTable, condition: Condition): void {
  const meets = offersThatMeet(table, atSizes(table, condition));
  for (let w = 0; w < bits.length; w++) bits[w]! &= meets[w]!;
}

/** The offers with a name in a column; kept, and not to be changed. */
export function offersWith(table: OfferTable, column: OfferAttribute, name: string): Bits {
  return offersThatMeet(table, oneOfThese(column, [name], column));
}

/** The offers that meet all conditions of a request; kept, and not to be changed. */
export function fittingOffers(table: OfferTable, request: PlacementRequest): OfferSet {
  const conditions = conditionsOf(request).map((condition) => atSizes(table, condition));
  const known = memo(fits, table, () => new Recent<OfferSet>(REQUESTS));
  return memo(known, conditions.map((c) => c.key).join('\n'), () => {
    const bits = fullBits(table.length);
    for (const condition of conditions) {
      const meets = offersThatMeet(table, condition);
      for (let w = 0; w < bits.length; w++) bits[w]! &= meets[w]!;
    }
    return offerSet(bits);
  });
}

/** A set with its summary. */
export function offerSet(bits: Bits): OfferSet {
  const any = new Uint8Array((bits.length + 31) >>> 5);
  for (let w = 0; w < bits.length; w++) if (bits[w] !== 0) any[w >>> 5] = 1;
  return { bits, any };
}

function offersThatMeet(table: OfferTable, condition: Condition): Bits {
  const known = memo(answers, table, () => new Recent<Bits>(CONDITIONS));
  return memo(known, condition.key, () => meeting(table, condition));
}

/** The condition with the least size on offer that meets it: 5 vCPUs and 8 are one condition where none has 5 to 7. */
function atSizes(table: OfferTable, condition: Condition): Condition {
  const { test } = condition;
  if (!('numbers' in test)) return condition;
  const least = sizeFrom(sizesOf(table, test.numbers), test.least);
  return { ...condition, key: `${test.numbers} ${least}`, test: { ...test, least } };
}

const sizes = new WeakMap<OfferTable, Map<string, Float64Array>>();

/** The sizes on offer, smallest first. */
export function sizesOf(table: OfferTable, numbers: 'vcpus' | 'memoryGiB' | 'gpuCount'): Float64Array {
  const known = memo(sizes, table, () => new Map<string, Float64Array>());
  return memo(known, numbers, () => Float64Array.from(new Set(table.numbers(numbers))).sort());
}

/** The first size that is at least as large; Infinity where there is none. */
function sizeFrom(sorted: Float64Array, least: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < least) low = middle + 1;
    else high = middle;
  }
  return sorted[low] ?? Infinity;
}

function meeting(table: OfferTable, { test }: Condition): Bits {
  const n = table.length;
  const bits = new Uint32Array((n + 31) >>> 5);
  if ('column' in test) {
    const { codes, values } = table.column(test.column);
    return bitsOfCodes(
      codes,
      Uint8Array.from(values, (v) => (test.allows(v) ? 1 : 0)),
    );
  } else if ('numbers' in test) {
    const numbers = table.numbers(test.numbers);
    const { least } = test;
    for (let i = 0; i < n; i++) bits[i >>> 5]! |= (numbers[i]! >= least ? 1 : 0) << (i & 31);
  } else {
    const prices = table.numbers('pricePerHour');
    const { most } = test;
    for (let i = 0; i < n; i++) bits[i >>> 5]! |= (prices[i]! <= most ? 1 : 0) << (i & 31);
  }
  return bits;
}

/** What makes a request impossible to read, for a person; empty when it is sound. */
export function requestProblems(request: PlacementRequest): string[] {
  const problems: string[] = [];
  const whole = (name: 'vcpus' | 'gpuCount' | 'count', least: number): void => {
    const value = request[name];
    if (!Number.isSafeInteger(value) || value < least)
      problems.push(`${name} must be a whole number of at least ${least}, not ${value}`);
  };
  whole('vcpus', 1);
  whole('gpuCount', 0);
  whole('count', 1);
  if (!Number.isFinite(request.memoryGiB) || request.memoryGiB <= 0)
    problems.push(`memoryGiB must be above 0, not ${request.memoryGiB}`);
  for (const name of ['diskGiB', 'maxPricePerHour'] as const)
    if (!Number.isFinite(request[name]) || request[name] < 0)
      problems.push(`${name} must be at least 0, not ${request[name]}`);
  return problems;
}
