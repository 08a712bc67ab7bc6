import { randomUUID } from 'node:crypto';
import { changeDisks, checkCompute, checkPatch, refuseAttached, release } from './compute.ts';
import type { FaultPlan } from './faults.ts';
import { checkNetwork, partsIn, refuseInUse, shownOfNetwork } from './network.ts';
import {
  ArmError,
  type Body,
  type Content,
  type Estate,
  parentOf,
  same,
  type Thing,
  typeOf,
} from './thing.ts';

/** An entry of the Activity Log. */
interface LogEntry {
  resourceId: string;
  operationName: { value: string };
  status: { value: string };
  /** ISO time. */
  eventTimestamp: string;
}

interface LongRunning {
  id: string;
  startTime: string;
  endsAt: number;
  error?: { code: string; message: string };
  /** What it does when its time is over. */
  finish: () => void;
  finished: boolean;
}

export type World = ReturnType<typeof createWorld>;

/** What stays of an object of the network that is written anew; objects of Compute keep whatever is not written. */
const keptOf: Record<string, string> = {
  networkinterfaces: 'virtualMachine',
  publicipaddresses: 'ipAddress',
};

/** The state behind the simulated ARM: things by their ids (case does not matter), operations that take time. */
export function createWorld(faults: FaultPlan) {
  const things = new Map<string, Thing>();
  const operations = new Map<string, LongRunning>();
  /** What was deleted and will be there again, from this time on. */
  let returning: { at: number; things: [string, Thing][] }[] = [];
  const now = (): string => new Date(faults.now()).toISOString();
  let addresses = 0;
  let versions = 0;

  const find = (id: string | undefined): Thing | undefined => things.get(id?.toLowerCase() ?? '');
  const all = (type: string): Thing[] => [...things.values()].filter(({ body }) => typeOf(body.id) === type);
  const partsOf = (id: string): Thing[] =>
    [...things.values()].filter(
      ({ body }) => typeOf(body.id) === partsIn[typeOf(id)]?.toLowerCase() && same(parentOf(body.id), id),
    );

  /** Carries out what is due: states change with time, not with looks. */
  function advance(): void {
    for (const operation of operations.values())
      if (!operation.finished && Date.now() >= operation.endsAt) {
        operation.finished = true;
        operation.finish();
      }
    const due = returning.filter(({ at }) => Date.now() >= at);
    returning = returning.filter((one) => !due.includes(one));
    for (const [id, thing] of due.flatMap((one) => one.things)) {
      thing.body.properties.provisioningState = 'Succeeded';
      things.set(id, thing);
    }
  }

  function begin(ms: number, finish: () => void, error?: { code: string; message: string }): LongRunning {
    const operation = {
      id: randomUUID(),
      startTime: now(),
      endsAt: Date.now() + ms,
      error,
      finish,
      finished: false,
    };
    operations.set(operation.id, operation);
    return operation;
  }

  /** Every write gives a new version; only some types tell it. */
  function version({ body }: Thing): void {
    versions += 1;
    if (/^microsoft\.network\//i.test(body.type) || /\/virtualmachines$/i.test(body.type))
      body.etag = `W/"${versions}"`;
  }

  /** The thing as a look sees it: a young one may stay invisible for some looks. */
  function look(id: string): Thing | undefined {
    const thing = find(id);
    if (thing && thing.hidden > 0) {
      thing.hidden -= 1;
      return undefined;
    }
    return thing;
  }

  function need(id: string | undefined, by: string): Thing {
    const thing = find(id);
    if (!thing)
      throw new ArmError(
        400,
        'InvalidResourceReference',
        `Resource ${id} referenced by resource ${by} was not found. Please make sure that the referenced resource exists, and that both resources are in the same region.`,
      );
    return thing;
  }

  const estate: Estate = { now, isUnreadable: () => faults.unreadable(), things, find, need, all };

  /** Creates or replaces. Answers the thing, whether it is new, and the operation. */
  function put(id: string, body: Content, fail?: { code: string; message: string }) {
    const type = typeOf(id);
    const existing = find(id);
    const parts = id.split('/');
    if (existing?.body.properties.provisioningState === 'Deleting')
      throw new ArmError(409, 'Conflict', `The resource ${id} is being deleted.`);
    checkNetwork(estate, id, body, existing);
    checkCompute(estate, id, body, existing);
    const network = /\/microsoft\.network\//i.test(id);
    const kept = keptOf[type] ?? '';
    const before = existing?.body.properties ?? {};
    const stays = !network ? before : kept in before ? { [kept]: before[kept] } : {};
    const part = partsIn[type] ?? '';
    const { [part]: inside = [], ...said } = body.properties;
    const next: Thing = {
      createdAt: existing?.createdAt ?? now(),
      hidden: existing?.hidden ?? faults.lag(),
      power: existing?.power,
      failure: existing?.failure,
      body: {
        ...body,
        managedBy: existing?.body.managedBy ?? body.managedBy,
        id,
        name: parts.at(-1) ?? '',
        type: parts
          .slice(parts.indexOf('providers') + 1)
          .filter((_, at) => at === 0 || at % 2 === 1)
          .join('/'),
        properties: { ...stays, ...said },
      },
    };
    const made = next.body.properties;
    made.provisioningState = existing ? 'Updating' : 'Creating';
    things.set(id.toLowerCase(), next);
    version(next);
    if (type === 'publicipaddresses') made.ipAddress ??= `20.0.${addresses >> 8}.${addresses++ & 255}`;
    if (part) putParts(id, part, inside);
    if (type === 'virtualmachines' && !existing) born(next);
    const { machineMs, networkMs } = faults.times();
    const operation = begin(
      type === 'virtualmachines' ? machineMs : networkMs,
      () => {
        // What was written, or asked to go, since then is under an operation of its own.
        if (made.provisioningState === 'Deleting' || find(id) !== next) return;
        made.provisioningState = fail ? 'Failed' : 'Succeeded';
        version(next);
        if (type !== 'virtualmachines') return;
        next.failure = fail;
        if (!fail) next.power ??= 'running';
      },
      fail,
    );
    return { thing: next, isNew: !existing, operation };
  }

  /** Subnets of a network, rules of a security group: those that are not named go. */
  function putParts(id: string, type: string, parts: { name: string; properties: Content['properties'] }[]) {
    for (const { body } of partsOf(id))
      if (!parts.some(({ name }) => name === body.name)) things.delete(body.id.toLowerCase());
    for (const { name, properties } of parts) put(`${id}/${type}/${name}`, { properties: { ...properties } });
  }

  /** A new machine takes its interfaces, and brings its disk, which inherits its tags. */
  function born({ body }: Thing): void {
    const { properties } = body;
    properties.vmId = randomUUID();
    properties.timeCreated = now();
    for (const { id } of properties.networkProfile.networkInterfaces)
      need(id, body.id).body.properties.virtualMachine = { id: body.id };
    const { imageReference, osDisk } = properties.storageProfile;
    const id = `${body.id.split('/').slice(0, 5).join('/')}/providers/Microsoft.Compute/disks/${osDisk.name}`;
    osDisk.managedDisk = { ...osDisk.managedDisk, id };
    put(id, {
      location: body.location,
      tags: { ...body.tags },
      zones: body.zones,
      managedBy: body.id,
      sku: { name: osDisk.managedDisk.storageAccountType },
      properties: {
        diskSizeGB: osDisk.diskSizeGB ?? 30,
        creationData: {
          createOption: 'FromImage',
          imageReference: imageReference.id ? { id: imageReference.id } : undefined,
        },
        diskState: 'Attached',
        timeCreated: properties.timeCreated,
      },
    });
  }

  /** Deletes; nothing when it does not exist. */
  function remove(id: string): LongRunning | undefined {
    const thing = find(id);
    if (!thing) return undefined;
    const type = typeOf(id);
    const { properties } = thing.body;
    refuseInUse(estate, thing);
    refuseAttached(thing);
    properties.provisioningState = 'Deleting';
    const returnsMs = faults.returnsMs(type);
    return begin(faults.deleteMs(type), () => {
      const before = [...things];
      drop();
      if (returnsMs === undefined) return;
      const gone = before.filter(([key]) => !things.has(key));
      returning.push({ at: Date.now() + returnsMs, things: gone });
    });

    function drop(): void {
      things.delete(id.toLowerCase());
      for (const { body } of partsOf(id)) things.delete(body.id.toLowerCase());
      if (type !== 'virtualmachines') return;
      for (const nic of properties.networkProfile?.networkInterfaces ?? [])
        delete find(nic.id)?.body.properties.virtualMachine;
      // One that was planted has none.
      const { osDisk, dataDisks = [] } = properties.storageProfile ?? {};
      for (const { managedDisk, deleteOption } of [...(osDisk ? [osDisk] : []), ...dataDisks])
        if (deleteOption === 'Delete') things.delete(managedDisk.id.toLowerCase());
        else release(estate, managedDisk.id);
    }
  }

  /** Changes tags (all of them) and properties. */
  function patch(thing: Thing, change: Partial<Body>): LongRunning {
    checkPatch(estate, thing, change);
    if (change.tags) thing.body.tags = change.tags;
    Object.assign(thing.body.properties, change.properties, { provisioningState: 'Updating' });
    version(thing);
    return begin(faults.times().networkMs, () => {
      thing.body.properties.provisioningState = 'Succeeded';
    });
  }

  /** start, deallocate, powerOff, restart, attachDetachDataDisks. */
  function act(
    thing: Thing,
    action: string,
    change: Content['properties'],
    fail?: { code: string; message: string },
  ): LongRunning {
    const after = {
      start: 'running',
      restart: 'running',
      deallocate: 'deallocated',
      poweroff: 'stopped',
    } as const;
    const { properties } = thing.body;
    if (properties.provisioningState === 'Deleting')
      throw new ArmError(409, 'OperationNotAllowed', 'The VM is being deleted.');
    if (action === 'attachdetachdatadisks') {
      const finish = changeDisks(estate, thing, change);
      properties.provisioningState = 'Updating';
      return begin(faults.times().networkMs, () => {
        finish();
        if (properties.provisioningState === 'Updating') properties.provisioningState = 'Succeeded';
        version(thing);
      });
    }
    if (!(action in after)) throw new ArmError(404, 'InvalidResourceType', `There is no action ${action}.`);
    const before = thing.power;
    if (action === 'restart' && before !== 'running')
      throw new ArmError(
        409,
        'OperationNotAllowed',
        'Cannot modify extensions in the VM when the VM is not running.',
      );
    thing.power = action === 'start' ? 'starting' : action === 'restart' ? 'running' : 'deallocating';
    properties.provisioningState = 'Updating';
    return begin(
      faults.times().machineMs,
      () => {
        thing.power = fail ? before : after[action as keyof typeof after];
        thing.failure = fail;
        properties.provisioningState = fail ? 'Failed' : 'Succeeded';
      },
      fail,
    );
  }

  /** The Activity Log, of evictions and deletions alone. */
  const log: LogEntry[] = [];

  function note(resourceId: string, operation: string): void {
    const eventTimestamp = now();
    for (const status of ['Started', 'Succeeded'])
      log.push({
        resourceId,
        operationName: { value: operation },
        status: { value: status },
        eventTimestamp,
      });
  }

  /** Azure takes a spot machine away, as its eviction policy says. */
  function evict(id: string): void {
    const thing = find(id);
    const { priority, evictionPolicy = 'Deallocate' } = thing?.body.properties ?? {};
    if (!thing || priority !== 'Spot') throw new Error(`${id} is no spot machine`);
    note(thing.body.id, 'Microsoft.Compute/virtualMachines/evictSpotVM/action');
    if (evictionPolicy === 'Delete') remove(id);
    else act(thing, 'deallocate', {});
  }

  return {
    evict,
    log,
    note,
    things,
    operations,
    version,
    advance,
    find,
    look,
    put,
    remove,
    patch,
    act,
    /** The thing as answers show it: with its parts, and with who uses it. */
    shown: ({ body }: Thing): Body => ({ ...body, properties: shownOfNetwork(estate, body) }),
    clear() {
      things.clear();
      operations.clear();
      log.length = 0;
      returning = [];
    },
  };
}
