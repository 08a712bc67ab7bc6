/** Ends what an ended supervisor left running, so that the next one starts nothing twice. */
import { parts, readRecord, removeRecord, stopLimits, stopSignals } from './data-directory.ts';
import { endProcess, isAlive } from './process-identity.ts';

/**
 * Ends the recorded parts that still live, in reverse order of their start, each known by pid and start
 * time. Answers the names of those it ended.
 */
export async function endLeftovers(
  dataDir: string,
  log: (line: string) => void = () => {},
): Promise<string[]> {
  const record = readRecord(dataDir);
  if (record === undefined) return [];
  const ended: string[] = [];
  for (const part of [...parts].reverse()) {
    const identity = record.parts[part];
    if (identity === undefined || !isAlive(identity)) continue;
    log(`Stopping ${part} (pid ${identity.pid}), left by a supervisor that ended.`);
    await endProcess(identity, stopSignals[part], stopLimits[part]);
    ended.push(part);
  }
  removeRecord(dataDir);
  return ended;
}
