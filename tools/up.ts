/**
 * `npm run up`: fetches what is missing, starts Landfall and stays its supervisor; see up-options.ts for
 * the options. The bootstrap (bootstrap.mjs) runs this with Node 24.
 */
import { spawn } from 'node:child_process';
import { closeSync, createReadStream, existsSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { livingSupervisor, makeDataDirectory, readRecord, type SupervisorRecord } from './data-directory.ts';
import { type Prepared, prepare } from './prepare.ts';
import { identify, isAlive, type ProcessIdentity } from './process-identity.ts';
import { Progress } from './progress.ts';
import { AlreadyRunning, type Stack, startStack } from './stack.ts';
import { findSites, summaryLines } from './summary.ts';
import { parseUp, type UpOptions, UsageError, upUsage } from './up-options.ts';

const external = {
  databaseUrl: process.env.DATABASE_URL || undefined,
  temporalAddress: process.env.TEMPORAL_ADDRESS || undefined,
};
const stopHint = 'npm run down (guests keep running; with `-- --guests` they go too)';

async function printSummary(
  headline: string,
  record: SupervisorRecord,
  dataDir: string,
  hint: string,
): Promise<void> {
  const brokerRuns = record.parts.broker !== undefined;
  const { findings, note } = brokerRuns ? await findSites(record.url ?? '', dataDir) : {};
  const extraNotes = note === undefined ? [] : [note];
  const lines = summaryLines({ headline, dataDir, record, findings, extraNotes, brokerRuns, stopHint: hint });
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Waits until that supervisor is ready and answers its record; undefined when it failed or ended. */
async function whenReady(
  dataDir: string,
  supervisor: ProcessIdentity,
): Promise<SupervisorRecord | undefined> {
  while (isAlive(supervisor)) {
    const record = readRecord(dataDir);
    // Until it writes its own, the record may be an earlier supervisor's.
    if (record?.supervisor.pid === supervisor.pid && record.supervisor.started === supervisor.started) {
      if (record.phase === 'ready') return record;
      if (record.phase === 'failed') return undefined;
    }
    await delay(50);
  }
  return undefined;
}

async function alreadyUp(options: UpOptions): Promise<boolean> {
  const living = livingSupervisor(options.dataDir);
  if (living === undefined) return false;
  if (living.phase === 'stopping') {
    process.stdout.write('A Landfall is just stopping here; waiting for its end.\n');
    while (isAlive(living.supervisor)) await delay(100);
    return false;
  }
  if (living.phase === 'starting')
    process.stdout.write('A Landfall is just starting here; waiting for it.\n');
  const record = await whenReady(options.dataDir, living.supervisor);
  if (record === undefined) return false;
  await printSummary('Landfall is already running.', record, options.dataDir, stopHint);
  return true;
}

async function superviseHere(
  options: UpOptions,
  prepared: Prepared,
  progress: Progress,
  abort: AbortController,
): Promise<void> {
  const started = Date.now();
  const { dataDir } = options;
  const stack: Stack = await startStack({
    dataDir,
    parts: prepared.parts,
    notes: prepared.notes,
    ports: { broker: options.port },
    ...external,
    progress,
    log: (line) => progress.line(`${new Date().toISOString()} ${line}`),
    signal: abort.signal,
    hostRequired: false,
  });
  const record = readRecord(dataDir);
  if (!options.background && record !== undefined) {
    const headline = `Landfall is up after ${((Date.now() - started) / 1000).toFixed(1)} s.`;
    await printSummary(headline, record, dataDir, 'Ctrl-C, or npm run down (guests keep running)');
  }
  if (!abort.signal.aborted)
    await new Promise((done) => abort.signal.addEventListener('abort', done, { once: true }));
  await progress.run('Stopping Landfall (guests keep running)', () => stack.stop());
}

/** Copies what a file grows by to standard output. */
async function follow(file: string, from: number): Promise<number> {
  if (!existsSync(file) || statSync(file).size <= from) return from;
  let position = from;
  for await (const chunk of createReadStream(file, { start: from })) {
    process.stdout.write(chunk as Buffer);
    position += (chunk as Buffer).length;
  }
  return position;
}

async function superviseInBackground(
  options: UpOptions,
  prepared: Prepared,
  abort: AbortController,
): Promise<void> {
  const started = Date.now();
  const { dataDir } = options;
  const logFile = join(dataDir, 'logs', 'supervisor.log');
  const log = openSync(logFile, 'a', 0o600);
  let position = statSync(logFile).size;
  const args = ['--background', '--data-dir', dataDir];
  if (options.port !== undefined) args.push('--port', String(options.port));
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, LANDFALL_PREPARED: JSON.stringify(prepared) },
  });
  closeSync(log);
  abort.signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
  const supervisor = child.pid === undefined ? undefined : identify(child.pid);
  const ready = supervisor === undefined ? Promise.resolve(undefined) : whenReady(dataDir, supervisor);
  let settled = false;
  void ready.finally(() => {
    settled = true;
  });
  while (!settled) {
    position = await follow(logFile, position);
    await Promise.race([ready, delay(100)]);
  }
  const record = await ready;
  await follow(logFile, position);
  if (record === undefined) {
    abort.signal.throwIfAborted();
    const other = livingSupervisor(dataDir)?.supervisor.pid;
    if (other !== undefined && other !== child.pid) throw new AlreadyRunning('Another start was quicker.');
    throw new Error(`Landfall did not come up; the reason is above. Whole log: ${logFile}`);
  }
  child.unref();
  const headline = `Landfall is up after ${((Date.now() - started) / 1000).toFixed(1)} s, in the background.`;
  await printSummary(headline, record, dataDir, stopHint);
}

async function main(): Promise<number> {
  const options = parseUp(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(upUsage);
    return 0;
  }
  const abort = new AbortController();
  const interrupt = (signal: NodeJS.Signals) => {
    if (!abort.signal.aborted) abort.abort(new Error(`interrupted by ${signal}`));
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  const progress = new Progress();
  makeDataDirectory(options.dataDir);
  try {
    if (options.background) {
      await superviseHere(
        options,
        JSON.parse(process.env.LANDFALL_PREPARED ?? '') as Prepared,
        progress,
        abort,
      );
      return 0;
    }
    if (await alreadyUp(options)) return 0;
    const prepared = await prepare({
      dataDir: options.dataDir,
      onprem: options.onprem,
      embeddedTemporal: external.temporalAddress === undefined,
      progress,
      interactive: process.stdin.isTTY === true,
      signal: abort.signal,
    });
    if (options.detach) await superviseInBackground(options, prepared, abort);
    else await superviseHere(options, prepared, progress, abort);
    return 0;
  } catch (error) {
    if (abort.signal.aborted) {
      process.stderr.write('Interrupted; nothing runs. `npm run up` goes on where this ended.\n');
      return 130;
    }
    // Another `up` was quicker by a moment: its Landfall is as good as ours.
    if (error instanceof AlreadyRunning && !options.background && (await alreadyUp(options))) return 0;
    throw error;
  }
}

// A reader that leaves (`| head`, a closed terminal) must not take the supervisor with it.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
  });
}
try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
// Open handles (a child in the background, a keep-alive connection to the broker) must not hold the prompt.
process.exit();
