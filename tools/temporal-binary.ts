/**
 * Finds the Temporal CLI, whose dev server is the embedded engine: on PATH, in the cache, by download, or
 * by building it with Go.
 */
import { execFile, spawn } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  createWriteStream,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { cacheDirectory } from './data-directory.ts';

const run = promisify(execFile);

/** Newer tags cannot be built by `go install`: their go.mod has a replace line. */
export const temporalVersion = '1.5.1';

/** The first executable of that name on PATH. */
export function onPath(name: string, path = process.env.PATH ?? ''): string | undefined {
  for (const folder of path.split(delimiter)) {
    if (folder === '') continue;
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // not in this folder
    }
  }
  return undefined;
}

/** Where the cached binary is, or will be. */
export function cachedBinary(cache = cacheDirectory()): string {
  return join(cache, `temporal-${temporalVersion}`, 'temporal');
}

/** Says what goes on inside a long step. */
export type Note = (text: string) => void;

/** What a search for the binary may be told, for tests and for machines without network. */
export interface TemporalSearch {
  note?: Note;
  cache?: string;
  path?: string;
  /** Base of the download service. */
  downloadFrom?: string;
  /** Ends a download or a build; nothing half is left. */
  signal?: AbortSignal;
}

/** The path of a Temporal CLI that runs here. */
export async function findTemporal(search: TemporalSearch = {}): Promise<string> {
  const note = search.note ?? (() => {});
  const path = search.path ?? process.env.PATH ?? '';
  const found = onPath('temporal', path);
  if (found !== undefined) return found;
  const cached = cachedBinary(search.cache);
  if (existsSync(cached)) return cached;
  const partial = `${join(cached, '..')}.partial-${process.pid}`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  const refusals: string[] = [];
  try {
    try {
      note('downloading');
      await download(partial, search.downloadFrom ?? 'https://temporal.download', note, search.signal);
    } catch (error) {
      search.signal?.throwIfAborted();
      refusals.push(`the download failed (${reason(error)})`);
      const go =
        onPath('go', path) ?? (existsSync('/usr/local/go/bin/go') ? '/usr/local/go/bin/go' : undefined);
      if (go === undefined) {
        refusals.push('there is no Go to build it with');
        throw new Error(advice(refusals));
      }
      note(`${refusals[0]}; building it with Go, once: 4 to 7 minutes on two cores`);
      await build(go, partial, search.signal).catch((failure: unknown) => {
        search.signal?.throwIfAborted();
        refusals.push(`the build failed (${reason(failure)})`);
        throw new Error(advice(refusals), { cause: failure });
      });
    }
    const made = join(partial, 'temporal');
    chmodSync(made, 0o755);
    await run(made, ['--version']).catch((error: unknown) => {
      throw new Error(`The Temporal CLI that was fetched does not run here: ${reason(error)}`, {
        cause: error,
      });
    });
    mkdirSync(join(cached, '..'), { recursive: true });
    renameSync(made, cached); // complete or absent, whatever interrupts us
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return cached;
}

function reason(error: unknown): string {
  const { message, cause } = error as Error & { cause?: Error & { code?: string } };
  const why = cause === undefined ? '' : `: ${cause.code ?? cause.message}`;
  return `${message}${why}`.trim().slice(-500);
}

function advice(refusals: string[]): string {
  return (
    `Temporal is not here: it is not on PATH, ${refusals.join(', and ')}. Do one of these and run this again: install ` +
    'the Temporal CLI (https://docs.temporal.io/cli); install Go 1.24 or newer (https://go.dev/dl), which builds it; ' +
    'or set TEMPORAL_ADDRESS to a Temporal you have.'
  );
}

async function download(folder: string, base: string, note: Note, signal?: AbortSignal): Promise<void> {
  const platform = { linux: 'linux', darwin: 'darwin' }[process.platform as string];
  const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch as string];
  if (platform === undefined || arch === undefined)
    throw new Error(`no build for ${process.platform}-${process.arch}`);
  const answer = await fetch(
    `${base}/cli/v${temporalVersion}?platform=${platform}&arch=${arch}&format=tar.gz`,
    {
      signal: AbortSignal.timeout(8_000),
    },
  );
  if (!answer.ok) throw new Error(`${base} answered ${answer.status}`);
  const { archiveUrl } = (await answer.json()) as { archiveUrl?: string };
  if (archiveUrl === undefined) throw new Error(`${base} named no archive`);
  signal?.throwIfAborted();
  const archive = join(folder, 'temporal.tar.gz');
  const response = await fetch(archiveUrl, {
    signal: AbortSignal.any([AbortSignal.timeout(300_000), ...(signal === undefined ? [] : [signal])]),
  });
  if (!response.ok || response.body === null)
    throw new Error(`${new URL(archiveUrl).host} answered ${response.status}`);
  const size = Number(response.headers.get('content-length') ?? 0);
  let received = 0;
  let told = 0;
  const source = Readable.fromWeb(response.body as import('node:stream/web').ReadableStream);
  source.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (Date.now() - told < 1000) return;
    told = Date.now();
    const megabytes = (count: number) => (count / 1e6).toFixed(0);
    note(`downloading ${megabytes(received)}${size > 0 ? ` of ${megabytes(size)}` : ''} MB`);
  });
  await pipeline(source, createWriteStream(archive));
  await run('tar', ['-xzf', archive, '-C', folder, 'temporal']);
}

function build(go: string, folder: string, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((done, failed) => {
    const child = spawn(
      go,
      [
        'install',
        '-trimpath',
        '-ldflags=-s -w',
        `github.com/temporalio/cli/cmd/temporal@v${temporalVersion}`,
      ],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        signal,
        env: { ...process.env, CGO_ENABLED: '0', GOBIN: folder },
      },
    );
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => {
      errors = (errors + chunk).slice(-2000);
    });
    child.once('error', failed);
    child.once('close', (code) => {
      if (code === 0) done();
      else failed(new Error(errors.trim() || `go ended with ${code}`));
    });
  });
}
