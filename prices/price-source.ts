import type { CatalogueRow } from '@landfall/policies';

/** What an instance type is like beside its price. */
export type MachineSize = Pick<
  CatalogueRow,
  'vcpus' | 'memoryGiB' | 'architecture' | 'gpuName' | 'gpuCount' | 'burstable'
>;

/** Sizes known from elsewhere (snapshot, files, what sites list): those of a provider by instance type. */
export interface KnownSizes {
  of(instanceType: string): MachineSize | undefined;
  /** Every instance type known. */
  types(): Iterable<string>;
}

/** Reasons for leaving rows out, each with how many. */
export type LeftOut = Record<string, number>;

/** One answer of a price API. JSON, so that it can be kept until the list is whole. */
export interface PricePage {
  rows: CatalogueRow[];
  leftOut: LeftOut;
  /** What {@link PriceSource.read} goes on from after this page; null after the last. */
  resume: string | null;
}

/** A provider's price API. */
export interface PriceSource {
  provider: 'aws' | 'azure' | 'gcp';
  /**
   * Prices in `regions`, page by page; with `resume`, the pages after the one that gave it. Throws when a page cannot be
   * had: no price list may then be made of those before it.
   */
  read(options: {
    regions: readonly string[];
    sizes: KnownSizes;
    resume?: string | null;
    signal?: AbortSignal;
  }): AsyncIterable<PricePage>;
}

/** Counts one more for a reason. */
export function leaveOut(leftOut: LeftOut, reason: string, count = 1): void {
  leftOut[reason] = (leftOut[reason] ?? 0) + count;
}

/**
 * A decimal number as the APIs write it, as text or as a JSON number; anything else (blank, NaN, a word) is null.
 */
export function decimal(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value !== 'string' || !/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value.trim())) return null;
  return Number(value);
}

/** Why a price cannot be used, or null. 0 stands for "none" in all three APIs; nobody gives machines away. */
export function priceProblem(value: unknown): string | null {
  if (value === undefined || value === null || value === '') return 'no price';
  const price = decimal(value);
  if (price === null) return 'a price that is no number';
  if (price < 0) return 'a negative price';
  if (price === 0) return 'a price of 0';
  return null;
}

/** Why an entry of another shape is left out. */
export const NO_OBJECT = 'an entry that is no object';

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
