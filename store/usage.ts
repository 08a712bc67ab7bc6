import type { Schemas } from '@landfall/model';
import { type RawBuilder, sql } from 'kysely';
import type { Db, Tx } from './open.ts';
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

interface Sums {
  currency: string;
  amount: number;
  hours: number;
  pricePerHour: number;
  running: number;
}

interface Row extends Sums {
  key: string;
  name: string;
  project: string;
}

/**
 * The most expensive first, a page at a time; all pages of one reading end at the same time. `totals` are of everything, on
 * every page. Throws PageError for times that cannot be.
 */
export async function readSpend(db: Db, scope: OperationScope, request: SpendRequest): Promise<Spend> {
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute((tx) => read(tx, scope, request));
}

async function read(tx: Tx, scope: OperationScope, request: SpendRequest): Promise<Spend> {
  const { by = 'project', pageSize = 50 } = request;
  const { rows: times } = await sql<{ now: Date; since: Date }>`
    select now(), (select applied_at from migrations where number = 19) as since`.execute(tx);
  const { now, since } = times[0]!;
  const rules = { list: 'spend' };
  const page = { ...request, filter: JSON.stringify([request.from, request.to]) };
  const token = readPageToken(rules, page, by);
  const after =
    token && (JSON.parse(token.key) as { from: string; to: string; amount: number; currency: string });
  const { from, to } = after ? { from: new Date(after.from), to: new Date(after.to) } : spanOf(request, now);
  const counted = sql`
    select ${keys[by]} as key, u.instance, u.currency, u.price_per_hour as price, u.ended_at,
           extract(epoch from least(coalesce(u.ended_at, ${to}), ${to}) - greatest(u.started_at, ${from})) as seconds
      from usage_intervals u
     where u.project in (select name from projects
                          where organization = ${scope.organization}
                            and (${scope.project ?? null}::text is null or name = ${scope.project ?? null}))
       and u.started_at < ${to} and (u.ended_at is null or u.ended_at > ${from})`;
  // Exact decimals are summed, and rounded once.
  const sums = sql`
    currency, round(sum(price * seconds) / 3600, 6)::float8 as amount, round(sum(seconds) / 3600, 6)::float8 as hours,
    coalesce(sum(price) filter (where ended_at is null), 0)::float8 as "pricePerHour",
    count(*) filter (where ended_at is null)::int as running`;
  const { rows: totals } = await sql<Sums>`
    with counted as (${counted}) select ${sums} from counted group by currency order by currency`.execute(tx);
  const { rows } = await sql<Row>`
    with counted as (${counted}),
         summed as (select key, ${sums} from counted group by key, currency)
    select s.*, coalesce(i.name, s.key) as name, i.project
      from summed s
      left join instances i on ${by === 'instance' ? sql`i.id = s.key::uuid` : sql`false`}
     where ${after ? sql`(-s.amount, s.key, s.currency) > (-${after.amount}::float8, ${token.id}, ${after.currency})` : sql`true`}
     order by s.amount desc, s.key, s.currency
     limit ${pageSize + 1}`.execute(tx);
  const kept = rows.slice(0, pageSize);
  const last = kept.at(-1);
  const range = { from: from.toISOString(), to: to.toISOString() };
  return {
    ...range,
    by,
    accountFrom: since.toISOString(),
    totals,
    items: kept.map(({ key, name, project, ...sums }) => ({
      name,
      ...(by === 'instance' ? { instance: { kind: 'Instance', id: key, name, project } } : {}),
      ...sums,
    })),
    ...(rows.length > pageSize && last
      ? {
          nextPageToken: writePageToken(rules, page, by, {
            key: JSON.stringify({ ...range, amount: last.amount, currency: last.currency }),
            id: last.key,
          }),
        }
      : {}),
  };
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
