/** `landfall policy pack`: the policies shipped with landfall. */
import { type PolicyPack, policyPacks } from '@landfall/policies';
import { exitCodes, usageError } from '../errors.ts';
import { suggestion } from '../output/suggestion.ts';
import { renderTable } from '../output/table.ts';
import type { Session } from '../session.ts';

const columns = [
  { header: 'NAME', cell: (pack: PolicyPack) => pack.name },
  { header: 'WHAT IT DOES', cell: (pack: PolicyPack) => pack.summary },
];

/** Lists the packs, or prints one as a file to put in force or to change. Offline. */
export function showPacks(session: Session, name: string | undefined): number {
  const packs = policyPacks();
  if (name === undefined) {
    if (session.structured)
      session.outStructured({ items: packs.map(({ name, summary }) => ({ name, summary })) });
    else session.out(renderTable(columns, packs, { paint: session.paint }));
    return exitCodes.ok;
  }
  const pack = packs.find((one) => one.name === name);
  if (!pack) {
    const names = packs.map((one) => one.name);
    throw usageError(
      `There is no policy pack ${name}.`,
      `${suggestion(name, names)}There are ${names.join(', ')}.`,
    );
  }
  session.out(pack.source);
  return exitCodes.ok;
}
