import type { Schemas } from '@landfall/model';
import { type RawBuilder, sql } from 'kysely';
import type { Db } from './open.ts';
import type { OperationScope } from './operations.ts';
import { PageError, readPageToken, writePageToken } from './pages.ts';

/**
 * What was spent on machines: sums over the usage intervals, each of them from when to when which price was paid. A trigger of
 * the database writes them with the instance's status (migration 0019), so nothing here does; docs/spend.md.
 */
export type Spend = Schemas['Spend'];

/** The query of the API as it came. */
export interface SpendRequest {
  from?: string;
  to?: string;
  by?: Spend['by'];
  pageSize?: number;
  pageToken?: string;
}

const mostDays = 366;
const dayMs = 86_400_000;

/** What sums are kept apart by: text, unique in the organization. */
const keys: Record<Spend['by'], RawBuilder<string>> = {
  project: sql`u.project`,
  site: sql`u.site`,
  provider: sql`u.provider`,
  instance: sql`u.instance::text`,
};

interface Row {
  /** Null: of everything in this currency. */
  key: string | null;
  currency: string;
  amount: number;
  hours: number;
  pricePerHour: number;
  running: number;
  /** Of an instance. */
  name: string | null;
  project: string | null;
}

/**
 * The most expensive first, a page at a time; all pages of one reading end at the same time. `totals` are of everything, on
 * every page. Throws PageError for times that cannot be.
 */
export async function readSpend(db: Db, scope: OperationScope, request: SpendRequest): Promise<Spend> {
  const { by = 'project', pageSize = 50 } = request;
  const { rows: times } = await sql<{ now: Date; since: Date }>`
    select now(), (select applied_at from migrations where number = 19) as since`.execute(db);
  const { now, since } = times[0]!;
  const rules = { list: 'spend' };
  const page = { ...request, filter: JSON.stringify([request.from, request.to]) };
  const token = readPageToken(rules, page, by);
  const after =
    token && (JSON.parse(token.key) as { from: string; to: string; amount: number; currency: string });
  const { from, to } = after ? { from: new Date(after.from), to: new Date(after.to) } : spanOf(request, now);
  // Times are summed before they are priced; amounts are exact decimals, and rounded once.
  const { rows } = await sql<Row>`
    with spans as (
      select ${keys[by]} as key, u.currency, u.price_per_hour as price,
             sum(least(coalesce(u.ended_at, ${to}), ${to}) - greatest(u.started_at, ${from})) as span,
             count(*) filter (where u.ended_at is null) as running
        from usage_intervals u
       where u.project in (select name from projects
                            where organization = ${scope.organization}
                              and (${scope.project ?? null}::text is null or name = ${scope.project ?? null}))
         and u.started_at < ${to} and (u.ended_at is null or u.ended_at > ${from})
       group by 1, 2, 3
    ), sums as (
      select key, currency, round(sum(price * extract(epoch from span)) / 3600, 6)::float8 as amount,
             round(sum(extract(epoch from span)) / 3600, 6)::float8 as hours,
             sum(price * running)::float8 as "pricePerHour", sum(running)::int as running
        from spans group by grouping sets ((key, currency), (currency))
    ), items as (
      select s.*, i.name, i.project
        from sums s left join instances i on ${by === 'instance' ? sql`i.id = s.key::uuid` : sql`false`}
       where s.key is not null
         and ${after ? sql`(-s.amount, s.key, s.currency) > (-${after.amount}::float8, ${token.id}, ${after.currency})` : sql`true`}
       order by s.amount desc, s.key, s.currency
       limit ${pageSize + 1})
    select * from (select *, null as name, null as project from sums where key is null union all select * from items) as lines
     order by key is not null, amount desc, key, currency`.execute(db);
  const items = rows.filter((row): row is Row & { key: string } => row.key !== null);
  const kept = items.slice(0, pageSize);
  const last = kept.at(-1);
  const range = { from: from.toISOString(), to: to.toISOString() };
  return {
    ...range,
    by,
    accountFrom: since.toISOString(),
    totals: rows.filter(({ key }) => key === null).map(sumOf),
    items: kept.map((row) => ({
      name: row.name ?? row.key,
      ...(row.name === null
        ? {}
        : { instance: { kind: 'Instance', id: row.key, name: row.name, project: row.project } }),
      ...sumOf(row),
    })),
    ...(items.length > pageSize && last
      ? {
          nextPageToken: writePageToken(rules, page, by, {
            key: JSON.stringify({ ...range, amount: last.amount, currency: last.currency }),
            id: last.key,
          }),
        }
      : {}),
  };
}

function sumOf({ currency, amount, hours, pricePerHour, running }: Row): Spend['totals'][number] {
  return { currency, amount, hours, pricePerHour, running };
}

/** From today's midnight UTC until now, where nothing else is said; nothing is counted ahead of now. */
function spanOf({ from: first, to: end }: SpendRequest, now: Date): { from: Date; to: Date } {
  const from = timeOf('from', first) ?? new Date(Math.floor(now.getTime() / dayMs) * dayMs);
  const asked = timeOf('to', end) ?? now;
  if (from > now)
    throw new PageError('from', `is in the future: it is ${now.toISOString()} now`, first ?? '');
  if (from > asked)
    throw new PageError('from', `must not be after \`to\`, which is ${asked.toISOString()}`, first ?? '');
  const to = asked < now ? asked : now;
  if (to.getTime() - from.getTime() > mostDays * dayMs)
    throw new PageError(
      'from',
      `must be at most ${mostDays} days before \`to\`: ask for a part at a time`,
      first ?? '',
    );
  return { from, to };
}

function timeOf(parameter: 'from' | 'to', text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const time = new Date(text);
  // A leap second is a valid time of RFC 3339, and none here.
  if (Number.isNaN(time.getTime()))
    throw new PageError(parameter, 'must be a time such as 2026-11-21T00:00:00Z', text);
  return time;
}
