/** Fetches and installs what a start needs, once: system packages, the Temporal server, a guest image. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Part } from './data-directory.ts';
import { root } from './node24.mjs';
import { ensureSystemPackages } from './packages.ts';
import { type Program, programExists, programs } from './programs.ts';
import type { Progress } from './progress.ts';
import { findTemporal } from './temporal-binary.ts';

/** What can be started, and what cannot and why. */
export interface Prepared {
  parts: Part[];
  notes: string[];
}

interface ImageMaker {
  prepareImage(
    source: string,
    options: { progress?: (line: string) => void; signal?: AbortSignal },
  ): Promise<unknown>;
}

/** Straight from its file: the agent's index would load the whole Temporal SDK into the supervisor. */
async function imageMaker(): Promise<ImageMaker | undefined> {
  const path = join(root, 'onprem-agent/images/store.ts');
  return existsSync(path) ? ((await import(pathToFileURL(path).href)) as ImageMaker) : undefined;
}

/** Why the on-prem host cannot be had on this machine, or undefined. */
function onpremObstacle(asked: boolean): string | undefined {
  if (!asked) return 'not asked for (--no-onprem)';
  if (!programExists('broker')) return 'it has nothing to register with without the broker';
  if (!programExists('agent')) return `${programs.agent} is not in this checkout`;
  if (process.platform !== 'linux') return 'needs Linux with QEMU and libvirt; everything else runs here';
  if (process.getuid?.() !== 0) return 'needs root for libvirt and its network: `sudo npm run up` has it';
  return undefined;
}

/** Prepares a start; slow only the first time. */
export async function prepare(options: {
  dataDir: string;
  onprem: boolean;
  embeddedTemporal: boolean;
  progress: Progress;
  interactive: boolean;
  signal: AbortSignal;
}): Promise<Prepared> {
  const { dataDir, progress, signal } = options;
  const parts: Part[] = ['postgres', 'temporal'];
  const notes: string[] = [];
  for (const program of ['broker', 'worker'] as Program[]) {
    if (program === 'worker' && !parts.includes('broker'))
      notes.push('worker: off, it has nothing to do without the broker');
    else if (programExists(program)) parts.push(program);
    else notes.push(`${program}: off, ${programs[program]} is not in this checkout`);
  }
  if (options.embeddedTemporal) {
    await quietIfQuick(progress, 'Temporal server', (note) => findTemporal({ note, signal }));
  }
  const obstacle =
    onpremObstacle(options.onprem) ?? (await hostObstacle(dataDir, progress, options.interactive, signal));
  if (obstacle === undefined) parts.push('agent');
  else notes.push(`on-prem host: off, ${obstacle}`);
  signal.throwIfAborted();
  return { parts, notes };
}

async function hostObstacle(
  dataDir: string,
  progress: Progress,
  interactive: boolean,
  signal: AbortSignal,
): Promise<string | undefined> {
  const refusal = await quietIfQuick(progress, 'System packages', (note) =>
    ensureSystemPackages({
      logFile: join(dataDir, 'logs', 'packages.log'),
      interactive,
      note,
      say: (line) => progress.line(line),
    }),
  );
  if (refusal !== undefined) return refusal;
  signal.throwIfAborted();
  const maker = await imageMaker();
  if (maker === undefined) return undefined; // the agent makes images when they are asked for
  try {
    await quietIfQuick(progress, 'Guest image tiny', (note) =>
      maker.prepareImage('tiny', { progress: note, signal }),
    );
  } catch (error) {
    signal.throwIfAborted();
    // The host is of use with other images; the reason is worth a line.
    progress.line(`The guest image tiny could not be made: ${(error as Error).message}`);
  }
  return undefined;
}

/** Runs a step that is usually done already, and shows it only when it takes a while. */
async function quietIfQuick<T>(
  progress: Progress,
  title: string,
  step: (note: (text: string) => void) => Promise<T>,
): Promise<T> {
  let tell: (text: string) => void = () => {};
  let last = '';
  const work = step((text) => {
    last = text;
    tell(text);
  });
  const quick = await Promise.race([
    work.then(
      () => true,
      () => true,
    ),
    new Promise<boolean>((done) => setTimeout(() => done(false), 400).unref()),
  ]);
  if (quick) return work;
  return progress.run(title, (note) => {
    tell = note;
    note(last);
    return work;
  });
}
