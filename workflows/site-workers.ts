import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Adapter,
  adapterActivities,
  type Description,
  ProviderError,
  type SiteBackend,
} from '@landfall/adapters';
import { secretOf } from '@landfall/adapters/secret.ts';
import type { Schemas } from '@landfall/model';
import { callsPerSecond, type Db, keepDescription, takeCallTurn } from '@landfall/store';
import { reportSite } from '@landfall/store/health.ts';
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
/** After how long a site that could not be used is tried again as it is. */
const againMs = 20_000;
/** A site that begins is waited for so long when all are to end: its provider may not answer. */
const beginWithinMs = 10_000;
/** Activities one site's worker has under way at most; a site's rate limit starts here (R15). */
const activitiesAtOnce = 50;
/**
 * Seconds that a request waits for its turn at most, where each activity asks one at a time: longer, and SDKs with a time
 * limit over the whole request would give up before it is sent. So a site with few calls a second has fewer activities.
 */
const turnWithinSeconds = 5;

/**
 * Keeps one worker per cloud site, each on its own task queue with its own credentials: a site that is down has its own
 * backlog, and hurts no other.
 */
export class SiteWorkers {
  private readonly running = new Map<string, RunningSite>();
  private readonly beginning = new Map<string, Promise<void>>();
  private readonly failed = new Map<string, { spec: string; until: number }>();
  private readonly connection: NativeConnection;
  private readonly client: Client;
  private readonly namespace: string;
  private readonly db: Db;
  private readonly backend: SiteBackend;
  private readonly log: Logger;
  private readonly visibilityGraceMs: number;
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;
  private readonly stopping = new AbortController();

  constructor(parts: {
    connection: NativeConnection;
    client: Client;
    namespace: string;
    db: Db;
    backend: SiteBackend;
    log: Logger;
    /** How long after its creation something may be invisible at a cloud (A6). */
    visibilityGraceMs: number;
  }) {
    this.connection = parts.connection;
    this.client = parts.client;
    this.namespace = parts.namespace;
    this.db = parts.db;
    this.backend = parts.backend;
    this.log = parts.log;
    this.visibilityGraceMs = parts.visibilityGraceMs;
  }

  /** Looks once, then again every few seconds until {@link stop}. */
  async start(): Promise<void> {
    this.looking = this.look();
    await this.looking;
    if (this.stopping.signal.aborted) return;
    this.timer = setTimeout(() => void this.start(), lookEveryMs);
  }

  /** Ends all, and waits for it, also for those that are just beginning. */
  async stop(): Promise<void> {
    this.stopping.abort();
    clearTimeout(this.timer);
    // A look that goes on begins no more, and what was beginning may be running by then.
    await this.looking;
    const begun = Promise.all(this.beginning.values());
    await Promise.race([begun, sleep(beginWithinMs, undefined, { ref: false })]);
    const sites = [...this.beginning.keys()];
    if (sites.length > 0) this.log.warn({ sites }, 'these sites are left as they begin');
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
      for (const [site, spec] of wanted) if (this.isDue(site, spec)) this.begin(site, spec);
    } catch (error) {
      this.log.warn({ err: error }, 'could not look at the sites; trying again');
    }
  }

  /** Whether to begin it now: not while it begins, and after a failure with the same spec only some time later. */
  private isDue(site: string, spec: SiteSpec): boolean {
    if (this.stopping.signal.aborted || this.running.has(site) || this.beginning.has(site)) return false;
    const failure = this.failed.get(site);
    return failure?.spec !== JSON.stringify(spec) || Date.now() >= failure.until;
  }

  /** Not waited for: a site whose credentials take long holds up no other. */
  private begin(site: string, spec: SiteSpec): void {
    const begun = this.beginNow(site, spec)
      .catch((error: unknown) => {
        if (!this.stopping.signal.aborted)
          this.log.warn({ err: error, site }, 'the site’s worker could not begin; trying again');
      })
      .finally(() => this.beginning.delete(site));
    this.beginning.set(site, begun);
  }

  private async beginNow(site: string, spec: SiteSpec): Promise<void> {
    const perSecond = callsPerSecond(spec)!;
    let adapter: Adapter;
    let description: Description;
    try {
      adapter = await createAdapter(
        site,
        spec,
        this.visibilityGraceMs,
        process.env,
        (account) => untilTurn(this.db, account, perSecond),
        (message) => this.log.warn({ site }, message),
      );
      description = await adapter.describe();
    } catch (error) {
      this.failed.set(site, { spec: JSON.stringify(spec), until: Date.now() + againMs });
      await reportSite(this.db, site, 'Unavailable', (error as Error).message);
      return;
    }
    this.failed.delete(site);
    if (this.stopping.signal.aborted) return;
    const worker = await startStep(
      this.log,
      undefined,
      this.stopping.signal,
    )(`the worker of site ${site}`, () =>
      Worker.create({
        connection: this.connection,
        namespace: this.namespace,
        taskQueue: siteQueue(site, null),
        activities: { ...adapterActivities(adapter, this.backend) },
        maxConcurrentActivityTaskExecutions: Math.max(
          1,
          Math.min(activitiesAtOnce, Math.floor(perSecond * turnWithinSeconds)),
        ),
        shutdownGraceTime: '5s',
      }),
    );
    const ended = worker.run().catch((error: unknown) => {
      this.log.error({ err: error, site }, 'the site’s worker ended');
      this.running.delete(site);
    });
    this.running.set(site, { spec: JSON.stringify(spec), worker, ended });
    this.log.info({ site, provider: spec.provider }, 'site worker started');
    await keepDescription(this.db, site, description);
    await reportSite(this.db, site, 'Ready', '');
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
}

