/** `landfall catalogue check`: what a price file would give; offline. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { importSkyPilotCsv } from '@landfall/policies';
import { exitCodes, usageError } from '../errors.ts';
import { printable } from '../output/colours.ts';
import { count, counted } from '../output/quantities.ts';
import type { Session } from '../session.ts';

const providers = ['aws', 'azure', 'gcp'];
/** More would scroll the sum away. */
const mostShown = 20;

/** Reads a catalogue file and says what is left out and why. Exit code 1 when no row can be used. */
export async function checkCatalogue(
  session: Session,
  file: string,
  flags: { provider: string },
): Promise<number> {
  if (!providers.includes(flags.provider))
    throw usageError(
      `--provider ${flags.provider} is none of ${providers.join(', ')}.`,
      'Name whose prices the file holds.',
    );
  const text = readFile(resolve(session.terminal.cwd, file), file);
  const date = new Date().toISOString().slice(0, 10);
  const { rows, rejected } = importSkyPilotCsv(text, { provider: flags.provider, file, date, source: file });
  if (session.structured) session.outStructured({ offers: rows.length, rejected });
  else {
    for (const { line, reason } of rejected.slice(0, mostShown))
      session.out(`${printable(file)}:${line}: ${printable(reason)}\n`);
    if (rejected.length > mostShown) session.out(`and ${count(rejected.length - mostShown)} more\n`);
    session.out(`${counted(rows.length, 'offer')} to use, ${counted(rejected.length, 'row')} left out\n`);
  }
  return rows.length > 0 ? exitCodes.ok : exitCodes.failed;
}

function readFile(path: string, shown: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw usageError(`${shown} cannot be read: ${(error as Error).message}`);
  }
}
