/**
 * A Landfall in one process for tests and benchmarks: real PostgreSQL, real Temporal, the real workflows and worker, and a
 * simulated provider behind the adapter contract.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { adapterActivities } from '@landfall/adapters';
import type { InstanceSpec } from '@landfall/model';
import { formatProblem, parsePolicy } from '@landfall/policies';
import {
  createInstance,
  type Db,
  deliverOutbox,
  getInstance,
  newId,
  openStore,
  outboxChannel,
  type Store,
} from '@landfall/store';
import { deletePolicy, putPolicy } from '@landfall/store/policies.ts';
import { type Stack, startStack } from '@landfall/tools/stack.ts';
import { workflowBundle } from '@landfall/workflows/bundle.ts';
import { connectSignals, type Signals } from '@landfall/workflows/client.ts';
import { complianceActivities } from '@landfall/workflows/compliance-activities.ts';
import { decisions } from '@landfall/workflows/decide.ts';
import { estateActivities } from '@landfall/workflows/estate-activities.ts';
import { placer } from '@landfall/workflows/place.ts';
import { priceActivities } from '@landfall/workflows/price-activities.ts';
import { resourceDecisions } from '@landfall/workflows/resource-decisions.ts';
import { storeBackend } from '@landfall/workflows/site-backend.ts';
import { mainQueue, siteQueue } from '@landfall/workflows/steps.ts';
import { NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { MemoryProvider } from './simulators/memory-provider.ts';

export interface SimulatedEstate {
  stack: Stack;
  store: Store;
  db: Db;
  signals: Signals;
  broker: string;
  provider: MemoryProvider;
  /** The connection to Temporal, for what only it knows. */
  engine: NativeConnection;
  request(
    name: string,
    spec?: Partial<InstanceSpec>,
    asked?: { labels?: Record<string, string>; by?: string; project?: string },
  ): Promise<{ id: string; operation: string }>;
  /** Puts a policy of the organization in force; its rules as in a policy file, at no indentation. */
  policy(name: string, rules: string): Promise<void>;
  /** Takes it out of force. */
  noPolicy(name: string): Promise<void>;
  /** Waits until the operation has ended, or fails after `limitMs`. */
  ended(operation: string, limitMs?: number): Promise<{ state: string; message: string }>;
  state(name: string): Promise<string>;
  close(): Promise<void>;
}

export interface EstateOptions {
  /** `gpus`: so many T4s; absent: none. */
  hosts?: { name: string; vcpus: number; memoryGiB: number; diskGiB: number; gpus?: number }[];
  interceptors?: WorkerOptions['interceptors'];
  activitiesAtOnce?: number;
  orphanGraceMs?: number;
}