/**
 * Waits until an account may be asked once more: what a provider counts are requests, and an activity makes several,
 * so the limit is kept at each request and not at the task queue.
 * @throws ProviderError `Unavailable` where the store does not answer; nothing was sent.
 */
export async function untilTurn(db: Db, account: string, perSecond: number): Promise<void> {
  let ms: number;
  try {
    ms = await takeCallTurn(db, account, perSecond);
  } catch (error) {
    throw new ProviderError('Unavailable', 'the store that counts calls does not answer', {}, error);
  }
  if (ms > 0) await sleep(ms);
}

/**
 * The adapter of a cloud site; its SDK is loaded only now, because each is large. Rejects, with what to do, where the site
 * cannot be used.
 * @param warn told what keeps the site from counting its calls as those of its account.
 * @param beforeCall waited for before each request; told whose turn it takes: sites of one account share them.
 */
export async function createAdapter(
  site: string,
  spec: SiteSpec,
  visibilityGraceMs: number,
  env: NodeJS.ProcessEnv = process.env,
  beforeCall?: (account: string) => Promise<void>,
  warn: (message: string) => void = (message) => process.emitWarning(`site ${site}: ${message}`),
): Promise<Adapter> {
  const { provider, regions = [], endpoint, subscription, project, credentials } = spec;
  const of = (account: string) => ({
    ...{ site, regions, endpoint, visibilityGraceMs },
    // The same name elsewhere is another account: a simulator's.
    beforeCall: beforeCall && (() => beforeCall(`${provider} ${endpoint ?? ''} ${account}`)),
  });
  const secret = secretOf(spec, env);
  if (provider === 'aws') {
    const { awsAccount, awsCredentials, createAwsAdapter } = await import('@landfall/adapters/aws/index.ts');
    const keys = secret && (await awsCredentials(secret));
    const profile = credentials?.source === 'profile' ? credentials.profile : undefined;
    const adapterOf = (account: string) => createAwsAdapter({ ...of(account), credentials: keys, profile });
    // Whose the account is matters to turns alone.
    if (!beforeCall) return adapterOf('');
    const account = awsAccount({ keys, profile, region: regions[0] ?? 'us-east-1', endpoint, warn });
    // The first call says what is wrong with the credentials. Until then the site has turns of its own.
    return adapterOf(await account.catch(() => `of site ${site}`));
  }
  if (provider === 'azure' && subscription) {
    const { azureCredentials, createAzureAdapter } = await import('@landfall/adapters/azure/index.ts');
    const tokens = secret && (await azureCredentials(secret));
    return createAzureAdapter({ ...of(subscription.toLowerCase()), subscription, credentials: tokens });
  }
  if (provider === 'gcp' && project) {
    const { createGcpAdapter, gcpCredentials } = await import('@landfall/adapters/gcp/index.ts');
    const tokens = secret && (await gcpCredentials(secret));
    return createGcpAdapter({ ...of(project), project, credentials: tokens });
  }
  throw new Error(
    `a site of provider ${provider} needs ${provider === 'azure' ? 'a subscription' : 'a project'}: add it to its file`,
  );
}
