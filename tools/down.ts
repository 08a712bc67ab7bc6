/** `npm run down`: stops what `npm run up` started; see up-options.ts for the options. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { livingSupervisor, takeLock } from './data-directory.ts';
import { endLeftovers } from './leftovers.ts';
import { root } from './node24.mjs';
import { servingProcess } from './postgres.ts';
import { endProcess, signalProcess, waitGone } from './process-identity.ts';
import { Progress } from './progress.ts';
import { type DownOptions, downUsage, parseDown, UsageError } from './up-options.ts';

/** Longer than all parts together may take to end. */
const supervisorLimitMs = 70_000;

async function stopAll({ dataDir, guests }: DownOptions, progress: Progress): Promise<boolean> {
  let stopped = false;
  const living = livingSupervisor(dataDir);
  if (living !== undefined) {
    stopped = true;
    const then = guests ? 'then its guests' : 'guests keep running';
    await progress.run(`Stopping Landfall (${then})`, async () => {
      signalProcess(living.supervisor, 'SIGTERM');
      if (!(await waitGone(living.supervisor, supervisorLimitMs)))
        await endProcess(living.supervisor, 'SIGKILL');
    });
  }
  const release = takeLock(dataDir);
  if (release === undefined)
    throw new Error('A Landfall was just started here again; run `npm run down` once more.');
  try {
    const ended = await endLeftovers(dataDir, (line) => progress.line(line));
    const server = servingProcess(join(dataDir, 'postgres'));
    if (server !== undefined) await endProcess(server, 'SIGINT', 15_000);
    return stopped || ended.length > 0 || server !== undefined;
  } finally {
    release();
  }
}

/** Lets the agent's own program take its guests and the private libvirt away. */
async function removeGuests(dataDir: string): Promise<number> {
  const program = join(root, 'onprem-agent/down.ts');
  if (!existsSync(program)) {
    process.stderr.write('Guests cannot be removed: onprem-agent/down.ts is not in this checkout.\n');
    return 1;
  }
  const folder = join(dataDir, 'onprem');
  if (!existsSync(folder)) {
    process.stdout.write('There are no guests: no agent ever ran here.\n');
    return 0;
  }
  const code = await new Promise<number>((done, failed) => {
    const child = spawn(process.execPath, [program, '--data-dir', folder, '--guests'], {
      stdio: 'inherit',
      cwd: root,
    });
    child.once('error', failed);
    child.once('exit', (status) => done(status ?? 1));
  });
  if (code === 0) process.stdout.write('The guests and the private libvirt are removed.\n');
  return code;
}

async function main(): Promise<number> {
  const options = parseDown(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(downUsage);
    return 0;
  }
  const progress = new Progress();
  if (!existsSync(options.dataDir)) {
    process.stdout.write(`Nothing runs: ${options.dataDir} does not exist.\n`);
    return 0;
  }
  const stopped = await stopAll(options, progress);
  process.stdout.write(stopped ? 'Landfall is stopped; its data stays.\n' : 'Nothing was running.\n');
  return options.guests ? removeGuests(options.dataDir) : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
