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
  /** Fraction of spot machines taken back in a month, where the source says it. */
  interruptionRate?: number | null;
}

/** Where rows come from: a file, a price API, or the shipped snapshot. */
export interface CatalogueSource {
  name: string;
  /** ISO date (`2025-03-02`) the prices were read or published. */
  date: string;
  /** What a person must know about prices from here, such as that they are old. */
  notice?: string;
}

/** Small numbers, in the narrowest array that holds them. */
export type Codes = Uint8Array | Uint16Array | Uint32Array;

/** Room for `n` codes below `values`. */
export function codesFor(n: number, values: number): Codes {
  return values <= 0x100 ? new Uint8Array(n) : values <= 0x10000 ? new Uint16Array(n) : new Uint32Array(n);
}

/** A string column: one small code per row, and the values in ascending order, so codes compare as names do. */
export interface NameColumn {
  codes: Codes;
  values: string[];
}

/** Names as they come, each with a number of its own. */
export class Names {
  readonly #numbers = new Map<string, number>();

  /** The number of a name, in order of first appearance. */
  number(name: string): number {
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(name, number);
    }
    return number;
  }

  get size(): number {
    return this.#numbers.size;
  }

  /** The place of each number's name among all names, sorted by code unit. */
  ranks(): Uint32Array {
    const ranks = new Uint32Array(this.#numbers.size);
    [...this.#numbers].sort(byName).forEach(([, number], rank) => {
      ranks[number] = rank;
    });
    return ranks;
  }

  /** The column of the rows in `order`: only their names, sorted by code unit. `numbers` has a number per row. */
  column(order: Uint32Array, numbers: Uint32Array): NameColumn {
    const used = new Uint8Array(this.#numbers.size);
    for (const row of order) used[numbers[row]!] = 1;
    const kept = [...this.#numbers].filter(([, number]) => used[number] === 1).sort(byName);
    const rank = new Uint32Array(used.length);
    kept.forEach(([, number], r) => {
      rank[number] = r;
    });
    const codes = codesFor(order.length, kept.length);
    for (let i = 0; i < codes.length; i++) codes[i] = rank[numbers[order[i]!]!]!;
    return { codes, values: kept.map(([name]) => ownCopy(name)) };
  }
}

/** The same text by itself: a name cut out of a file's text would keep all of that text in memory. */
function ownCopy(name: string): string {
  return Buffer.from(name, 'utf16le').toString('utf16le');
}

const byName = ([a]: [string, number], [b]: [string, number]): number => (a < b ? -1 : 1);

/** First 12 hex digits of SHA-256 over the parts: enough to tell versions apart in a record. */
export function contentHash(parts: Iterable<string | Uint8Array>): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(part);
    hash.update('\0');
  }
  return hash.digest('hex').slice(0, 12);
}
