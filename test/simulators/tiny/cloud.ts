import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kind } from '@landfall/adapters';
import type { Fault } from '@landfall/adapters/conformance/subject.ts';

/** An object of the simulated provider. What stands for a resource has the kind as its type; a machine has a disk of its own. */
export interface TinyObject {
  id: string;
  type: Kind | 'Disk';
  tags: Record<string, string>;
  properties: Record<string, unknown>;
  state: 'ready' | 'deleting';
}

export type TinyCode =
  | 'NoCapacity'
  | 'LimitReached'
  | 'SlowDown'
  | 'NoSuchObject'
  | 'BadProperty'
  | 'InUse'
  | 'TokenSpent'
  | 'Broken';

/** What the provider answers instead. */
export class TinyAnswer extends Error {
  readonly code: TinyCode;
  readonly retryAfterMs: number | undefined;

  constructor(code: TinyCode, message: string, retryAfterMs?: number) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The connection ended before the answer. */
export class ConnectionLost extends Error {}

interface Kept extends TinyObject {
  /** Looks that do not see it yet. */
  unseen: number;
  /** Gone from this time on, in milliseconds; of what is being deleted. */
  goneAt?: number;
  /** There again from this time on. */
  backAt?: number;
}

const pageSize = 50;

/**
 * A simulated provider in memory, as small as the contract allows: objects with tags and properties, created by token,
 * listed in pages, changed, deleted. Its faults are the whole catalogue of the conformance suite, but for clocks: it has none.
 */
export class TinyCloud {
  #objects = new Map<string, Kept>();
  #tokens = new Map<string, string>();
  #faults: { fault: Fault; of: Kind; left: number }[] = [];
  #serial = 0;

