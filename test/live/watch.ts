import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Kind } from '@landfall/adapters';
import { root } from '@landfall/tools/node24.mjs';
import { readLedger, standingsOf } from './ledger.ts';
import { peakOf, type Rates, spentOf, whyStop } from './spend.ts';
import { type Handed, type LiveAccount, suitesVariable } from './subject.ts';

export interface Watched {
  /** Every test of the suites did. */
  passed: boolean;
  /** Why it was ended before its time. */
  stopped?: string;
  /** USD, estimated. */
  spent: number;
  /** The most of each kind that stood at one time. */
  peak: Map<Kind, number>;
}

interface Watch {
  rates: Rates;
  capUsd: number;
  minutes: number;
  signal: AbortSignal;
}

/** Runs the suites in a process of their own, and ends it when the cap or the time is reached, or when `signal` fires. */
export async function watchSuites({ account, ...watch }: Watch & { account: LiveAccount }): Promise<Watched> {
  return watchProcess(watch, (ledger) => {
    const handed: Handed = { account, ledger, watcher: process.pid };
    const jest = join(root, 'node_modules/jest/bin/jest.js');
    const args = [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      jest,
      '--runInBand',
      '--forceExit',
    ];
    return spawn(process.execPath, [...args, '--testMatch', '**/test/live/suites.ts'], {
      cwd: root,
      // In a group of its own: Ctrl-C is for this process, which ends it and then sweeps.
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, [suitesVariable]: JSON.stringify(handed) },
    });
  });
}

/** Watches any process that writes a ledger. @param start given the ledger's file, which exists. */
export async function watchProcess(
  { rates, capUsd, minutes, signal }: Watch,
  start: (ledger: string) => ChildProcess,
): Promise<Watched> {
  const folder = mkdtempSync(join(tmpdir(), 'landfall-live-'));
  const ledger = join(folder, 'ledger.jsonl');
  writeFileSync(ledger, '');
  const standings = () => standingsOf(readLedger(ledger));
  const child = start(ledger);
  const began = Date.now();
  let stopped: string | undefined;
  const stop = (why: string) => {
    stopped ??= why;
    child.kill('SIGKILL');
  };
  const look = () => {
    const now = Date.now();
    const why = whyStop(standings(), rates, capUsd, now);
    if (why) stop(why);
    else if (now - began > minutes * 60_000) stop(`its ${minutes} minutes are over`);
  };
  const timer = setInterval(look, 500);
  const abort = () => stop(`${signal.reason}`);
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  try {
    const code = await new Promise<number | null>((done, failed) => {
      child.once('error', failed);
      child.once('exit', done);
    });
    const all = standings();
    return {
      passed: code === 0 && !stopped,
      stopped,
      spent: spentOf(all, rates, Date.now()),
      peak: peakOf(all),
    };
  } finally {
    clearInterval(timer);
    signal.removeEventListener('abort', abort);
    rmSync(folder, { recursive: true, force: true });
  }
}