export async function startSimulatedEstate(options: EstateOptions = {}): Promise<SimulatedEstate> {
  const dataDir = mkdtempSync(join(tmpdir(), 'landfall-estate-'));
  const stack = await startStack({
    dataDir,
    parts: ['postgres', 'temporal'],
    ports: { postgres: 0, temporal: 0 },
  });
  const store = await openStore({ databaseUrl: stack.databaseUrl, poolSize: 20 });
  const broker = newId();
  const hosts = options.hosts ?? [{ name: 'h1', vcpus: 8, memoryGiB: 32, diskGiB: 500 }];
  await seedSimulatedSite(store.db, broker, hosts);
  const provider = new MemoryProvider();
  try {
    Runtime.install({
      logger: {
        log: () => undefined,
        trace: () => undefined,
        debug: () => undefined,
        info: () => undefined,
        warn: () => undefined,
        error: () => undefined,
      },
      shutdownSignals: [],
    });
  } catch {
    // A second estate in one process shares the runtime of the first.
  }
  const connection = await NativeConnection.connect({ address: stack.temporalAddress });
  const shared = {
    connection,
    shutdownGraceTime: '1s',
    maxConcurrentActivityTaskExecutions: options.activitiesAtOnce ?? 40,
    ...(options.interceptors ? { interceptors: options.interceptors } : {}),
  } as const;
  const workers = [
    await Worker.create({
      ...shared,
      taskQueue: mainQueue,
      workflowBundle: await workflowBundle(),
      activities: {
        ...decisions(store.db, broker, placer()),
        ...estateActivities(store.db, broker, 'default', { orphanGraceMs: options.orphanGraceMs ?? 1 }),
        ...resourceDecisions(store.db, broker),
        ...complianceActivities(store.db),
        ...priceActivities(store.db),
      },
    }),
    ...(await Promise.all(
      hosts.map((host) =>
        Worker.create({
          ...shared,
          taskQueue: siteQueue('lab', host.name),
          activities: {
            ...adapterActivities(provider.adapter(host.name), storeBackend(store.db, broker, host.name)),
          },
        }),
      ),
    )),
  ];
  const running = Promise.all(workers.map((worker) => worker.run()));
  const signals = connectSignals({ TEMPORAL_ADDRESS: stack.temporalAddress });
  const endings = new Endings(store.db);
  let dispatching = true;
  let ring = () => {};
  const bell = await store.listen(
    outboxChannel,
    () => ring(),
    () => undefined,
  );
  const dispatcher = (async () => {
    while (dispatching) {
      const rung = new Promise<void>((resolve) => {
        ring = resolve;
      });
      const delivered = await deliverOutbox(store.db, 100, (row) => signals.signal(row));
      if (delivered === 0) await Promise.race([rung, new Promise((resolve) => setTimeout(resolve, 500))]);
    }
  })();
  return {
    stack,
    store,
    db: store.db,
    signals,
    broker,
    provider,
    engine: connection,
    async request(name, spec = {}, { labels = {}, by = 'test', project = 'default' } = {}) {
      const { instance, operation } = await createInstance(store.db, {
        project,
        organization: 'default',
        name,
        labels,
        spec: {
          image: 'tiny',
          vcpus: 1,
          memoryGiB: 0.25,
          diskGiB: 1,
          power: 'running',
          architecture: 'x86_64',
          market: 'onDemand',
          publicAddress: false,
          ...spec,
        },
        requestedBy: by,
      });
      return { id: instance.id, operation: operation.id };
    },
    async policy(name, rules) {
      const source = `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: ${name}}\nspec:\n  rules:\n${rules.replace(/^/gm, '  ')}`;
      const { policies, problems } = parsePolicy(source, name);
      const [parsed] = policies;
      if (!parsed) throw new Error(problems.map(formatProblem).join('\n'));
      const { version, mode } = parsed;
      await putPolicy(
        store.db,
        'default',
        {
          name,
          scope: 'organizations/default',
          mode,
          version,
          source,
          rules: parsed.rules.map((r) => r.name),
        },
        (await isInForce(store.db, name)) ? null : undefined,
        { organization: 'default', requestedBy: 'test' },
      );
    },
    async noPolicy(name) {
      await deletePolicy(store.db, 'default', name, null, { organization: 'default', requestedBy: 'test' });
    },
    ended: (operation, limitMs = 30_000) => endings.of(operation, limitMs),
    state: async (name) => (await getInstance(store.db, 'default', name)).status.state,
    async close() {
      dispatching = false;
      ring();
      await dispatcher;
      await bell.end();
      for (const worker of workers) worker.shutdown();
      await running;
      await signals.close();
      await connection.close();
      await store.close();
      await stack.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function isInForce(db: Db, name: string): Promise<boolean> {
  const found = await db
    .selectFrom('policies')
    .select('id')
    .where('name', '=', name)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  return found !== undefined;
}

/** One on-prem site with hosts, and all that a request to it needs. */
export async function seedSimulatedSite(
  db: Db,
  broker: string,
  hosts: NonNullable<EstateOptions['hosts']>,
): Promise<void> {
  await db.insertInto('installation').values({ id: broker }).execute();
  await db.insertInto('organizations').values({ id: newId(), name: 'default', labels: '{}' }).execute();
  await db
    .insertInto('projects')
    .values({ id: newId(), organization: 'default', name: 'default', labels: '{}', limits: '{}' })
    .execute();
  await db
    .insertInto('images')
    .values({
      id: newId(),
      organization: null,
      name: 'tiny',
      labels: '{}',
      spec: JSON.stringify({ user: 'root', onprem: { builtin: 'tiny' } }),
    })
    .execute();
  await db
    .insertInto('sites')
    .values({
      id: newId(),
      organization: 'default',
      name: 'lab',
      provider: 'onprem',
      labels: '{}',
      spec: JSON.stringify({
        provider: 'onprem',
        regions: ['lab'],
        pricing: { vcpuHour: 0.01, gibHour: 0.001, currency: 'USD' },
        overcommit: { vcpu: 1 },
      }),
    })
    .execute();
  for (const host of hosts) {
    await db
      .insertInto('hosts')
      .values({
        id: newId(),
        site: 'lab',
        name: host.name,
        zone: `zone-${host.name}`,
        vcpus: host.vcpus,
        memory_gib: host.memoryGiB,
        disk_gib: host.diskGiB,
        ...(host.gpus ? { gpus: host.gpus, gpu_name: 'T4' } : {}),
        accel: 'kvm',
        architecture: 'x86_64',
        facts: '{}',
        images: '[]',
        last_seen_at: new Date(Date.now() + 3_600_000),
      })
      .execute();
  }
}

/** Waits for operations to end with one query for all that are waited for, so that waiting costs a benchmark little. */
class Endings {
  private readonly db: Db;
  private readonly waiting = new Map<string, (end: { state: string; message: string }) => void>();
  private looking = false;

  constructor(db: Db) {
    this.db = db;
  }

  async of(operation: string, limitMs: number): Promise<{ state: string; message: string }> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`operation ${operation} has not ended after ${limitMs} ms`)),
        limitMs,
      );
    });
    const ended = new Promise<{ state: string; message: string }>((resolve) =>
      this.waiting.set(operation, resolve),
    );
    void this.look();
    try {
      return await Promise.race([ended, late]);
    } finally {
      clearTimeout(timer);
      this.waiting.delete(operation);
    }
  }

  private async look(): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    while (this.waiting.size > 0) {
      const rows = await this.db
        .selectFrom('operations')
        .select(['id', 'state', 'message'])
        .where('id', 'in', [...this.waiting.keys()])
        .where('finished_at', 'is not', null)
        .execute();
      for (const row of rows) this.waiting.get(row.id)?.(row);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.looking = false;
  }
}
