/**
 * Processes that a test run leaves behind. Everything a run starts inherits a mark in its environment, so
 * that what outlives it is found and ended, and nothing else is.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { endProcess, identify, type ProcessIdentity } from './process-identity.ts';

/** The name of the mark in the environment. */
export const runMark = 'LANDFALL_TEST_RUN';

/** The living processes that carry the mark; known on Linux only. */
export function strays(mark: string): ProcessIdentity[] {
  if (process.platform !== 'linux') return [];
  const found: ProcessIdentity[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`${runMark}=${mark}`))
        continue;
    } catch {
      continue; // gone meanwhile, or another user's
    }
    const identity = identify(pid);
    if (identity !== undefined) found.push(identity);
  }
  return found;
}

/** Ends them; answers how many there were. */
export async function endStrays(mark: string): Promise<number> {
  const found = strays(mark);
  for (const each of found) await endProcess(each, 'SIGTERM', 3_000);
  return found.length;
}