  setFault(fault: Fault, of: Kind): void {
    // Here a spot machine that is taken away stays, stopped.
    if (fault.kind === 'interrupt')
      Object.assign(this.#existing(fault.ref).properties, { power: 'stopped', reclaimed: true });
    else this.#faults.push({ fault, of, left: ('times' in fault ? fault.times : undefined) ?? 1 });
  }

  clearFaults(): void {
    this.#faults = [];
    for (const object of this.#objects.values()) object.unseen = 0;
  }

  /** Every object that exists now, without asking the provider's interface. */
  all(): TinyObject[] {
    return [...this.#objects.values()].filter(exists);
  }

  /** Puts an object there that nobody asked the interface for. */
  plant(type: Kind, tags: Record<string, string>): string {
    const properties: Partial<Record<Kind, Record<string, unknown>>> = {
      Instance: { power: 'running', instanceType: 'tiny.small', vcpus: 1, memoryGiB: 1, reboots: 0 },
      Volume: { sizeGiB: 1, type: 'standard' },
      Snapshot: { sizeGiB: 1, from: 'gone' },
    };
    return this.#keep(type, tags, properties[type] ?? {}).id;
  }

  /** The same token gives the same object. `of`: the kind of the resource that it is created for. */
  async create(
    of: Kind,
    type: TinyObject['type'],
    token: string,
    tags: Record<string, string>,
    properties: Record<string, unknown>,
  ): Promise<TinyObject> {
    await this.#arrive();
    const main = type === of;
    if (main && this.#use('requestLost', of)) throw new ConnectionLost('the connection ended');
    const made = this.#createOnce(of, type, token, tags, properties);
    // The second delivery of the same call finds the token used: that is what tokens are for.
    if (main && this.#use('duplicate', of)) this.#createOnce(of, type, token, tags, properties);
    if (main && this.#use('responseLost', of)) throw new ConnectionLost('the connection ended');
    return made;
  }

  /** One page of what carries all these tags. */
  async list(
    tags: Record<string, string>,
    after?: string,
  ): Promise<{ objects: TinyObject[]; next?: string }> {
    await this.#arrive();
    const broken = this.#faults.find(({ fault, left }) => fault.kind === 'brokenList' && left > 0);
    if (broken && after !== undefined) {
      broken.left -= 1;
      throw new TinyAnswer('Broken', 'simulated: the list failed on the way');
    }
    const found = [...this.#objects.values()].filter(
      (object) =>
        exists(object) &&
        Object.entries(tags).every(([key, value]) => object.tags[key] === value) &&
        object.unseen-- <= 0,
    );
    const from = after === undefined ? 0 : found.findIndex(({ id }) => id === after) + 1;
    const objects = found.slice(from, from + (broken ? 1 : pageSize));
    const next = from + objects.length < found.length ? objects.at(-1)?.id : undefined;
    return { objects: objects.map(copyOf), ...(next === undefined ? {} : { next }) };
  }

  async change(id: string, properties: Record<string, unknown>): Promise<TinyObject> {
    await this.#arrive();
    const object = this.#existing(id);
    this.#check(properties);
    // Who starts or stops it knows why.
    Object.assign(object.properties, 'power' in properties ? { reclaimed: false } : {}, properties);
    return copyOf(object);
  }

  /** Adds tags to what has none of these keys yet, or has them like this already: of two callers one is refused. */
  async tag(id: string, tags: Record<string, string>): Promise<TinyObject> {
    await this.#arrive();
    const object = this.#existing(id);
    if (Object.entries(tags).some(([key, value]) => (object.tags[key] ?? value) !== value))
      throw new TinyAnswer('InUse', `simulated: ${id} has other tags`);
    Object.assign(object.tags, tags);
    return copyOf(object);
  }

  /** Takes the tags of these names off. */
  async untag(id: string, names: readonly string[]): Promise<void> {
    await this.#arrive();
    const object = this.#existing(id);
    for (const name of names) delete object.tags[name];
  }

  async delete(id: string): Promise<void> {
    await this.#arrive();
    const object = this.#existing(id);
    const users = this.all().filter((other) => usedBy(other).includes(id));
    if (users.length > 0) throw new TinyAnswer('InUse', `simulated: ${id} is used by ${users[0]?.id}`);
    if (object.goneAt !== undefined) return;
    const kind = object.type === 'Disk' ? 'Instance' : object.type;
    object.state = 'deleting';
    const slow = this.#faults.find(({ fault, of }) => fault.kind === 'slowDelete' && of === kind)?.fault;
    object.goneAt = Date.now() + (slow?.kind === 'slowDelete' ? slow.ms : 0);
    const back = object.type === kind ? this.#use('deleteReturns', kind) : undefined;
    if (back) object.backAt = object.goneAt + back.ms;
    // What was attached to a machine is free again.
    for (const other of this.#objects.values())
      if (other.properties.attachedTo === id) other.properties.attachedTo = undefined;
  }

  async #arrive(): Promise<void> {
    const latency = this.#use('latency');
    await sleep(latency?.ms ?? 1);
    for (const object of this.#objects.values())
      if (object.backAt !== undefined && Date.now() >= object.backAt)
        Object.assign(object, { state: 'ready', goneAt: undefined, backAt: undefined });
    const throttle = this.#use('throttle');
    if (throttle) throw new TinyAnswer('SlowDown', 'simulated: too many calls', throttle.retryAfterMs);
  }

  #createOnce(
    of: Kind,
    type: TinyObject['type'],
    token: string,
    tags: Record<string, string>,
    properties: Record<string, unknown>,
  ): TinyObject {
    const known = this.#tokens.get(token);
    if (known !== undefined) {
      const object = this.#objects.get(known);
      if (object && exists(object)) return copyOf(object);
      throw new TinyAnswer('TokenSpent', 'simulated: what this token made is gone');
    }
    if (this.#use('capacity', of)) throw new TinyAnswer('NoCapacity', 'simulated: no room');
    if (type === of && this.#use('quota', of)) throw new TinyAnswer('LimitReached', 'simulated: quota');
    const failing = this.#faults.find(
      ({ fault, of: kind, left }) => fault.kind === 'failChild' && kind === of && left > 0,
    );
    if (failing?.fault.kind === 'failChild' && failing.fault.n === (type === 'Disk' ? 1 : 2)) {
      failing.left -= 1;
      throw new TinyAnswer('Broken', `simulated: the ${type} could not be made`);
    }
    this.#check(properties);
    const object = this.#keep(type, tags, properties);
    const lag = this.#faults.find(({ fault, of: kind }) => fault.kind === 'lag' && kind === of)?.fault;
    if (lag?.kind === 'lag') object.unseen = lag.lists;
    this.#tokens.set(token, object.id);
    return copyOf(object);
  }

  #keep(type: TinyObject['type'], tags: Record<string, string>, properties: Record<string, unknown>): Kept {
    this.#serial += 1;
    const object: Kept = {
      id: `${type.toLowerCase()}-${randomUUID()}`,
      type,
      tags: { ...tags },
      properties: { ...structuredClone(properties), serial: this.#serial },
      state: 'ready',
      unseen: 0,
    };
    this.#objects.set(object.id, object);
    return object;
  }

  /** What a property names must exist. */
  #check(properties: Record<string, unknown>): void {
    for (const id of [properties.attachedTo, properties.from, ...usedBy({ properties })])
      if (typeof id === 'string') this.#existing(id);
  }

  #existing(id: string): Kept {
    const object = this.#objects.get(id);
    if (!object || !exists(object)) throw new TinyAnswer('NoSuchObject', `simulated: there is no ${id}`);
    return object;
  }

  #use<K extends Fault['kind']>(kind: K, of?: Kind): Extract<Fault, { kind: K }> | undefined {
    const found = this.#faults.find(
      (each) => each.fault.kind === kind && each.left > 0 && (of === undefined || each.of === of),
    );
    if (!found) return undefined;
    found.left -= 1;
    return found.fault as Extract<Fault, { kind: K }>;
  }
}

function exists({ goneAt, backAt }: Kept): boolean {
  const now = Date.now();
  return goneAt === undefined || now < goneAt || (backAt !== undefined && now >= backAt);
}

/** What the object stands on, and what may not be deleted under it. */
function usedBy({ properties }: Pick<TinyObject, 'properties'>): string[] {
  return [
    properties.network,
    ...((properties.firewalls as string[] | undefined) ?? []),
    properties.disk,
  ].filter((id): id is string => typeof id === 'string');
}

function copyOf({ id, type, tags, properties, state }: TinyObject): TinyObject {
  return structuredClone({ id, type, tags, properties, state });
}
