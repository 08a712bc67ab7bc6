/**
 * A Landfall in one process over given sites: real PostgreSQL, real Temporal, the real workflows and workers. What is not
 * real is named by the site: the AWS simulator behind the real AWS adapter, or real libvirt behind the real KVM adapter
 * with faults at its seams to programs.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Adapter, adapterActivities } from '@landfall/adapters';
import type { Truth } from '@landfall/adapters/conformance/subject.ts';
import type { AuditReport, InstanceSpec, Schemas } from '@landfall/model';
import {
  changeInstance,
  createAudit,
  createInstance,
  type Db,
  deleteInstance,
  deliverOutbox,
  getInstance,
  getOperation,
  newId,
  openStore,
} from '@landfall/store';
import { type Stack, startStack } from '@landfall/tools/stack.ts';
import { workflowBundle } from '@landfall/workflows/bundle.ts';
import { connectSignals } from '@landfall/workflows/client.ts';
import { decisions } from '@landfall/workflows/decide.ts';
import { estateActivities } from '@landfall/workflows/estate-activities.ts';
import { placer } from '@landfall/workflows/place.ts';
import { resourceDecisions } from '@landfall/workflows/resource-decisions.ts';
import { storeBackend } from '@landfall/workflows/site-backend.ts';
import { mainQueue, siteQueue } from '@landfall/workflows/steps.ts';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';

/** A site as an estate is made with it, and a second pair of eyes on what really exists there. */
export interface SiteUnderTest {
  name: string;
  spec: Schemas['SiteSpec'];
  /** On-prem only. */
  host?: { name: string; vcpus: number; memoryGiB: number; diskGiB: number };
  /** Absent: the test serves the site's queue by a process of its own. */
  adapter?: Adapter;
  /** What a request that is to land here asks for. */
  request: InstanceSpec;
  /** Everything at the provider, of whatever broker. */
  truth(): Promise<Truth[]>;
}

export interface Estate {
  stack: Stack;
  db: Db;
  broker: string;
  /** Asks for an instance at the site. */
  request(
    site: SiteUnderTest,
    name: string,
    change?: Partial<InstanceSpec>,
  ): Promise<{ id: string; operation: string }>;
  /** Asks for a change; answers its operation. */
  change(
    name: string,
    verb: 'start' | 'stop' | 'reboot' | 'resize' | 'update',
    patch?: Schemas['InstancePatch'],
  ): Promise<string>;
  /** Asks for the deletion; answers its operation. */
  remove(name: string): Promise<string>;
  /** Waits until the operation has ended, or fails after `limitMs`. */
  ended(operation: string, limitMs?: number): Promise<{ state: string; message: string }>;
  state(name: string): Promise<string>;
  /** What a finished audit says. */
  audit(): Promise<AuditReport>;
  /** Runs one sweep to its end. */
  sweep(): Promise<void>;
  /** Messages of the events of a type, oldest first. */
  events(type: string): Promise<string[]>;
  close(): Promise<void>;
}

export interface EstateOptions {
  interceptors?: WorkerOptions['interceptors'];
  /** Default: 1, so that a sweep takes what it sees. */
  orphanGraceMs?: number;
  /** Default: a new one. */
  broker?: string;
}

const by = { organization: 'default', requestedBy: 'test' };

