/** `landfall spend`: what machines have cost. */
import { durationMs, type Schemas } from '@landfall/model';
import { number, pricePerHour, spent } from '@landfall/model/quantities.ts';
import { body, pages } from '../connection/broker.ts';
import { exitCodes, usageError } from '../errors.ts';
import { printable } from '../output/colours.ts';
import { type Column, renderTable } from '../output/table.ts';
import type { Session } from '../session.ts';

type Spend = Schemas['Spend'];
type Row = Schemas['SpendSum'] & Partial<Schemas['SpendItem']>;

/** A table, or every page as one. */
export async function spend(session: Session, flags: { since?: string; by?: Spend['by'] }): Promise<number> {
  const { client } = session.broker;
  const from = beginning(flags.since ?? 'today', new Date());
  const query = { from, ...(flags.by === undefined ? {} : { by: flags.by }) };
  let first: Spend | undefined;
  const items = await pages(async (page) => {
    const read = await body(client.GET('/v1/spend', { params: { query: { ...query, ...page } } }));
    first ??= read;
    return read;
  });
  const { nextPageToken: _, ...whole } = { ...first!, items };
  if (session.structured) session.outStructured(whole);
  else if (items.length > 0) session.out(renderSpend(whole, session));
  if (session.structured) return exitCodes.ok;
  if (items.length === 0) session.notice(`Nothing was spent since ${printable(whole.from)}.`);
  if (whole.accountFrom > whole.from)
    session.notice(`The account begins at ${printable(whole.accountFrom)}: nothing before that is counted.`);
  return exitCodes.ok;
}

function renderSpend({ by, items, totals }: Spend, { paint, format }: Session): string {
  const columns: Column<Row>[] = [
    { header: by.toUpperCase(), cell: ({ name }) => name ?? 'total' },
    ...(by === 'instance' ? [{ header: 'PROJECT', cell: ({ instance }: Row) => instance?.project }] : []),
    { header: 'SPENT', align: 'right', cell: ({ amount, currency }) => spent(amount, currency) },
    { header: 'HOURS', align: 'right', cell: ({ hours }) => number(hours) },
    { header: 'RUNNING', align: 'right', cell: ({ running }) => number(running) },
    { header: 'NOW/H', align: 'right', cell: (row) => pricePerHour(row.pricePerHour, row.currency) },
    { header: 'ID', wide: true, cell: ({ instance }) => instance?.id },
  ];
  return renderTable(columns, [...items, ...totals], { paint, wide: format === 'wide' });
}

/** The time that `--since` names; days and months begin at midnight here. */
function beginning(since: string, now: Date): string {
  if (since === 'today') return new Date(now.getFullYear(), now.getMonth(), now.getDate()).toISOString();
  if (since === 'month') return new Date(now.getFullYear(), now.getMonth()).toISOString();
  const back = durationMs(since);
  const day = /^\d{4}-\d\d-\d\d$/.test(since);
  const time = new Date(Number.isNaN(back) ? (day ? `${since}T00:00:00` : since) : now.getTime() - back);
  if ((Number.isNaN(back) && !/^\d{4}-\d\d-\d\d/.test(since)) || Number.isNaN(time.getTime()))
    throw usageError(
      `--since ${since}: must be today, month, a number with s, m, h or d such as 24h, or a time such as 2026-11-21 or 2026-11-21T09:00:00+01:00.`,
    );
  return time.toISOString();
}
