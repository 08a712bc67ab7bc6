import { createHash } from 'node:crypto';

/** One price of one instance type, as a source states it. Sizes in vCPUs and GiB, the price in USD per hour. */
export interface CatalogueRow {
  provider: string;
  region: string;
  /** Null: the price holds in every zone of the region. */
  zone: string | null;
  instanceType: string;
  market: 'onDemand' | 'spot';
  vcpus: number;
  memoryGiB: number;
  architecture: string;
  gpuName: string | null;
  gpuCount: number;
  burstable: boolean;
  pricePerHour: number;
}

/** Where rows come from: a file, a price API, or the shipped snapshot. */
export interface CatalogueSource {
  name: string;
  /** ISO date (`2025-03-02`) the prices were read or published. */
  date: string;
  /** What a person must know about prices from here, such as that they are old. */
  notice?: string;
}

/** A string column: one small code per row, and the values in ascending order, so codes compare as names do. */
export interface NameColumn {
  codes: Uint32Array;
  values: string[];
}

/** Encodes a column of names; the dictionary is sorted by code unit. */
export function nameColumn(n: number, name: (i: number) => string): NameColumn {
  const seen = new Map<string, number>();
  const codes = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    const value = name(i);
    let code = seen.get(value);
    if (code === undefined) {
      code = seen.size;
      seen.set(value, code);
    }
    codes[i] = code;
  }
  const values = [...seen.keys()].sort();
  const rank = new Uint32Array(values.length);
  values.forEach((value, r) => {
    rank[seen.get(value)!] = r;
  });
  for (let i = 0; i < n; i++) codes[i] = rank[codes[i]!]!;
  return { codes, values };
}

/** First 12 hex digits of SHA-256 over the parts: enough to tell versions apart in a record. */
export function contentHash(parts: Iterable<string | Uint8Array>): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(part);
    hash.update('\0');
  }
  return hash.digest('hex').slice(0, 12);
}
