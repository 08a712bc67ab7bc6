import { type Adapter, adapterActivities, type SiteBackend } from '@landfall/adapters';
import { createAwsAdapter } from '@landfall/adapters/aws/index.ts';
import type { Schemas } from '@landfall/model';
import type { Db } from '@landfall/store';
import type { Client } from '@temporalio/client';
import { type NativeConnection, Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { startOffersRefresh } from './client.ts';
import { startStep } from './start-step.ts';
import { siteQueue } from './steps.ts';

type SiteSpec = Schemas['SiteSpec'];

interface RunningSite {
  /** The spec it was started with: another spec is another worker. */
  spec: string;
  worker: Worker;
  ended: Promise<void>;
}

/** How often the sites are looked at for additions, changes and removals. */
const lookEveryMs = 3_000;
/** Calls one site's worker has under way at most; a site's rate limit starts here (R15). */
const callsAtOnce = 50;

/**
 * Keeps one worker per cloud site, each on its own task queue with its own credentials: a site that is down has its own
 * backlog, and hurts no other.
 */
export class SiteWorkers {
  private readonly running = new Map<string, RunningSite>();
  private readonly connection: NativeConnection;
  private readonly client: Client;
  private readonly namespace: string;
  private readonly db: Db;
  private readonly backend: SiteBackend;
  private readonly log: Logger;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(parts: {
    connection: NativeConnection;
    client: Client;
    namespace: string;
    db: Db;
    backend: SiteBackend;
    log: Logger;
  }) {
    this.connection = parts.connection;
    this.client = parts.client;
    this.namespace = parts.namespace;
    this.db = parts.db;
    this.backend = parts.backend;
    this.log = parts.log;
  }

  /** Looks once, then again every few seconds until `stop`. */
  async start(): Promise<void> {
    await this.look();
    if (this.stopped) return;
    this.timer = setTimeout(() => void this.start(), lookEveryMs);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await Promise.all([...this.running.keys()].map((site) => this.end(site)));
  }

  private async look(): Promise<void> {
    try {
      const sites = await this.db
        .selectFrom('sites')
        .select(['name', 'spec'])
        .where('provider', '<>', 'onprem')
        .execute();
      const wanted = new Map(sites.map((site) => [site.name, site.spec]));
      for (const [site, { spec }] of this.running) {
        if (JSON.stringify(wanted.get(site)) !== spec) await this.end(site);
      }
      for (const [site, spec] of wanted) if (!this.running.has(site)) await this.begin(site, spec);
    } catch (error) {
      this.log.warn({ err: error }, 'could not look at the sites; trying again');
    }
  }

  private async begin(site: string, spec: SiteSpec): Promise<void> {
    let adapter: Adapter;
    try {
      adapter = createAdapter(site, spec);
    } catch (error) {
      await this.report(site, 'Unavailable', (error as Error).message);
      return;
    }
    const worker = await startStep(this.log)(`the worker of site ${site}`, () =>
      Worker.create({
        connection: this.connection,
        namespace: this.namespace,
        taskQueue: siteQueue(site, null),
        activities: { ...adapterActivities(adapter, this.backend) },
        maxConcurrentActivityTaskExecutions: callsAtOnce,
        shutdownGraceTime: '5s',
      }),
    );
    const ended = worker.run().catch((error: unknown) => {
      this.log.error({ err: error, site }, 'the site’s worker ended');
      this.running.delete(site);
    });
    this.running.set(site, { spec: JSON.stringify(spec), worker, ended });
    this.log.info({ site, provider: spec.provider }, 'site worker started');
    await this.report(site, 'Ready', '');
    const { offers_run: known } = await this.db
      .selectFrom('sites')
      .select('offers_run')
      .where('name', '=', site)
      .executeTakeFirstOrThrow();
    if (known === null) await startOffersRefresh(this.client, site);
  }

  private async end(site: string): Promise<void> {
    const running = this.running.get(site);
    if (!running) return;
    this.running.delete(site);
    if (running.worker.getState() === 'RUNNING') running.worker.shutdown();
    await running.ended;
    this.log.info({ site }, 'site worker ended');
  }

  private async report(site: string, state: 'Ready' | 'Unavailable', message: string): Promise<void> {
    await this.db
      .updateTable('sites')
      .set((eb) => ({ state, message, revision: eb('revision', '+', 1), updated_at: new Date() }))
      .where('name', '=', site)
      .where((eb) => eb.or([eb('state', '<>', state), eb('message', '<>', message)]))
      .execute();
  }
}

/** The adapter of a cloud site. Throws, with what to do, where the site cannot be used. */
export function createAdapter(site: string, spec: SiteSpec, env: NodeJS.ProcessEnv = process.env): Adapter {
  if (spec.provider === 'aws') {
    return createAwsAdapter({
      site,
      regions: spec.regions ?? [],
      endpoint: spec.endpoint,
      credentials: awsCredentials(spec, env),
    });
  }
  throw new Error(
    `provider ${spec.provider} can be planned for, and not yet created on: this release has aws and onprem`,
  );
}

/** Undefined = the SDK's own chain. Secrets are read here, in the process that uses them, and go nowhere else. */
function awsCredentials(spec: SiteSpec, env: NodeJS.ProcessEnv) {
  const source = spec.credentials?.source ?? 'default';
  if (source === 'profile')
    throw new Error(
      'credentials from a named profile: set AWS_PROFILE for the worker and use source "default"',
    );
  if (source === 'default') return undefined;
  const prefix = spec.credentials?.prefix ?? 'AWS';
  const [accessKeyId, secretAccessKey] = [env[`${prefix}_ACCESS_KEY_ID`], env[`${prefix}_SECRET_ACCESS_KEY`]];
  if (!accessKeyId || !secretAccessKey) {
    throw new Error(
      `the worker's environment has no ${prefix}_ACCESS_KEY_ID and ${prefix}_SECRET_ACCESS_KEY: set them and restart it`,
    );
  }
  const sessionToken = env[`${prefix}_SESSION_TOKEN`];
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}
