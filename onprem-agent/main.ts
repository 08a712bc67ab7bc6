/** The agent as a program: see `options.ts` for its flags. SIGTERM and SIGINT end it; guests run on. */
import { pino } from 'pino';
import { runAgent } from './agent.ts';
import { readOptions, UsageError, usage } from './options.ts';

if (process.argv.includes('--help')) {
  process.stdout.write(usage);
  process.exit(0);
}

const log = pino({ name: 'onprem-agent', level: process.env.LANDFALL_LOG_LEVEL ?? 'info' });
const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    log.info({ signal }, 'stopping');
    stop.abort(new Error(`stopped by ${signal}`));
  });
}

try {
  await runAgent(readOptions(process.argv.slice(2), process.env), { signal: stop.signal, log });
  process.exitCode = 0;
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\n\n${usage}`);
    process.exitCode = 2;
  } else if (!stop.signal.aborted) {
    log.fatal({ err: error }, error instanceof Error ? error.message : 'the agent failed');
    process.exitCode = 1;
  }
}
