/** All that is known of a broker's estate: lists that are read when they are looked at and follow the watch stream. */
import type { Event, Host, Instance, Operation, Schemas, Site } from '@landfall/model';
import { type BrokerConnection, body, bodyIfFound, ProblemError } from '../broker/connection.ts';
import { Watch, type WatchState } from '../broker/watch.ts';
import type { AdoptableKind, Unmanaged } from './adoption.ts';
import {
  isPlainKind,
  isResourceKind,
  listPath,
  type Plain,
  type PlainKind,
  type Resource,
  type ResourceKind,
  resourcePath,
} from './kinds.ts';
import { type ListChange, type ListSource, PagedList } from './paged-list.ts';
import { plainList } from './plain-lists.ts';

/**
 * Which list has changed: `within` is the site of hosts, the site and kind of what is unmanaged (`aws-1/Instance`), or the project of instances, resources, SSH keys and policies; absent:
 * the images and policies of the organization.
 */
export interface ListName {
  kind:
    | 'Site'
    | 'Host'
    | 'Unmanaged'
    | 'Project'
    | 'Instance'
    | 'Operation'
    | 'Violation'
    | 'Approval'
    | ResourceKind
    | PlainKind;
  within?: string;
}

/** Told of what changes. */
export interface EstateListener {
  list?(name: ListName, change: ListChange<unknown>): void;
  event?(event: Event): void;
  /** What was read before a break in the stream may be stale. */
  reload?(): void;
  state?(state: WatchState): void;
}

/** What exists without Landfall, and whether every part of the site could be read. */
export interface UnmanagedList {
  list: PagedList<Unmanaged>;
  isWhole(): boolean;
}

/** A list, and what one of its items has become. */
interface Kept {
  list: PagedList<unknown>;
  one(key: string): Promise<unknown>;
}

/** More changes than this at once are read by the page. */
const fewChanges = 20;

/** Changes are collected so long before they are read. */
const collectMs = 50;

/** An operation that goes on says what it does without an event. */
const progressEveryMs = 2_000;

const byName = (a: { name: string }, b: { name: string }): number =>
  a.name < b.name ? -1 : Number(a.name > b.name);
const newestFirst = <K extends string>(field: K) => {
  return (a: { [F in K]: string }, b: { [F in K]: string }): number =>
    a[field] > b[field] ? -1 : Number(a[field] < b[field]);
};

/** Whether an operation still goes on. */
export const isOpen = ({ state }: Operation): boolean => state === 'Pending' || state === 'Running';

/** Lives as long as its connection. */
export class Estate {
  readonly connection: BrokerConnection;
  readonly sites: PagedList<Site>;
  readonly projects: PagedList<Schemas['Project']>;
  readonly operations: PagedList<Operation>;
  readonly violations: PagedList<Schemas['Violation']>;
  readonly approvals: PagedList<Schemas['Approval']>;
  readonly #lists = new Map<string, Kept>();
  /** Of what is unmanaged: lists that a part of the site is missing in. */
  readonly #partial = new Set<string>();
  readonly #listeners = new Set<EstateListener>();
  readonly #watch: Watch;
  #progress: ReturnType<typeof setInterval> | undefined;
  /** By list: keys of items that are to be read again, or all of it. */
  readonly #stale = new Map<string, Set<string> | 'all'>();
  #flushing: Promise<void> | undefined;

