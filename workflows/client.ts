/** The client side of the workflows: what the broker needs to wake them. No worker code is loaded here. */

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { DiscoveryPage, DiscoveryQuery, Target } from '@landfall/adapters';
import type { OutboxRow } from '@landfall/store';
import {
  Client,
  Connection,
  ScheduleOverlapPolicy,
  WorkflowFailedError,
  WorkflowIdConflictPolicy,
} from '@temporalio/client';
import { ActivityFailure, ApplicationFailure, type Priority } from '@temporalio/common';
import { mainQueue } from './steps.ts';

export type { DiscoveryPage, DiscoveryQuery, Unmanaged } from '@landfall/adapters';
export { siteQueue } from './steps.ts';

export interface Engine {
  address: string;
  namespace: string;
  /** For the SDK's connections, the client's and the worker's alike. */
  options: {
    address: string;
    apiKey?: string;
    tls?: true | { clientCertPair: { crt: Buffer; key: Buffer } };
  };
}

/**
 * Where Temporal is: `TEMPORAL_ADDRESS` (default the embedded one), `TEMPORAL_NAMESPACE`, and for an external cluster
 * `TEMPORAL_API_KEY` or `TEMPORAL_TLS_CERT` with `TEMPORAL_TLS_KEY` (files).
 */
export function engineFromEnvironment(env: NodeJS.ProcessEnv = process.env): Engine {
  const address = env.TEMPORAL_ADDRESS ?? '127.0.0.1:7233';
  const options: Engine['options'] = { address };
  if (env.TEMPORAL_API_KEY) {
    options.apiKey = env.TEMPORAL_API_KEY;
    options.tls = true;
  }
  if (env.TEMPORAL_TLS_CERT && env.TEMPORAL_TLS_KEY) {
    options.tls = {
      clientCertPair: { crt: readFileSync(env.TEMPORAL_TLS_CERT), key: readFileSync(env.TEMPORAL_TLS_KEY) },
    };
  }
  return { address, namespace: env.TEMPORAL_NAMESPACE ?? 'default', options };
}

/** A workflow that is wanted: an instance's, or the one of an operation over everything. */
export type Wanted = Omit<OutboxRow, 'id'>;

/** Workflows of one resource each, which look again when they are signalled. */
const isResource = (workflow: Wanted['workflow']): boolean =>
  workflow === 'instance' || workflow === 'resource';

/**
 * The main queue serves workflows and the decisions they ask for, which inherit this, by turns of the projects: a project
 * with thousands of changes delays no other's. What is of no project takes turns as one.
 */
const turnOf = (project: string): Priority => (project === '' ? {} : { fairnessKey: project });

export interface Signals {
  /** Wakes the workflow that a row of the outbox is for. Repeating is harmless. */
  signal(row: Wanted): Promise<void>;
  /** Starts the workflow if none is open; one that is open is not disturbed. */
  ensureStarted(row: Wanted): Promise<void>;
  /** Asks for a look at compliance: at once, or once more after the one under way. */
  wakeCompliance(): Promise<void>;
  /** True while Temporal answers. */
  ready(): Promise<boolean>;
  /** One page of what exists at a site and is not ours. Throws {@link DiscoveryFailed}. */
  discover(input: { queue: string; query: DiscoveryQuery }): Promise<DiscoveryPage>;
  readConsole(input: { queue: string; target: Target<'Instance'>; maxBytes: number }): Promise<string>;
  close(): Promise<void>;
}

/** Why a site did not say what it has. `code`: the adapters' (A7), or `Unavailable` where nobody answers. */
export class DiscoveryFailed extends Error {
  readonly code: string;

