import {
  type Adapter,
  type Adopting,
  capability,
  imageOf,
  isProviderError,
  type Kind,
  type KindAdapter,
  known,
  type Listed,
  mayBeMade,
  notAdopted,
  type Observation,
  ofAnotherInstallation,
  overAdopting,
  overKinds,
  type Present,
  ProviderError,
  type ProviderErrorCode,
  type Stamp,
  type Target,
  type Unmanaged,
  type Want,
} from '@landfall/adapters';
import { pause } from '@landfall/adapters/wait.ts';
import { ConnectionLost, TinyAnswer, type TinyCloud, type TinyCode, type TinyObject } from './cloud.ts';
import { instanceTypes, shapes } from './shapes.ts';

export interface TinyOptions {
  pollMs: number;
  visibilityGraceMs: number;
}

const codes: Record<TinyCode, ProviderErrorCode> = {
  NoCapacity: 'CapacityExhausted',
  LimitReached: 'QuotaExceeded',
  SlowDown: 'Throttled',
  NoSuchObject: 'NotFound',
  BadProperty: 'Invalid',
  InUse: 'Conflict',
  TokenSpent: 'Conflict',
  Broken: 'Unavailable',
};

/** Runs a call to the provider; what it answers instead is told in the words of the contract (A7). */
async function asking<T>(call: Promise<T>, changes: boolean): Promise<T> {
  return call.catch((cause: unknown) => {
    if (cause instanceof ConnectionLost)
      throw new ProviderError(changes ? 'OutcomeUnknown' : 'Unavailable', cause.message, {}, cause);
    if (!(cause instanceof TinyAnswer)) throw cause;
    const { code, message, retryAfterMs } = cause;
    throw new ProviderError(codes[code], message, { providerCode: code, retryAfterMs }, cause);
  });
}

/**
 * The smallest adapter that keeps the whole contract: the example of docs/add-a-provider.md, over a provider that is
 * simulated in memory.
 */
