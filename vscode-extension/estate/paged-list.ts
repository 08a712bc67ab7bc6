/** A list of the broker, read page by page when it is first wanted, and kept true afterwards item by item. */

/** One page of a list. */
export interface Page<T> {
  items: T[];
  nextPageToken?: string;
}

/** What became of a list: items that are otherwise than before; and whether others come or are gone. */
export interface ListChange<T> {
  changed: T[];
  structural: boolean;
}

/** How a list is read, and in which order. */
export interface ListSource<T> {
  key(item: T): string;
  read(query: { pageSize: number; pageToken?: string }, signal: AbortSignal): Promise<Page<T>>;
  /** The order the broker lists them in. */
  compare(a: T, b: T): number;
  /** Whether an item of this state is in the list. Default: all are. */
  holds?(item: T): boolean;
}

/** The most that the broker gives at once. */
export const pageSize = 500;

/** Items by key, in the list's order. */
export class PagedList<T> {
  readonly #source: ListSource<T>;
  readonly #signal: AbortSignal;
  readonly #onChange: (change: ListChange<T>) => void;
  #items = new Map<string, T>();
  #nextPageToken: string | undefined;
  #pages = 0;
  #reading: Promise<void> | undefined;
  #error: Error | undefined;
  /** What was applied during a reading: its pages may be from before. */
  readonly #meanwhile = new Map<string, T | undefined>();

  constructor(source: ListSource<T>, signal: AbortSignal, onChange: (change: ListChange<T>) => void) {
    this.#source = source;
    this.#signal = signal;
    this.#onChange = onChange;
  }

  /** Whether anything has been read. */
  get loaded(): boolean {
    return this.#pages > 0;
  }

  /** Whether the broker has more than has been read. */
  get more(): boolean {
    return this.#nextPageToken !== undefined;
  }

  /** Why the last reading failed; what was read before stays. */
  get error(): Error | undefined {
    return this.#error;
  }

  get size(): number {
    return this.#items.size;
  }

  items(): T[] {
    return [...this.#items.values()];
  }

  get(key: string): T | undefined {
    return this.#items.get(key);
  }

  /** The first page, where nothing has been read. Callers at the same time share one request. */
  async load(): Promise<void> {
    await this.#reading?.catch(() => undefined);
    if (!this.loaded) await this.#read(1, []);
  }

  /** The next page, where there is one. */
  async loadMore(): Promise<void> {
    await this.#reading?.catch(() => undefined);
    if (this.more) await this.#read(1, this.items(), this.#nextPageToken);
  }

  /** As many pages again as have been read. */
  async reload(): Promise<void> {
    await this.#reading?.catch(() => undefined);
    if (this.loaded) await this.#read(this.#pages, []);
  }

  /** Takes over what single items have become; undefined: it is gone. All of them are one change. */
  apply(now: ReadonlyMap<string, T | undefined>): void {
    if (this.#reading) for (const [key, item] of now) this.#meanwhile.set(key, item);
    if (!this.loaded) return;
    const changed: T[] = [];
    const added: T[] = [];
    let structural = false;
    const { holds, compare } = this.#source;
    for (const [key, item] of now) {
      if (item === undefined || holds?.(item) === false) {
        if (this.#items.delete(key)) structural = true;
      } else if (this.#items.has(key)) {
        this.#items.set(key, item);
        changed.push(item);
      } else added.push(item);
    }
    if (added.length > 0) {
      const items = this.items();
      const last = items.at(-1);
      // What belongs behind the last page comes with its own.
      const shown = this.more && last !== undefined ? added.filter((item) => compare(item, last) < 0) : added;
      if (shown.length > 0) {
        structural = true;
        this.#keep([...items, ...shown].sort(compare));
      }
    }
    if (changed.length > 0 || structural) this.#onChange({ changed, structural });
  }

  #read(pages: number, before: T[], from?: string): Promise<void> {
    const shared = this.#reading;
    if (shared) return shared;
    const reading = this.#readPages(pages, before, from).finally(() => {
      this.#reading = undefined;
      const meanwhile = new Map(this.#meanwhile);
      this.#meanwhile.clear();
      this.apply(meanwhile);
    });
    this.#reading = reading;
    return reading;
  }

  async #readPages(pages: number, before: T[], from: string | undefined): Promise<void> {
    const items = [...before];
    let pageToken = from;
    let read = 0;
    try {
      do {
        const page = await this.#source.read({ pageSize, ...(pageToken ? { pageToken } : {}) }, this.#signal);
        items.push(...page.items);
        pageToken = page.nextPageToken;
        read++;
      } while (pageToken !== undefined && read < pages);
    } catch (error) {
      // Told to who asked, and not as a change: a view would ask again at once.
      this.#error = error as Error;
      throw error;
    }
    this.#error = undefined;
    this.#pages = from === undefined ? read : this.#pages + read;
    this.#nextPageToken = pageToken;
    const was = this.#items;
    this.#keep(items);
    const keys = [...this.#items.keys()];
    const wereKeys = [...was.keys()];
    const structural = keys.length !== wereKeys.length || keys.some((key, at) => key !== wereKeys[at]);
    const changed = [...this.#items].filter(([key, item]) => {
      const before = was.get(key);
      return before !== undefined && before !== item && JSON.stringify(before) !== JSON.stringify(item);
    });
    this.#onChange({ changed: changed.map(([, item]) => item), structural });
  }

  #keep(items: T[]): void {
    this.#items = new Map(items.map((item) => [this.#source.key(item), item]));
  }
}
