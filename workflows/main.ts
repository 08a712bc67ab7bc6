/** The worker: every workflow, the activities beside the store and the catalogue, and a worker for each cloud site. */

import { installationId, openStore } from '@landfall/store';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { workflowBundle } from './bundle.ts';
import { shippedCatalogue } from './catalogue.ts';
import { engineFromEnvironment, ensureSchedules } from './client.ts';
import { complianceActivities } from './compliance-activities.ts';
import { decisions } from './decide.ts';
import { estateActivities } from './estate-activities.ts';
import { placer } from './place.ts';
import { dailyProviders, priceActivities } from './price-activities.ts';
import { resourceDecisions } from './resource-decisions.ts';
import { storeBackend } from './site-backend.ts';
import { SiteWorkers } from './site-workers.ts';
import { startStep } from './start-step.ts';
import { mainQueue } from './steps.ts';

const log = pino({ name: 'worker', level: process.env.LANDFALL_LOG_LEVEL ?? 'info' });

const untilAnswers = startStep(log);

/** Milliseconds from an environment variable, for tests that cannot wait minutes. */
function milliseconds(name: string, otherwise: number): number {
  const text = process.env[name];
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0)
    throw new Error(`${name} must be a number of milliseconds, is ${JSON.stringify(text)}`);
  return value;
}

async function main(): Promise<void> {
  const databaseUrl = process.env.DATABASE_URL;
  if (!databaseUrl)
    throw new Error('DATABASE_URL is not set: start the worker by `npm run up`, or name a PostgreSQL server');
  Runtime.install({
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => log.warn({ level, ...meta }, message)),
    shutdownSignals: [],
  });
  const engine = engineFromEnvironment();
  const [store, bundle, connection] = await Promise.all([
    untilAnswers('PostgreSQL', () => openStore({ databaseUrl, poolSize: 20, waitMs: 5_000, migrate: false })),
    workflowBundle(),
    untilAnswers('Temporal (worker)', () => NativeConnection.connect(engine.options)),
  ]);
  log.info('connected to PostgreSQL and Temporal');
  shippedCatalogue();
  // A mistake in the setting is told at the start, not at night.
  dailyProviders();
  // The broker makes the installation at its first start.
  const broker = await untilAnswers('the broker’s first start', () => installationId(store.db));
  const backend = storeBackend(store.db, broker);
  const worker = await untilAnswers('the main queue’s worker', () =>
    Worker.create({
      connection,
      namespace: engine.namespace,
      taskQueue: mainQueue,
      workflowBundle: bundle,
      activities: {
        ...decisions(store.db, broker, placer()),
        ...estateActivities(store.db, broker, 'default', {
          orphanGraceMs: milliseconds('LANDFALL_ORPHAN_GRACE_MS', 300_000),
        }),
        ...resourceDecisions(store.db, broker),
        ...complianceActivities(store.db),
        ...priceActivities(store.db),
      },
      maxCachedWorkflows: 200,
      // After a kill, tasks wait this long for the worker that is gone before another takes them.
      stickyQueueScheduleToStartTimeout: '3s',
      maxConcurrentActivityTaskExecutions: 20,
      shutdownGraceTime: '5s',
    }),
  );
  const client = new Client({
    connection: await untilAnswers('Temporal', () => Connection.connect(engine.options)),
    namespace: engine.namespace,
  });
  const sites = new SiteWorkers({
    connection,
    client,
    namespace: engine.namespace,
    db: store.db,
    backend,
    log,
    visibilityGraceMs: milliseconds('LANDFALL_VISIBILITY_GRACE_MS', 60_000),
  });
  await sites.start();
  await untilAnswers('the schedules', () =>
    ensureSchedules(client, {
      sweepMs: milliseconds('LANDFALL_SWEEP_MS', 60_000),
      expiryMs: milliseconds('LANDFALL_EXPIRY_MS', 15_000),
      offersMs: milliseconds('LANDFALL_OFFERS_MS', 6 * 3_600_000),
      complianceMs: milliseconds('LANDFALL_COMPLIANCE_MS', 300_000),
      catalogueMs: milliseconds('LANDFALL_CATALOGUE_MS', 24 * 3_600_000),
    }),
  );
  const stop = () => {
    if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  log.info({ temporal: engine.address, broker }, 'worker ready');
  await worker.run();
  await sites.stop();
  await client.connection.close();
  await connection.close();
  await store.close();
  log.info('worker stopped');
}

main().catch((error: unknown) => {
  log.fatal({ err: error }, 'the worker cannot go on');
  process.exit(1);
});