export async function startEstate(sites: SiteUnderTest[], options: EstateOptions = {}): Promise<Estate> {
  const dataDir = mkdtempSync(join(tmpdir(), 'landfall-reliability-'));
  const stack = await startStack({
    dataDir,
    parts: ['postgres', 'temporal'],
    ports: { postgres: 0, temporal: 0 },
  });
  const { db, close: closeStore } = await openStore({ databaseUrl: stack.databaseUrl, poolSize: 20 });
  const broker = options.broker ?? newId();
  await seed(db, broker, sites);
  quietRuntime();
  const connection = await NativeConnection.connect({ address: stack.temporalAddress });
  const shared = {
    connection,
    shutdownGraceTime: '1s',
    ...(options.interceptors ? { interceptors: options.interceptors } : {}),
  } as const;
  const workers = [
    await Worker.create({
      ...shared,
      taskQueue: mainQueue,
      workflowBundle: await workflowBundle(),
      activities: {
        ...decisions(db, broker, placer()),
        ...resourceDecisions(db, broker),
        ...estateActivities(db, broker, 'default', { orphanGraceMs: options.orphanGraceMs ?? 1 }),
      },
    }),
  ];
  for (const { name, host, adapter } of sites) {
    if (!adapter) continue;
    const worker = await Worker.create({
      ...shared,
      taskQueue: siteQueue(name, host?.name),
      activities: { ...adapterActivities(adapter, storeBackend(db, broker, host?.name)) },
    });
    workers.push(worker);
  }
  const running = Promise.all(workers.map((worker) => worker.run()));
  const signals = connectSignals({ TEMPORAL_ADDRESS: stack.temporalAddress });
  const client = new Client({ connection: await Connection.connect({ address: stack.temporalAddress }) });
  let dispatching = true;
  const dispatcher = (async () => {
    while (dispatching) {
      const delivered = await deliverOutbox(db, 100, (row) => signals.signal(row));
      if (delivered === 0) await pause(5);
    }
  })();

  const ended: Estate['ended'] = async (operation, limitMs = 40_000) => {
    const deadline = Date.now() + limitMs;
    for (;;) {
      const row = await db
        .selectFrom('operations')
        .select(['state', 'message'])
        .where('id', '=', operation)
        .executeTakeFirstOrThrow();
      if (row.state !== 'Pending' && row.state !== 'Running') return row;
      if (Date.now() > deadline)
        throw new Error(`operation ${operation} is still ${row.state} after ${limitMs} ms: ${row.message}`);
      await pause(20);
    }
  };

  return {
    stack,
    db,
    broker,
    ended,
    async request(site, name, change = {}) {
      const { instance, operation } = await createInstance(db, {
        ...by,
        project: 'default',
        name,
        labels: {},
        spec: { ...site.request, ...change },
      });
      return { id: instance.id, operation: operation.id };
    },
    async change(name, verb, patch) {
      const changed = await changeInstance(db, {
        ...by,
        project: 'default',
        instance: name,
        verb,
        patch,
        ifMatch: null,
      });
      return changed.operation!.id;
    },
    async remove(name) {
      const { operation } = await deleteInstance(db, {
        ...by,
        project: 'default',
        instance: name,
        ifMatch: null,
      });
      return operation!.id;
    },
    state: async (name) => (await getInstance(db, 'default', name)).status.state,
    async audit() {
      const { id } = await createAudit(db, by);
      await ended(id);
      return (await getOperation(db, { organization: 'default' }, id)).result!;
    },
    async sweep() {
      await client.workflow.execute('sweep', { taskQueue: mainQueue, workflowId: `sweep/${newId()}` });
    },
    async events(type) {
      const rows = await db
        .selectFrom('events')
        .select('message')
        .where('type', '=', type)
        .orderBy('id')
        .execute();
      return rows.map((row) => row.message);
    },
    async close() {
      dispatching = false;
      await dispatcher;
      for (const worker of workers) worker.shutdown();
      await running;
      await signals.close();
      await client.connection.close();
      await connection.close();
      await closeStore();
      await stack.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Looks until `holds` is true; fails with `what` after `limitMs`. */
export async function until(what: string, holds: () => Promise<boolean> | boolean, limitMs = 20_000) {
  const deadline = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await pause(20);
  }
}

/** Temporal's own warnings are about failures that the tests make on purpose. */
function quietRuntime(): void {
  const mute = () => undefined;
  try {
    Runtime.install({
      logger: { log: mute, trace: mute, debug: mute, info: mute, warn: mute, error: mute },
      shutdownSignals: [],
    });
  } catch {
    // A second estate in one process shares the runtime of the first.
  }
}

async function seed(db: Db, broker: string, sites: SiteUnderTest[]): Promise<void> {
  const labels = '{}';
  await db.insertInto('installation').values({ id: broker }).execute();
  await db.insertInto('organizations').values({ id: newId(), name: 'default', labels }).execute();
  await db
    .insertInto('projects')
    .values({ id: newId(), organization: 'default', name: 'default', labels, limits: '{}' })
    .execute();
  const images = [
    { name: 'tiny', spec: { user: 'root', onprem: { builtin: 'tiny' } } },
    {
      name: 'debian-12',
      spec: {
        user: 'debian',
        aws: { owner: '136693071363', nameFilter: 'debian-12-{arch}-*' },
        azure: { publisher: 'Debian', offer: 'debian-12', sku: '12-gen2' },
        gcp: { project: 'debian-cloud', family: 'debian-12' },
      },
    },
  ];
  for (const { name, spec } of images) {
    await db
      .insertInto('images')
      .values({ id: newId(), organization: null, name, labels, spec: JSON.stringify(spec) })
      .execute();
  }
  for (const { name, spec, host } of sites) {
    await db
      .insertInto('sites')
      .values({
        id: newId(),
        organization: 'default',
        name,
        provider: spec.provider,
        labels,
        spec: JSON.stringify(spec),
      })
      .execute();
    if (!host) continue;
    await db
      .insertInto('hosts')
      .values({
        id: newId(),
        site: name,
        name: host.name,
        zone: 'rack-1',
        vcpus: host.vcpus,
        memory_gib: host.memoryGiB,
        disk_gib: host.diskGiB,
        accel: 'tcg',
        architecture: 'x86_64',
        facts: '{}',
        images: '[]',
        // No agent beats here: the host counts as heard of for as long as a test may last.
        last_seen_at: new Date(Date.now() + 3_600_000),
      })
      .execute();
  }
}