  constructor(connection: BrokerConnection, silenceMs?: number) {
    this.connection = connection;
    const { client, closed: signal } = connection;
    this.sites = this.#list<Site>(
      { kind: 'Site' },
      (name) => client.GET('/v1/sites/{site}', { params: { path: { site: name } } }),
      {
        key: ({ name }) => name,
        compare: byName,
        read: (query) =>
          body(client.GET('/v1/sites', { params: { query: { ...query, orderBy: 'name' } }, signal })),
      },
    );
    this.projects = this.#list<Schemas['Project']>(
      { kind: 'Project' },
      (name) => client.GET('/v1/projects/{project}', { params: { path: { project: name } } }),
      {
        key: ({ name }) => name,
        compare: byName,
        read: (query) =>
          body(client.GET('/v1/projects', { params: { query: { ...query, orderBy: 'name' } }, signal })),
      },
    );
    this.operations = this.#list(
      { kind: 'Operation' },
      (operation) => client.GET('/v1/operations/{operation}', { params: { path: { operation } } }),
      {
        key: ({ id }) => id,
        compare: newestFirst('createdAt'),
        // Older ones are a page each: who opens the view wants what goes on now.
        read: (query) =>
          body(client.GET('/v1/operations', { params: { query: { ...query, pageSize: 100 } }, signal })),
      },
    );
    this.violations = this.#list(
      { kind: 'Violation' },
      (violation) => client.GET('/v1/violations/{violation}', { params: { path: { violation } } }),
      {
        key: ({ id }) => id,
        compare: newestFirst('firstSeenAt'),
        holds: ({ state }) => state !== 'Resolved',
        read: (query) =>
          body(
            client.GET('/v1/violations', {
              params: { query: { ...query, filter: 'state!=Resolved' } },
              signal,
            }),
          ),
      },
    );
    this.approvals = this.#list(
      { kind: 'Approval' },
      (approval) => client.GET('/v1/approvals/{approval}', { params: { path: { approval } } }),
      {
        key: ({ id }) => id,
        compare: newestFirst('requestedAt'),
        holds: ({ state }) => state === 'Pending',
        read: (query) =>
          body(
            client.GET('/v1/approvals', { params: { query: { ...query, filter: 'state=Pending' } }, signal }),
          ),
      },
    );
    this.#watch = new Watch(
      connection,
      {
        event: (event) => this.#take(event),
        reload: () => {
          this.#reloadAll(true);
          for (const listener of this.#listeners) listener.reload?.();
        },
        state: (state) => {
          for (const listener of this.#listeners) listener.state?.(state);
        },
      },
      silenceMs,
    );
  }

  /** Begins to watch. */
  open(): void {
    void this.#watch.run();
    this.#progress = setInterval(() => void this.#readProgress(), progressEveryMs);
  }

  close(): void {
    this.connection.close();
    clearInterval(this.#progress);
    this.#listeners.clear();
  }

  get state(): WatchState {
    return this.#watch.state;
  }

  /** Connects again at once where that was being waited for. */
  retry(): void {
    this.#watch.retry();
  }

  /** Answers what ends it. */
  listen(listener: EstateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  hosts(site: string): PagedList<Host> {
    const { client, closed: signal } = this.connection;
    return this.#list<Host>(
      { kind: 'Host', within: site },
      (host) => client.GET('/v1/sites/{site}/hosts/{host}', { params: { path: { site, host } } }),
      {
        key: ({ name }) => name,
        compare: byName,
        read: (query) =>
          body(client.GET('/v1/hosts', { params: { query: { ...query, filter: `site=${site}` } }, signal })),
      },
    );
  }

  instances(project: string): PagedList<Instance> {
    const { client, closed: signal } = this.connection;
    return this.#list<Instance>(
      { kind: 'Instance', within: project },
      (instance) =>
        client.GET('/v1/projects/{project}/instances/{instance}', {
          params: { path: { project, instance } },
        }),
      {
        key: ({ id }) => id,
        compare: byName,
        holds: ({ status }) => status.state !== 'Deleted' && status.state !== 'Released',
        read: (query) =>
          body(
            client.GET('/v1/projects/{project}/instances', {
              params: { path: { project }, query: { ...query, orderBy: 'name' } },
              signal,
            }),
          ),
      },
    );
  }

  resources(kind: ResourceKind, project: string): PagedList<Resource> {
    const { client, closed: signal } = this.connection;
    return this.#list<Resource>(
      { kind, within: project },
      (resource) => client.GET(resourcePath(kind), { params: { path: { project, resource } } }),
      {
        key: ({ id }) => id,
        compare: byName,
        holds: ({ status }) => status.state !== 'Deleted' && status.state !== 'Released',
        read: (query) =>
          body(
            client.GET(listPath(kind), {
              params: { path: { project }, query: { ...query, orderBy: 'name' } },
              signal,
            }),
          ),
      },
    );
  }

  /** SSH keys and policies of a project; without one the images and all policies that the organization sees. */
  plain(kind: PlainKind, project?: string): PagedList<Plain> {
    const { one, source } = plainList(this.connection, kind, project);
    return this.#list({ kind, within: project }, one, source);
  }

  /** What exists at a site without Landfall, asked of the site itself: nothing tells of changes to it. */
  unmanaged(site: string, kind: AdoptableKind): UnmanagedList {
    const { client, closed: signal } = this.connection;
    const within = `${site}/${kind}`;
    const read = (query: { pageToken?: string }) =>
      client.GET('/v1/sites/{site}/unmanaged', {
        params: { path: { site }, query: { kind, ...query } },
        signal,
      });
    const list = this.#list<Unmanaged>({ kind: 'Unmanaged', within }, undefined, {
      key: ({ externalReference }) => externalReference,
      // As the provider lists them.
      compare: () => 0,
      read: async ({ pageToken }) => {
        const page = await body(read(pageToken === undefined ? {} : { pageToken }));
        if (!page.complete) this.#partial.add(within);
        else if (pageToken === undefined) this.#partial.delete(within);
        return page;
      },
    });
    return { list, isWhole: () => !this.#partial.has(within) };
  }

  /** Reads again what has been read. */
  refresh(): void {
    this.#reloadAll(false);
    this.retry();
  }

  #list<T>(
    name: ListName,
    one: ((key: string) => Promise<{ data?: unknown; error?: unknown; response: Response }>) | undefined,
    source: ListSource<T>,
  ): PagedList<T> {
    const key = nameOf(name);
    const kept = this.#lists.get(key);
    if (kept) return kept.list as PagedList<T>;
    const list = new PagedList(source, this.connection.closed, (change) => {
      for (const listener of this.#listeners) listener.list?.(name, change);
    });
    this.#lists.set(key, {
      list: list as PagedList<unknown>,
      one: async (id) => (one ? bodyIfFound(one(id)) : list.get(id)),
    });
    return list;
  }

  #take(event: Event): void {
    const { resource, project, operation, type } = event;
    const data = (event.data ?? {}) as Record<string, unknown>;
    if (operation) this.#mark({ kind: 'Operation' }, operation);
    if (typeof data.approval === 'string') this.#mark({ kind: 'Approval' }, data.approval);
    if (typeof data.violation === 'string') this.#mark({ kind: 'Violation' }, data.violation);
    if (resource) {
      const { kind, id, name } = resource;
      for (const each of this.operations.items())
        if (isOpen(each) && each.resource?.id === id) this.#mark({ kind: 'Operation' }, each.id);
      if (kind === 'Site' || kind === 'Project') this.#mark({ kind }, name);
      else if (kind === 'Host' && typeof data.site === 'string') {
        this.#mark({ kind, within: data.site }, name);
        this.#mark({ kind: 'Site' }, data.site);
      } else if (kind === 'Instance' && project) {
        this.#mark({ kind, within: project }, id);
        // What it takes of a host, and how many a site has.
        if (type !== 'instance.createRequested') this.#readPlaces();
      } else if (isResourceKind(kind) && project) this.#mark({ kind, within: project }, id);
      else if (kind === 'PlacementPolicy') {
        // Its scope is not in every event: each list knows what it holds.
        for (const list of this.#lists.keys())
          if (list === kind || list.startsWith(`${kind} `)) this.#markIn(list, name);
      } else if (isPlainKind(kind))
        this.#mark(kind === 'SshKey' ? { kind, within: project ?? undefined } : { kind }, name);
    }
    for (const listener of this.#listeners) listener.event?.(event);
    this.#flush();
  }

  #mark(name: ListName, key: string): void {
    this.#markIn(nameOf(name), key);
  }

  #markIn(list: string, key: string): void {
    if (!this.#lists.has(list)) return;
    const marked = this.#stale.get(list);
    if (marked === 'all') return;
    if (marked) marked.add(key);
    else this.#stale.set(list, new Set([key]));
  }

  /** `sparing`: without what only the providers can be asked. */
  #reloadAll(sparing: boolean): void {
    for (const [name, { list }] of this.#lists)
      if (list.loaded && !(sparing && name.startsWith('Unmanaged '))) this.#stale.set(name, 'all');
    this.#flush();
  }

  #readPlaces(): void {
    if (this.state.kind !== 'live') return;
    for (const [name, { list }] of this.#lists)
      if (list.loaded && (name === 'Site' || name.startsWith('Host '))) this.#stale.set(name, 'all');
    this.#flush();
  }

  /** What open operations do now; those that are no longer open have ended since. */
  async #readProgress(): Promise<void> {
    if (this.state.kind !== 'live') return;
    const open = this.operations.items().filter(isOpen);
    for (const { id } of open) this.#mark({ kind: 'Operation' }, id);
    this.#flush();
  }

  #flush(): void {
    if (this.connection.closed.aborted) return;
    this.#flushing ??= this.#readStale().finally(() => {
      this.#flushing = undefined;
    });
  }

  /** Reads what is marked until nothing is. What fails for now stays marked, and is tried again after a second. */
  async #readStale(): Promise<void> {
    const { closed } = this.connection;
    await new Promise((resolve) => setTimeout(resolve, collectMs));
    while (!closed.aborted && this.#stale.size > 0) {
      const stale = new Map(this.#stale);
      this.#stale.clear();
      let failed = false;
      for (const [name, keys] of stale) {
        const kept = this.#lists.get(name)!;
        try {
          if (keys === 'all' || keys.size > fewChanges) await kept.list.reload();
          else {
            const read = await Promise.all([...keys].map(async (key) => [key, await kept.one(key)] as const));
            kept.list.apply(new Map(read));
          }
        } catch (error) {
          if (closed.aborted) return;
          if (isForNow(error)) {
            failed = true;
            this.#stale.set(name, keys);
          }
        }
      }
      if (failed) await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}

/** A name for maps. */
const nameOf = ({ kind, within }: ListName): string => (within === undefined ? kind : `${kind} ${within}`);

/** Whether trying again later may help. */
function isForNow(error: unknown): boolean {
  if (!(error instanceof ProblemError)) return true;
  const { status } = error.problem;
  return status >= 500 || status === 429 || status === 408;
}
