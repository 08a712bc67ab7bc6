import type { Schemas } from '@landfall/model';
import { sql } from 'kysely';
import type { Queryable } from './open.ts';

type SiteSpec = Schemas['SiteSpec'];

/**
 * Calls a second where a site's file names none: what the providers' documents give back to an account for reading. AWS 20
 * (per region and action), Azure 25 per subscription and principal, less what other tools use, Google Cloud 1,500 a minute.
 */
const byProvider = { aws: 20, azure: 20, gcp: 25 } as const;

/** Calls a second that a site's provider is asked at most; undefined on-prem, where there is no account. */
export function callsPerSecond({ provider, callsPerSecond }: SiteSpec): number | undefined {
  return provider === 'onprem' ? undefined : (callsPerSecond ?? byProvider[provider]);
}

/**
 * Takes the next turn to ask an account; turns are `1 / perSecond` apart, whichever worker takes them and for whichever site of the
 * account: each site's turn is as long as its own limit says.
 * @returns how long to wait for it, in milliseconds; 0 for at once.
 */
export async function takeCallTurn(db: Queryable, account: string, perSecond: number): Promise<number> {
  const { rows } = await sql<{ ms: number }>`
    insert into account_calls as calls (account, next_at)
    values (${account}, clock_timestamp() + make_interval(secs => ${1 / perSecond}))
    on conflict (account) do update
      set next_at = greatest(calls.next_at, clock_timestamp()) + make_interval(secs => ${1 / perSecond})
    returning extract(epoch from next_at - make_interval(secs => ${1 / perSecond}) - clock_timestamp())::float8 * 1000 as ms
  `.execute(db);
  return Math.max(0, Math.ceil(rows[0]!.ms));
}
