/** Keeps the values used last, up to a weight (a count, when each weighs 1); the one unused for longest goes first. */
export class Recent<V> {
  readonly #most: number;
  readonly #weigh: (value: V) => number;
  readonly #values = new Map<string, V>();
  #weight = 0;

  constructor(most: number, weigh: (value: V) => number = () => 1) {
    this.#most = most;
    this.#weigh = weigh;
  }

  get(key: string): V | undefined {
    const found = this.#values.get(key);
    if (found === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, found);
    return found;
  }

  /** From the one unused for longest on. */
  entries(): IterableIterator<[string, V]> {
    return this.#values.entries();
  }

  /** Keeps a value under a key that has none, and gives it back. One that weighs too much alone is kept alone. */
  set(key: string, value: V): V {
    this.#values.set(key, value);
    this.#weight += this.#weigh(value);
    for (const [oldest, old] of this.#values) {
      if (this.#weight <= this.#most || oldest === key) break;
      this.#values.delete(oldest);
      this.#weight -= this.#weigh(old);
    }
    return value;
  }
}
