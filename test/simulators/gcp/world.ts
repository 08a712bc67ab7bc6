import { randomBytes } from 'node:crypto';
import { machineTypes, regionOf } from './catalog.ts';
import type { FaultPlan, OperationFailure } from './faults.ts';

/** Google's JSON, as far as it is read here. */
// biome-ignore lint/suspicious/noExplicitAny: the discovery document checks every body that comes in or goes out
export type Json = Record<string, any>;

export const self = (path: string): string => `https://www.googleapis.com/compute/v1/${path}`;

/** An object and to how many more looks it stays invisible. */
interface Thing {
  path: string;
  body: Json;
  hidden: number;
}

export interface World {
  /** All objects of a collection in a project, by path; hidden ones too. */
  all(collection: 'instances' | 'disks'): { path: string; body: Json }[];
  /** One object as a look sees it: a hidden one counts the look and is not there. */
  look(path: string): Json | undefined;
  /** One object as a change finds it: what is hidden can still be changed. */
  find(path: string): Json | undefined;
  visible(collection: string): Json[];
  insertInstance(at: Place, body: Json, failure?: OperationFailure): Json;
  /** Changes an instance or deletes a thing; answers the operation. */
  act(at: Place, path: string, verb: string, body: Json, failure?: OperationFailure): Json;
  operation(path: string): Json | undefined;
}

export interface Place {
  project: string;
  zone: string;
}

