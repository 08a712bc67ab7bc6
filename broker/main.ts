/** The broker process: the HTTP API and the dispatcher. Configured by the environment; see README.md. */
import { openStore } from '@landfall/store';
import { pruneKeys } from '@landfall/store/idempotency.ts';
import { connectSignals } from '@landfall/workflows/client.ts';
import { warmUpPlacement } from '@landfall/workflows/placement.ts';
import { pino } from 'pino';
import { assembleBroker } from './assemble.ts';
import { homeOrganization } from './authorization.ts';
import { type NamedOrigin, parseOrigins } from './cross-origin.ts';

const log = pino({
  level: process.env.LANDFALL_LOG_LEVEL ?? 'info',
  base: { program: 'broker' },
  timestamp: pino.stdTimeFunctions.isoTime,
  redact: {
    paths: [
      'req.headers.authorization',
      'headers.authorization',
      '*.authorization',
      '*.secret',
      '*.userData',
    ],
    censor: '[redacted]',
  },
});

const databaseUrl = process.env.DATABASE_URL;
if (!databaseUrl) {
  log.fatal('DATABASE_URL is not set: start the broker with `npm run up`, or name a PostgreSQL 15 or newer');
  process.exit(1);
}
const port = Number(process.env.LANDFALL_PORT ?? 7420);
if (!Number.isInteger(port) || port < 0 || port > 65_535) {
  log.fatal(`LANDFALL_PORT is ${process.env.LANDFALL_PORT}, which is no port`);
  process.exit(1);
}
let allowedOrigins: NamedOrigin[];
try {
  allowedOrigins = parseOrigins(process.env.LANDFALL_ALLOWED_ORIGINS ?? '');
} catch (error) {
  log.fatal(`LANDFALL_ALLOWED_ORIGINS: ${(error as Error).message}`);
  process.exit(1);
}

const store = await openStore({
  databaseUrl,
  poolSize: 20,
  waiting: ({ message }) => log.warn({ reason: message }, 'waiting for PostgreSQL'),
});
const signals = connectSignals();
const broker = await assembleBroker({
  store,
  signals,
  log,
  dataDir: process.env.LANDFALL_DATA_DIR ?? '.landfall',
  localSite: process.platform === 'linux' && process.env.LANDFALL_NO_LOCAL_SITE !== '1',
  allowedOrigins,
});

const pruning = setInterval(() => {
  pruneKeys(store.db).catch((error: unknown) =>
    log.warn({ err: error }, 'old idempotency keys could not be removed'),
  );
}, 3_600_000);

/** After what starts beside the broker, which needs the processor more. */
const warmUpAfterMs = 3_000;
const leaving = new AbortController();
const warmUp = setTimeout(() => {
  warmUpPlacement(store.db, homeOrganization, leaving.signal).catch((error: unknown) => {
    if (!leaving.signal.aborted)
      log.warn({ err: error }, 'the first batch of placements will take longer than those after it');
  });
}, warmUpAfterMs);

let stopping = false;
async function stop(signal: string): Promise<void> {
  if (stopping) return;
  stopping = true;
  log.info({ signal }, 'stopping');
  clearInterval(pruning);
  clearTimeout(warmUp);
  leaving.abort();
  try {
    await broker.stop();
    await signals.close();
    await store.close();
    log.info('stopped');
    process.exit(0);
  } catch (error) {
    log.error({ err: error }, 'stopped with an error');
    process.exit(1);
  }
}
process.on('SIGTERM', (signal) => void stop(signal));
process.on('SIGINT', (signal) => void stop(signal));

await broker.app.listen({ host: process.env.LANDFALL_HOST ?? '127.0.0.1', port });
