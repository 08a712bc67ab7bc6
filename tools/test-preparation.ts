/**
 * What the tests need of the system beyond npm's packages: QEMU and libvirt, a Python that can make virtual environments (for
 * the AWS simulator and the API fuzzer), a browser and an SSH server (for the VS Code extension), and the Temporal server. Quick when all is there.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { codeServer } from '@landfall/test/vscode/code-server.ts';
import { dataDirectory, makeDataDirectory } from './data-directory.ts';
import { ensureSystemPackages } from './packages.ts';
import type { Progress } from './progress.ts';
import { findTemporal, onPath } from './temporal-binary.ts';

const run = promisify(execFile);

/** Debian's Python comes without what `python3 -m venv` needs. */
async function pythonPackages(): Promise<string[]> {
  const isComplete = await run('python3', ['-c', 'import ensurepip, venv']).then(
    () => true,
    () => false,
  );
  return isComplete ? [] : ['python3', 'python3-venv'];
}

/**
 * For the extension's tests: a browser, fonts, without which its pictures have no letters, what VS Code's own modules are compiled with, and
 * an SSH server. OpenSSH's would be started as a service of this machine when it is installed; this package has but the programs.
 */
function editorPackages(): string[] {
  const always = ['g++', 'make', 'libkrb5-dev', 'dropbear-bin'];
  const isThere = process.env.LANDFALL_CHROMIUM || onPath('chromium') || onPath('google-chrome');
  return isThere ? always : ['chromium', 'fonts-dejavu-core', ...always];
}

/** Installs the system packages that tests need. Throws, with what to do, where it cannot. */
export async function prepareSystem(progress: Progress): Promise<void> {
  const dataDir = dataDirectory();
  makeDataDirectory(dataDir);
  const logFile = join(dataDir, 'logs', 'packages.log');
  const also = [...(await pythonPackages()), ...editorPackages()];
  const refusal = await progress.run('System packages', (note) =>
    ensureSystemPackages({
      logFile,
      interactive: process.stdin.isTTY === true,
      also,
      note,
      say: (line) => process.stdout.write(`${line}\n`),
    }),
  );
  if (refusal !== undefined) throw new Error(refusal);
}

/** Finds the Temporal server, or builds it, unless an external one is named. */
export async function prepareTemporal(progress: Progress): Promise<void> {
  if (process.env.TEMPORAL_ADDRESS !== undefined) return;
  const found = await progress.run('Temporal server', (note) => findTemporal({ note }));
  process.stdout.write(`${found}\n`);
}

/** Installs the VS Code that the extension's tests drive, once: two minutes. */
export async function prepareEditor(progress: Progress): Promise<void> {
  await progress.run('VS Code', (note) => codeServer(note));
}