export function createWorld(faults: FaultPlan): World {
  const things = new Map<string, Thing>();
  const operations = new Map<string, Json>();
  let ids = 7_000_000_000_000_000_000n;
  const id = () => String(++ids);
  const fingerprint = () => randomBytes(8).toString('base64');

  /** An operation that takes `ms`; then `done` happens, or `failure` is what it ends with. */
  function operate(
    { project, zone }: Place,
    type: string,
    target: string,
    ms: number,
    done: () => void,
    failure?: OperationFailure,
  ): Json {
    const name = `operation-${Date.now()}-${randomBytes(6).toString('hex')}`;
    const path = `projects/${project}/zones/${zone}/operations/${name}`;
    const operation: Json = {
      kind: 'compute#operation',
      id: id(),
      name,
      operationType: type,
      status: 'PENDING',
      progress: 0,
      insertTime: new Date().toISOString(),
      targetLink: self(target),
      selfLink: self(path),
      zone: self(`projects/${project}/zones/${zone}`),
    };
    operations.set(path, operation);
    later(ms / 3, () => {
      operation.status = 'RUNNING';
      operation.startTime = new Date().toISOString();
    });
    later(ms, () => {
      done();
      operation.status = 'DONE';
      operation.progress = 100;
      operation.endTime = new Date().toISOString();
      if (!failure) return;
      const { code, message, errorDetails, status } = failure;
      operation.error = { errors: [{ code, message, ...(errorDetails ? { errorDetails } : {}) }] };
      operation.httpErrorStatusCode = status;
      operation.httpErrorMessage = code;
    });
    return { ...operation };
  }

  const put = (path: string, body: Json): Json => {
    things.set(path, { path, body, hidden: faults.lag() });
    return body;
  };

  function makeDisk({ project, zone }: Place, body: Json): Json {
    const path = `projects/${project}/zones/${zone}/disks/${body.name}`;
    return put(path, {
      kind: 'compute#disk',
      id: id(),
      name: body.name,
      sizeGb: body.sizeGb ?? '10',
      type: self(`projects/${project}/zones/${zone}/diskTypes/pd-balanced`),
      labels: body.labels ?? {},
      labelFingerprint: fingerprint(),
      status: 'READY',
      zone: self(`projects/${project}/zones/${zone}`),
      selfLink: self(path),
      creationTimestamp: new Date().toISOString(),
      users: body.users ?? [],
    });
  }

  /** The machine goes, and with it the disks that are deleted with their machine. */
  function vanish(path: string): void {
    const disks: Json[] = things.get(path)?.body.disks ?? [];
    things.delete(path);
    for (const attached of disks) {
      const disk = attached.source.replace(self(''), '');
      const found = things.get(disk);
      if (attached.autoDelete) things.delete(disk);
      else if (found) found.body.users = [];
    }
  }

  const world: World = {
    all: (collection) => [...things.values()].filter(({ path }) => path.split('/').at(-2) === collection),
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
      [...things.values()].flatMap((thing) => {
        if (thing.path.split('/').at(-2) !== collection) return [];
        const seen = world.look(thing.path);
        return seen ? [seen] : [];
      }),
    insertInstance(at, body, failure) {
      const path = `projects/${at.project}/zones/${at.zone}/instances/${body.name}`;
      const { startMs } = faults.transitions();
      const boot = body.disks[0];
      const disk = makeDisk(at, {
        name: boot.initializeParams.diskName ?? body.name,
        sizeGb: boot.initializeParams.diskSizeGb,
        labels: boot.initializeParams.labels,
        users: [self(path)],
      });
      const nic = body.networkInterfaces[0];
      const octet = Number(ids % 250n) + 2;
      const instance = put(path, {
        ...body,
        kind: 'compute#instance',
        id: id(),
        status: 'PROVISIONING',
        zone: self(`projects/${at.project}/zones/${at.zone}`),
        machineType: self(
          body.machineType.replace(/^(https:.*\/v1\/)?(projects\/[^/]+\/)?/, `projects/${at.project}/`),
        ),
        selfLink: self(path),
        creationTimestamp: new Date().toISOString(),
        labelFingerprint: fingerprint(),
        disks: [
          {
            boot: true,
            index: 0,
            type: 'PERSISTENT',
            autoDelete: boot.autoDelete ?? false,
            source: disk.selfLink,
          },
        ],
        networkInterfaces: [
          {
            name: 'nic0',
            network: self(`projects/${at.project}/global/networks/default`),
            networkIP: `10.128.0.${octet}`,
            accessConfigs: (nic.accessConfigs ?? []).map((config: Json) => ({
              ...config,
              natIP: `203.0.113.${octet}`,
            })),
          },
        ],
      });
      const done = () => {
        if (!things.has(path)) return;
        if (!failure) instance.status = 'RUNNING';
        else {
          things.delete(path);
          if (failure.leavesDisk) disk.users = [];
          else things.delete(disk.selfLink.replace(self(''), ''));
        }
      };
      later(startMs / 2, () => {
        if (instance.status === 'PROVISIONING') instance.status = 'STAGING';
      });
      return operate(at, 'insert', path, startMs, done, failure);
    },
    act(at, path, verb, body, failure) {
      const thing = world.find(path) ?? {};
      const { startMs, stopMs, deleteMs } = faults.transitions();
      const to = (status: string) => () => {
        thing.status = status;
      };
      if (verb === 'delete') {
        const machine = path.includes('/instances/');
        if (machine) thing.status = 'STOPPING';
        return operate(at, verb, path, deleteMs, () => (machine ? vanish(path) : things.delete(path)));
      }
      if (verb === 'stop') {
        thing.status = 'STOPPING';
        return operate(at, verb, path, stopMs, to('TERMINATED'));
      }
      if (verb === 'start') {
        thing.status = 'STAGING';
        return operate(at, verb, path, startMs, to(failure ? 'TERMINATED' : 'RUNNING'), failure);
      }
      if (verb === 'setLabels') {
        thing.labels = body.labels;
        thing.labelFingerprint = fingerprint();
      }
      if (verb === 'setMachineType') thing.machineType = self(`projects/${at.project}/${body.machineType}`);
      return operate(at, verb, path, 20, () => {});
    },
    operation(path) {
      return operations.get(path);
    },
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

function later(ms: number, what: () => void): void {
  setTimeout(what, ms).unref();
}
