/** `landfall catalogue check`: what a price file would give; offline. */
import { resolve } from 'node:path';
import { count, counted } from '@landfall/model/quantities.ts';
import { importSkyPilotCsv } from '@landfall/policies';
import { exitCodes } from '../errors.ts';
import { printable } from '../output/colours.ts';
import type { Session } from '../session.ts';
import { providerOf, readPriceFile } from './price-lists.ts';

/** More would scroll the sum away. */
const mostShown = 20;

/** Reads a catalogue file and says what is left out and why. Exit code 1 when no row can be used. */
export async function checkCatalogue(
  session: Session,
  file: string,
  flags: { provider: string },
): Promise<number> {
  const provider = providerOf(flags.provider, '--provider');
  const text = readPriceFile(resolve(session.terminal.cwd, file), file);
  const date = new Date().toISOString().slice(0, 10);
  const { rows, rejected } = importSkyPilotCsv(text, { provider, file, date, source: file });
  if (session.structured) session.outStructured({ offers: rows.length, rejected });
  else {
    for (const { line, reason } of rejected.slice(0, mostShown))
      session.out(`${printable(file)}:${line}: ${printable(reason)}\n`);
    if (rejected.length > mostShown) session.out(`and ${count(rejected.length - mostShown)} more\n`);
    session.out(`${counted(rows.length, 'offer')} to use, ${counted(rejected.length, 'row')} left out\n`);
  }
  return rows.length > 0 ? exitCodes.ok : exitCodes.failed;
}
