/** The Temporal dev server for one data folder: how to start it, and whether it answers. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';
import type { Launch } from './supervise.ts';

/** The attributes by which workflows are found: `LandfallProject = 'x'` in Temporal's own tools. */
export const searchAttributes = ['LandfallProject', 'LandfallSite', 'LandfallResource'] as const;

/**
 * Whether the server's task queues serve the projects by turns (the keys are given in workflows/until-agreed.ts). Decided
 * once, for a new data folder: 1.29 keeps fair queues in other tables, and forgets what waits in the ones it leaves (seen:
 * 0 of 30 waiting activities were served after the switch).
 */
function isFair(folder: string): boolean {
  const mark = join(folder, 'fair-queues');
  if (!existsSync(join(folder, 'temporal.db')))
    writeFileSync(mark, 'Keep: what waits in the task queues is lost without this file.\n');
  return existsSync(mark);
}

/** How to start the server; the flags are measured, see docs/architecture.md, "Engine". */
export function temporalLaunch(binary: string, dataDir: string, port: number): Launch {
  const folder = join(dataDir, 'temporal');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return {
    command: binary,
    args: [
      'server',
      'start-dev',
      '--headless',
      '--ip',
      '127.0.0.1',
      '--port',
      String(port),
      '--namespace',
      'default',
      '--db-filename',
      join(folder, 'temporal.db'),
      '--sqlite-pragma',
      'journal_mode=wal',
      '--sqlite-pragma',
      'synchronous=normal',
      '--dynamic-config-value',
      'history.transferProcessorMaxPollRPS=2000',
      // Each of a queue's four partitions has turns of its own, so which project is next hangs on which one is asked.
      // Only what is written: an older folder's other partitions are still read until they are empty.
      '--dynamic-config-value',
      'matching.numTaskqueueWritePartitions=1',
      ...(isFair(folder) ? ['--dynamic-config-value', 'matching.enableFairness=true'] : []),
      ...searchAttributes.flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
      '--color',
      'never',
    ],
    cwd: folder,
    // A user's own Temporal profile has no say in this server.
    env: {
      ...process.env,
      TEMPORAL_ENV: undefined,
      TEMPORAL_PROFILE: undefined,
      TEMPORAL_ADDRESS: undefined,
    },
  };
}

/** A protobuf field that holds bytes, text or a message shorter than 128 bytes. */
function field(number: number, value: Buffer | string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}

/**
 * One call of the Temporal front end over plain HTTP/2, so that no gRPC library is loaded at every start.
 * Answers the body when the status is OK, else undefined.
 */
function ask(address: string, method: string, message: Buffer, limitMs: number): Promise<Buffer | undefined> {
  return new Promise((done) => {
    const session = connect(`http://${address}`);
    const end = (answer: Buffer | undefined) => {
      clearTimeout(timer);
      session.destroy();
      done(answer);
    };
    const timer = setTimeout(() => end(undefined), limitMs);
    session.once('error', () => end(undefined));
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(message.length, 1);
    const stream = session.request({
      ':method': 'POST',
      ':path': `/temporal.api.workflowservice.v1.WorkflowService/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let status: unknown;
    const read = (headers: Record<string, unknown>) => {
      status = headers['grpc-status'] ?? status;
    };
    const chunks: Buffer[] = [];
    stream.on('response', read); // an error may come without a body, its status in the headers
    stream.on('trailers', read);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('error', () => end(undefined));
    stream.once('close', () => end(status === '0' ? Buffer.concat(chunks).subarray(5) : undefined));
    stream.end(Buffer.concat([frame, message]));
  });
}

/** Whether a Temporal front end serves its namespace; its health service would say yes before it can serve. */
export async function temporalAnswers(
  address: string,
  namespace = 'default',
  limitMs = 2_000,
): Promise<boolean> {
  return (await ask(address, 'DescribeNamespace', field(1, namespace), limitMs)) !== undefined;
}

/** Whether the process with that pid polls a task queue: the SDK's pollers are named `pid@host`. */
export async function pollsQueue(
  address: string,
  queue: string,
  pid: number,
  namespace = 'default',
): Promise<boolean> {
  const workflowTasks = Buffer.from([(3 << 3) | 0, 1]); // task_queue_type = WORKFLOW
  const message = Buffer.concat([field(1, namespace), field(2, field(1, queue)), workflowTasks]);
  const answer = await ask(address, 'DescribeTaskQueue', message, 2_000);
  if (answer === undefined) return false;
  const at = answer.indexOf(`${pid}@`);
  // Not the end of a longer pid.
  return at > 0 && !/[0-9]/.test(String.fromCharCode(answer[at - 1] as number));
}
