/**
 * Finds Node 24 and runs a TypeScript file with it.
 *
 * Plain JavaScript without dependencies: it runs on the Node the machine has (18 or newer), before
 * anything is installed, and under the `landfall` command at every call.
 */
import { spawn } from 'node:child_process';
import { accessSync, chmodSync, constants, existsSync, statSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** The Node major version that runs the sources: its type stripping and APIs are what they are written for. */
export const wantedMajor = 24;

const packagedPlatforms = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'];

/** The npm package that carries Node 24 for a platform, or undefined when there is none. */
export function node24Package(platform = process.platform, arch = process.arch) {
  const name = `${platform}-${arch}`;
  return packagedPlatforms.includes(name) ? `node-${name}` : undefined;
}

/** Whether this very process is new enough to run the sources. */
export function selfIsNode24(version = process.versions.node) {
  return Number.parseInt(version, 10) >= wantedMajor;
}

/**
 * The path of a Node that runs the sources: this process's own when it is new enough, else the one
 * npm installed. Undefined when neither is there.
 */
export function findNode24() {
  if (selfIsNode24()) return process.execPath;
  const name = node24Package();
  if (name === undefined) return undefined;
  const binary = join(root, 'node_modules', name, 'bin', 'node');
  if (!existsSync(binary)) return undefined;
  try {
    accessSync(binary, constants.X_OK);
  } catch {
    // Some npm mirrors and archive tools drop execute bits.
    chmodSync(binary, statSync(binary).mode | 0o111);
  }
  return binary;
}

/** What to tell a user for whom findNode24 found nothing. */
export function node24Missing() {
  const name = node24Package();
  if (name === undefined) {
    return (
      `Landfall needs Node ${wantedMajor} and this is ${process.versions.node}; npm carries no Node ${wantedMajor} for ` +
      `${process.platform}-${process.arch}. Install Node ${wantedMajor} from https://nodejs.org and run this again.`
    );
  }
  return (
    `Landfall needs Node ${wantedMajor} and this is ${process.versions.node}; the npm package ${name} that brings it is ` +
    'not installed. Run `node tools/bootstrap.mjs install` (or `npm ci --include=optional`) in ' +
    `${root}, or install Node ${wantedMajor} from https://nodejs.org.`
  );
}

/**
 * Runs `script` with Node 24 and resolves to its exit code; standard streams are inherited and signals
 * forwarded, so that the caller is as good as absent.
 */
export function runNode24(script, args = [], options = {}) {
  const node = findNode24();
  if (node === undefined) throw new Error(node24Missing());
  return new Promise((done, failed) => {
    const child = spawn(node, [script, ...args], { stdio: 'inherit', ...options });
    const forward = (signal) => child.kill(signal);
    // A terminal sends SIGINT to the whole foreground group, the child included: sending it once more
    // would make one Ctrl-C look like two.
    const ignoreInterrupt = () => {};
    const onInterrupt = process.stdin.isTTY ? ignoreInterrupt : forward;
    process.on('SIGINT', onInterrupt);
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(signal, forward);
    const release = () => {
      process.off('SIGINT', onInterrupt);
      for (const signal of ['SIGTERM', 'SIGHUP', 'SIGQUIT']) process.off(signal, forward);
    };
    child.once('error', (cause) => {
      release();
      failed(
        new Error(
          `Node ${wantedMajor} at ${node} does not start (${cause.message}). On a system without glibc (Alpine), install ` +
            `Node ${wantedMajor} from its packages; else remove node_modules and run \`npm run up\` again.`,
          { cause },
        ),
      );
    });
    child.once('exit', (code, signal) => {
      release();
      done(signal === null ? (code ?? 1) : 128 + (osConstants.signals[signal] ?? 0));
    });
  });
}

/** Like runNode24, and ends this process with the script's exit code. */
export async function execNode24(script, args = []) {
  try {
    process.exitCode = await runNode24(script, args);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
