import { randomBytes } from 'node:crypto';
import { machineTypes, regionOf } from './catalog.ts';
import type { FaultPlan, OperationFailure } from './faults.ts';

/** Google's JSON, as far as it is read here. */
// biome-ignore lint/suspicious/noExplicitAny: the discovery document checks every body that comes in or goes out
export type Json = Record<string, any>;

export const self = (path: string): string => `https://www.googleapis.com/compute/v1/${path}`;

/** A link in whatever form Google takes, as a path: `projects/…`. */
export function pathOf(project: string, link: string): string {
  const path = link.replace(/^https:\/\/[^/]+\/(compute\/v1\/)?/, '');
  return path.startsWith('projects/') ? path : `projects/${project}/${path}`;
}

export const collections = [
  'instances',
  'disks',
  'snapshots',
  'images',
  'networks',
  'subnetworks',
  'firewalls',
  'addresses',
] as const;

export type Collection = (typeof collections)[number];

/** Where something is: `zones/us-central1-a`, `regions/us-central1` or `global`. */
export interface Place {
  project: string;
  scope: string;
}

/** An object, to how many more looks it stays invisible, and whether its making is over. */
interface Thing {
  path: string;
  body: Json;
  hidden: number;
  ready: boolean;
}

/** The objects and operations of a simulated Compute Engine: what can be seen, and changes that take time. */
export interface World {
  faults: FaultPlan;
  /** ISO time by Google's clock. */
  now(): string;
  id(): string;
  fingerprint(): string;
  /** All objects of a collection, by path; hidden ones too. */
  all(collection: Collection): { path: string; body: Json }[];
  /** One object as a look sees it: a hidden one counts the look and is not there. */
  look(path: string): Json | undefined;
  /** One object as a change finds it: what is hidden can still be changed. */
  find(path: string): Json | undefined;
  visible(collection: Collection): Json[];
  /** Is what this path names there, and done being made? The default network is in every project. */
  readiness(path: string): 'ready' | 'making' | 'absent';
  put(path: string, body: Json): Json;
  drop(path: string): void;
  /** The making of this is over. */
  finish(path: string): void;
  /** An operation that takes `ms`; then `done` happens, or `failure` is what it ends with. Answers it as it begins. */
  operate(
    at: Place,
    type: string,
    target: string,
    ms: number,
    done: () => void,
    failure?: OperationFailure,
  ): Json;
  operation(path: string): Json | undefined;
  /** Every operation of the place, `projects/…/zones/…`. */
  operations(place: string): Json[];
}

export function createWorld(faults: FaultPlan): World {
  const things = new Map<string, Thing>();
  const operations = new Map<string, Json>();
  let ids = 7_000_000_000_000_000_000n;
  const id = () => String(++ids);
  const inCollection = (path: string, collection: Collection) => path.split('/').at(-2) === collection;

  const world: World = {
    faults,
    now: () => new Date(faults.now()).toISOString(),
    id,
    fingerprint: () => randomBytes(8).toString('base64'),
    all: (collection) => [...things.values()].filter(({ path }) => inCollection(path, collection)),
    look(path) {
      const thing = things.get(path);
      if (thing && thing.hidden > 0) {
        thing.hidden -= 1;
        return undefined;
      }
      return thing?.body;
    },
    find: (path) => things.get(path)?.body,
    visible: (collection) =>
      [...things.values()].flatMap(({ path }) => {
        const seen = inCollection(path, collection) ? world.look(path) : undefined;
        return seen ? [seen] : [];
      }),
    readiness(path) {
      if (/\/(networks|subnetworks)\/default$/.test(path)) return 'ready';
      const thing = things.get(path);
      if (!thing) return 'absent';
      return thing.ready ? 'ready' : 'making';
    },
    put(path, body) {
      things.set(path, { path, body, hidden: faults.lag(), ready: false });
      return body;
    },
    drop(path) {
      things.delete(path);
    },
    finish(path) {
      const thing = things.get(path);
      if (thing) thing.ready = true;
    },
    operate({ project, scope }, type, target, ms, done, failure) {
      const name = `operation-${Date.now()}-${randomBytes(6).toString('hex')}`;
      const path = `projects/${project}/${scope}/operations/${name}`;
      const where = self(`projects/${project}/${scope}`);
      const operation: Json = {
        kind: 'compute#operation',
        id: id(),
        name,
        operationType: type,
        status: 'PENDING',
        progress: 0,
        insertTime: world.now(),
        targetLink: self(target),
        selfLink: self(path),
        ...(scope.startsWith('zones/') ? { zone: where } : {}),
        ...(scope.startsWith('regions/') ? { region: where } : {}),
      };
      operations.set(path, operation);
      later(ms / 3, () => {
        // On a busy machine timers come late, and then in any order.
        if (operation.status !== 'PENDING') return;
        operation.status = 'RUNNING';
        operation.startTime = world.now();
      });
      later(ms, () => {
        done();
        operation.status = 'DONE';
        operation.progress = 100;
        operation.endTime = world.now();
        if (!failure) return;
        const { code, message, errorDetails, status } = failure;
        operation.error = { errors: [{ code, message, ...(errorDetails ? { errorDetails } : {}) }] };
        operation.httpErrorStatusCode = status;
        operation.httpErrorMessage = code;
      });
      return { ...operation };
    },
    operation: (path) => operations.get(path),
    operations: (place) =>
      [...operations].flatMap(([path, operation]) =>
        path.startsWith(`${place}/operations/`) ? [operation] : [],
      ),
  };
  return world;
}

/** vCPUs in use in a region, for its quota. */
export function cpusIn(world: World, region: string): number {
  return world
    .all('instances')
    .filter(({ path, body }) => regionOf(path.split('/')[3] ?? '') === region && body.status !== 'TERMINATED')
    .reduce((sum, { body }) => sum + cpusOf(body.machineType), 0);
}

function cpusOf(machineType: string): number {
  return machineTypes.find(({ name }) => name === machineType.split('/').at(-1))?.guestCpus ?? 0;
}

export function later(ms: number, what: () => void): void {
  setTimeout(what, ms).unref();
}
