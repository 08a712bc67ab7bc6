import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { backOff } from './back-off.ts';
import { pause } from './kvm/pause.ts';

export interface WorkOptions {
  address: string;
  namespace: string;
  taskQueue: string;
  identity: string;
  // biome-ignore lint/complexity/noBannedTypes: Temporal's own type for a table of activities
  activities: object & Record<string, Function>;
}

/** Once per process, before the first connection: Temporal's log becomes ours, and its signal handlers stay away. */
export function prepareRuntime(log: Logger): void {
  const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
  const logger = new DefaultLogger('WARN', ({ level, message, meta }) => {
    log[levels[level]]({ temporal: meta }, message);
  });
  Runtime.install({ logger, shutdownSignals: [] });
}

/**
 * Serves the agent's task queue until `signal` fires, connecting anew for ever while Temporal is away. This is the only
 * place that knows how Temporal is reached; a gateway between agents and Temporal will be put in here.
 */
export async function serveQueue(
  options: WorkOptions,
  { signal, log }: { signal: AbortSignal; log: Logger },
): Promise<void> {
  const retry = backOff(500, 15_000);
  let away = false;
  while (!signal.aborted) {
    try {
      await serveOnce(options, signal, () => {
        log.info({ address: options.address, taskQueue: options.taskQueue }, 'serving the task queue');
        away = false;
        retry.reset();
      });
    } catch (error) {
      if (signal.aborted) return;
      const reason = error instanceof Error ? error.message : String(error);
      if (!away) log.warn({ reason, address: options.address }, 'Temporal is away: trying again');
      away = true;
    }
    await pause(retry.next(), signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}

async function serveOnce(options: WorkOptions, signal: AbortSignal, serving: () => void): Promise<void> {
  const connection = await NativeConnection.connect({ address: options.address });
  try {
    const worker = await Worker.create({
      connection,
      namespace: options.namespace,
      taskQueue: options.taskQueue,
      identity: options.identity,
      activities: options.activities,
      maxConcurrentActivityTaskExecutions: 100,
      // Cancellations reach an activity with its heartbeats' answers.
      maxHeartbeatThrottleInterval: '2s',
      defaultHeartbeatThrottleInterval: '2s',
      shutdownGraceTime: '1s',
      shutdownForceTime: '10s',
    });
    const stop = () => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
    };
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (signal.aborted) return;
      const running = worker.run();
      serving();
      await running;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  } finally {
    await connection.close();
  }
}