export function createTinyAdapter(cloud: TinyCloud, options: TinyOptions): Adapter {
  /** Everything with these tags, over all pages. */
  const all = async (tags: Record<string, string> = {}): Promise<TinyObject[]> => {
    const found: TinyObject[] = [];
    for (let next: string | undefined, first = true; first || next !== undefined; first = false) {
      const page = await asking(cloud.list(tags, next), false);
      found.push(...page.objects);
      next = page.next;
    }
    return found;
  };
  const isYoung = ({ since }: Target) =>
    since !== undefined && Date.now() - Date.parse(since) < options.visibilityGraceMs;

  const observe = async <K extends Kind>(target: Target<K>, want?: Want<K>): Promise<Observation<K>> => {
    const found = (await all(tagsOf(target.stamp))).filter(({ type }) => type === target.kind);
    const newest = found.sort((a, b) => Number(b.tags.attempt) - Number(a.tags.attempt))[0];
    if (newest) return presentOf(target, newest, want);
    return isYoung(target) ? { presence: 'unsettled', retryAfterMs: options.pollMs } : { presence: 'absent' };
  };

  const presentOf = async <K extends Kind>(
    { kind, location }: Target<K>,
    object: TinyObject,
    want?: Want<K>,
  ): Promise<Present<K>> => ({
    presence: 'present',
    ref: object.id,
    stamp: stampOf(object),
    location,
    state: object.state === 'ready' ? 'ready' : 'removing',
    details: shapes[kind].details(object, await all()),
    diff: want ? Object.keys(changesOf(object, want)) : [],
  });

  /** Looked up by the stamp first; made by a token of the stamp, so that two callers make one (A1). */
  const ensure: KindAdapter<Kind>['ensure'] = async (want, { signal, heartbeat }) => {
    const { kind, stamp } = want as Want<Kind>;
    const properties = propertiesOf(want);
    const target = { kind, stamp, location: want.location } as Target<Kind>;
    heartbeat();
    let object = (await all(tagsOf(stamp))).find(({ type }) => type === kind);
    signal.throwIfAborted();
    if (!object) {
      mayBeMade(want as Want<Kind>);
      if (kind === 'Snapshot') properties.sizeGiB = await sizeOf(String(properties.from));
      const tags = { ...tagsOf(stamp), kind };
      const token = (type: string) => [stamp.broker, stamp.resource, stamp.attempt, type].join('/');
      if (kind === 'Instance') {
        imageOf(want as Want<'Instance'>);
        const disk = { sizeGiB: properties.diskGiB };
        properties.disk = (await asking(cloud.create(kind, 'Disk', token('Disk'), tags, disk), true)).id;
      }
      signal.throwIfAborted();
      object = await asking(cloud.create(kind, kind, token(kind), tags, properties), true).catch((error) => {
        if (isProviderError(error) && properties.disk) error.details.made = [String(properties.disk)];
        throw error;
      });
    }
    signal.throwIfAborted();
    const changes = changesOf(object, want);
    if (Object.keys(changes).length > 0) object = await asking(cloud.change(object.id, changes), true);
    return presentOf(target, object, want);
  };

  const sizeOf = async (volume: string): Promise<unknown> => {
    const found = (await all()).find(({ id }) => id === volume);
    if (!found) throw new ProviderError('NotFound', `there is no volume ${volume}`);
    return found.properties.sizeGiB;
  };

  /** The machine before its disk, and done only when two looks saw nothing, outside the grace period (A4, A5, A6). */
  const remove: KindAdapter<Kind>['remove'] = async (target, { signal }) => {
    const later = { done: false, retryAfterMs: options.pollMs } as const;
    for (let look = 1; look <= 2; look += 1) {
      const left = (await all(tagsOf(target.stamp))).filter(({ tags }) => tags.kind === target.kind);
      const mains = left.filter(({ type }) => type === target.kind);
      for (const { id } of mains.length > 0 ? mains : left)
        await asking(cloud.delete(id), true).catch((error: unknown) => {
          if (!isProviderError(error, 'NotFound')) throw error;
        });
      if (left.length > 0 || isYoung(target)) return later;
      await pause(options.pollMs, signal);
    }
    return { done: true };
  };

  const kindAdapter = <K extends Kind>(): KindAdapter<K> =>
    ({
      validate: async (want: Want<K>) => void propertiesOf(want),
      observe,
      ensure,
      remove,
    }) as unknown as KindAdapter<K>;

  const adopting = <K extends Kind>(): Adopting<K> => ({
    async discover(query) {
      const { objects, next } = await asking(cloud.list({}, query.page), false);
      const theirs = objects.filter(
        ({ id, type, tags }) =>
          type === query.kind && tags.broker !== query.broker && (query.ref ?? id) === id,
      );
      return { items: theirs.map(unmanagedOf), ...(next ? { nextPage: next } : {}), complete: true };
    },
    async adopt(want, { signal }) {
      const { kind, adopted, location, stamp } = want as Want<Kind>;
      signal.throwIfAborted();
      // The provider itself lets one of two callers have it: one conditional write is all there is to adopting.
      const object = await asking(cloud.tag(adopted?.ref ?? '', { ...tagsOf(stamp), kind }), true);
      return presentOf({ kind, stamp, location } as Target<K>, object);
    },
    /** The machine's disk before the machine, and done only when two looks saw nothing (A4). */
    async release(target, { signal }) {
      const later = { done: false, retryAfterMs: options.pollMs } as const;
      for (let look = 1; look <= 2; look += 1) {
        const stamped = (await all(tagsOf(target.stamp))).filter(({ tags }) => tags.kind === target.kind);
        const [children, mains] = [stamped.filter(isChild), stamped.filter((object) => !isChild(object))];
        for (const { id } of [...children, ...mains]) {
          signal.throwIfAborted();
          await asking(cloud.untag(id, ['broker', 'project', 'resource', 'attempt', 'kind']), true);
        }
        if (stamped.length > 0 || isYoung(target)) return later;
        await pause(options.pollMs, signal);
      }
      return { done: true };
    },
  });

  return {
    describe: async () => ({
      provider: 'onprem',
      visibilityGraceMs: options.visibilityGraceMs,
      capabilities: [
        capability('Instance'),
        capability('Volume'),
        capability('Snapshot'),
        capability('Image', { import: 'the tiny provider fetches nothing', ...notAdopted(notSimulated) }),
        capability('Network', notAdopted(notSimulated)),
        capability('Firewall', notAdopted(notSimulated)),
        capability('Address'),
      ],
      facts: { simulated: 'in memory' },
    }),
    async *offers() {
      for (const [instanceType, size] of Object.entries(instanceTypes))
        for (const market of ['onDemand', 'spot'] as const)
          yield {
            region: 'here',
            instanceType,
            market,
            ...size,
            architecture: 'x86_64',
            gpuCount: 0,
            burstable: false,
            currency: 'USD',
          };
    },
    quota: async () => [],
    ...overKinds({
      Instance: kindAdapter(),
      Volume: kindAdapter(),
      Snapshot: kindAdapter(),
      Image: kindAdapter(),
      Network: kindAdapter(),
      Firewall: kindAdapter(),
      Address: kindAdapter(),
    }),
    async list(broker, page) {
      try {
        const { objects, next } = await asking(cloud.list({ broker }, page), false);
        return { items: objects.map(listedOf), nextPage: next, complete: true };
      } catch (error) {
        // Of the first page nothing is known: that is an error. Later, what was seen stands, and is not all (A11).
        if (page === undefined || !isProviderError(error, 'Unavailable')) throw error;
        return { items: [], complete: false };
      }
    },
    ...overAdopting({
      Instance: adopting(),
      Volume: adopting(),
      Snapshot: adopting(),
      Image: notSimulated,
      Network: notSimulated,
      Firewall: notSimulated,
      Address: adopting(),
    }),
    async console(target, maxBytes) {
      const seen = await observe(target);
      if (seen.presence !== 'present') throw new ProviderError('NotFound', 'there is no such machine');
      const text = `${seen.ref} started with ${seen.details.vcpus} CPUs and ${seen.details.memoryGiB} GiB\nlogin: `;
      return Buffer.from(text).subarray(-maxBytes).toString();
    },
  };
}

