/**
 * What the run has made and has seen removed, as lines of a file: the process of the suites writes it, the one that watches the
 * spend reads it. Written before a create, so that what stands is never missing.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import type { Adapter, Kind, Want } from '@landfall/adapters';
import type { LiveSubject } from './subject.ts';

export interface Entry {
  /** Milliseconds since 1970. */
  at: number;
  kind: Kind;
  /** Of a resource, an attempt at it, or an object that was planted. */
  id: string;
  removed?: true;
}

/** What the writer knows of what stands: whose it is, and which attempt; of what was planted as somebody else's, neither. */
interface Thing {
  kind: Kind;
  resource?: string;
  attempt?: number;
}

/** What was made: from when, and until when; without `until` it stands. */
export interface Standing {
  kind: Kind;
  from: number;
  until?: number;
}

export function readLedger(file: string): Entry[] {
  // The last line may be half written.
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Entry);
}

/** Each thing's time: one that was removed and made again counts twice. */
export function standingsOf(entries: readonly Entry[]): Standing[] {
  const all: Standing[] = [];
  const open = new Map<string, Standing>();
  for (const { at, kind, id, removed } of entries) {
    const known = open.get(id);
    if (removed && known) {
      known.until = at;
      open.delete(id);
    } else if (!removed && !known) {
      const standing = { kind, from: at };
      all.push(standing);
      open.set(id, standing);
    }
  }
  return all;
}

/**
 * The subject with every create and removal written into the ledger, and no create once the process that watches has ended.
 * @param watcher its process id.
 */
export function ledgered(
  subject: LiveSubject,
  file: string,
  watcher: number,
): LiveSubject & { swept(): void } {
  const standing = new Map<string, Thing>();
  const write = (entry: Omit<Entry, 'at'>) =>
    appendFileSync(file, `${JSON.stringify({ at: Date.now(), ...entry })}\n`);
  const make = (id: string, thing: Thing) => {
    if (process.ppid !== watcher)
      throw new Error('the process that watches what the run spends has ended: nothing more is made');
    standing.set(id, thing);
    write({ kind: thing.kind, id });
  };
  const remove = (isGone: (thing: Thing, id: string) => boolean) => {
    for (const [id, thing] of standing)
      if (isGone(thing, id)) {
        write({ kind: thing.kind, id, removed: true });
        standing.delete(id);
      }
  };
  const makeWanted = ({ kind, stamp: { resource, attempt } }: Pick<Want<Kind>, 'kind' | 'stamp'>) =>
    make(`${kind} ${resource} ${attempt}`, { kind, resource, attempt });

  const adapterOf = (adapter: Adapter): Adapter => ({
    ...adapter,
    async ensure(want, context) {
      makeWanted(want);
      return adapter.ensure(want, context);
    },
    async adopt(want, context) {
      const adopted = await adapter.adopt(want, context);
      // From now on it goes with the resource that it became.
      remove((_, id) => id === adopted.ref);
      makeWanted(want);
      return adopted;
    },
    async remove(target, context) {
      const removal = await adapter.remove(target, context);
      const { kind, stamp } = target;
      const isMeant = (thing: Thing) =>
        thing.kind === kind &&
        thing.resource === stamp.resource &&
        (stamp.attempt === undefined || (thing.attempt ?? stamp.attempt) === stamp.attempt);
      if (removal.done) remove(isMeant);
      return removal;
    },
    async release(target, context) {
      const released = await adapter.release(target, context);
      const { kind, stamp, ref } = target;
      if (!released.done || ref === undefined) return released;
      remove((thing) => thing.kind === kind && thing.resource === stamp.resource);
      // It stands until the sweep, as what was planted.
      make(ref, { kind });
      return released;
    },
  });
  let plants = 0;
  return {
    ...subject,
    losesReleased: 'the sweep of the account would not know again what has no stamp any more',
    adapter: async () => adapterOf(await subject.adapter()),
    async plantForeign(resource, broker, kind = 'Instance') {
      plants += 1;
      const early = `planted ${plants}`;
      make(early, { kind });
      const ref = await subject.plantForeign(resource, broker, kind);
      // With our stamp it goes as a resource of ours does, else with the sweep.
      make(ref, broker === subject.broker ? { kind, resource } : { kind });
      remove((_, id) => id === early);
      return ref;
    },
    /** All of the run is gone. */
    swept: () => remove(() => true),
  };
}