  constructor(code: string, message: string, cause: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

function failureOf(error: unknown): DiscoveryFailed {
  if (!(error instanceof WorkflowFailedError)) throw error;
  const cause = error.cause instanceof ActivityFailure ? error.cause.cause : error.cause;
  if (cause instanceof ApplicationFailure)
    return new DiscoveryFailed(cause.type ?? 'Unavailable', cause.message, error);
  return new DiscoveryFailed('Unavailable', 'its worker or agent does not answer', error);
}

/** Connects lazily: the broker may start before Temporal does, and outlive its restarts. */
export function connectSignals(env: NodeJS.ProcessEnv = process.env): Signals {
  const { namespace, options } = engineFromEnvironment(env);
  const connection = Connection.lazy(options);
  const client = new Client({ connection, namespace });
  const ensureStarted: Signals['ensureStarted'] = async ({ workflow, resource, project }) => {
    await client.workflow.start(workflow, {
      taskQueue: mainQueue,
      priority: turnOf(project),
      workflowId: `${workflow}/${resource}`,
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
      args: [isResource(workflow) ? { id: resource } : { operation: resource }],
    });
  };
  return {
    ensureStarted,
    async signal(row) {
      if (!isResource(row.workflow)) return ensureStarted(row);
      await client.workflow.signalWithStart(row.workflow, {
        taskQueue: mainQueue,
        priority: turnOf(row.project),
        workflowId: `${row.workflow}/${row.resource}`,
        args: [{ id: row.resource }],
        signal: 'changed',
        signalArgs: [],
      });
    },
    async wakeCompliance() {
      await client.workflow.signalWithStart('complianceOnChange', {
        taskQueue: mainQueue,
        workflowId: 'compliance',
        signal: 'changed',
        signalArgs: [],
      });
    },
    async ready() {
      try {
        await connection.withDeadline(Date.now() + 2_000, () =>
          connection.ensureConnected().then(() => connection.workflowService.getSystemInfo({})),
        );
        return true;
      } catch {
        return false; // what is wrong is said by the dispatcher's log
      }
    },
    async discover(input) {
      try {
        return await client.workflow.execute<(arg: typeof input) => Promise<DiscoveryPage>>(
          'discoverUnmanaged',
          {
            taskQueue: mainQueue,
            workflowId: `discover/${randomUUID()}`,
            workflowExecutionTimeout: '150s',
            args: [input],
          },
        );
      } catch (error) {
        throw failureOf(error);
      }
    },
    async readConsole(input) {
      const { text } = await client.workflow.execute<(arg: typeof input) => Promise<{ text: string }>>(
        'readConsole',
        {
          taskQueue: mainQueue,
          priority: turnOf(input.target.stamp.project),
          workflowId: `console/${input.target.stamp.resource}/${Date.now()}`,
          workflowExecutionTimeout: '30s',
          args: [input],
        },
      );
      return text;
    },
    async close() {
      await connection.close();
    },
  };
}

/** Makes or updates the schedules: sweep, expiry, compliance, catalogue upkeep, and the refresh of live offers. Safe to repeat. */
export async function ensureSchedules(
  client: Client,
  intervals: {
    sweepMs: number;
    expiryMs: number;
    offersMs: number;
    complianceMs: number;
    catalogueMs: number;
  },
): Promise<void> {
  const wanted = [
    { scheduleId: 'landfall-sweep', workflowType: 'sweep', every: intervals.sweepMs, args: [] },
    { scheduleId: 'landfall-expiry', workflowType: 'expire', every: intervals.expiryMs, args: [] },
    { scheduleId: 'landfall-offers', workflowType: 'refreshOffers', every: intervals.offersMs, args: [{}] },
    {
      scheduleId: 'landfall-compliance',
      workflowType: 'compliance',
      every: intervals.complianceMs,
      args: [{}],
    },
    {
      scheduleId: 'landfall-catalogue',
      workflowType: 'catalogueUpkeep',
      every: intervals.catalogueMs,
      args: [],
    },
  ];
  for (const { scheduleId, workflowType, every, args } of wanted) {
    const schedule = {
      spec: { intervals: [{ every }] },
      action: {
        type: 'startWorkflow' as const,
        workflowType,
        taskQueue: mainQueue,
        args,
        workflowExecutionTimeout: '10m' as const,
      },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1m' as const },
    };
    const handle = client.schedule.getHandle(scheduleId);
    try {
      await handle.update((previous) => ({ ...previous, ...schedule }));
    } catch (error) {
      if ((error as Error).name !== 'ScheduleNotFoundError') throw error;
      await client.schedule.create({ scheduleId, ...schedule });
    }
  }
}

/** Starts reading what a site offers, unless that is under way. */
export async function startOffersRefresh(client: Client, site: string): Promise<void> {
  await client.workflow.start('refreshOffers', {
    taskQueue: mainQueue,
    workflowId: `offers/${site}`,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    args: [{ site }],
  });
}