const notSimulated = 'the tiny provider simulates it for machines, volumes, snapshots and addresses';

function propertiesOf<K extends Kind>({ kind, spec }: Want<K>): Record<string, unknown> {
  return { ...(shapes[kind] as { properties(spec: unknown): Record<string, unknown> }).properties(spec) };
}

/** What has to change for the object to be as wanted. */
function changesOf<K extends Kind>(object: TinyObject, want: Want<K>): Record<string, unknown> {
  const wanted = propertiesOf(want);
  const differs = (key: string) => JSON.stringify(object.properties[key]) !== JSON.stringify(wanted[key]);
  return Object.fromEntries(
    shapes[want.kind as Kind].changeable.filter(differs).map((key) => [key, wanted[key]]),
  );
}

function tagsOf({ broker, project, resource, attempt }: Target['stamp']): Record<string, string> {
  return { broker, project, resource, ...(attempt === undefined ? {} : { attempt: String(attempt) }) };
}

function stampOf({ tags: { broker = '', project = '', resource = '', attempt } }: TinyObject): Stamp {
  return { broker, project, resource, attempt: Number(attempt) };
}

function unmanagedOf(object: TinyObject): Unmanaged {
  const { id, tags, properties, state } = object;
  const { broker, ...labels } = tags;
  const { power, instanceType, vcpus, memoryGiB, type, attachedTo } = properties as Partial<Unmanaged>;
  const kind = object.type as Kind;
  return {
    kind,
    ref: id,
    location: { region: 'here' },
    state: state === 'ready' ? 'ready' : 'removing',
    power,
    instanceType,
    vcpus,
    memoryGiB,
    ...known('diskGiB', properties.sizeGiB as number | undefined),
    ...known('type', type),
    ...known('attachedTo', attachedTo),
    ...(kind === 'Snapshot' ? { volume: String(properties.from) } : {}),
    addresses:
      kind === 'Address' ? [{ type: 'external', address: shapes.Address.details(object, []).address }] : [],
    labels,
    ...(broker === undefined ? {} : { refused: ofAnotherInstallation }),
  };
}

const isChild = ({ type, tags }: TinyObject): boolean => type !== tags.kind;

function listedOf(object: TinyObject): Listed {
  const kind = object.tags.kind as Kind;
  return {
    ref: object.id,
    kind,
    stamp: stampOf(object),
    location: { region: 'here' },
    state: object.state === 'ready' ? 'ready' : 'removing',
    providerKind: object.type,
    child: isChild(object),
    ...(object.type === 'Instance' ? { power: object.properties.power as NonNullable<Listed['power']> } : {}),
  };
}
