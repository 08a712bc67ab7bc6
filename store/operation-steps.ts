import type { Schemas } from '@landfall/model';
import { sql } from 'kysely';
import type { Db } from './open.ts';
import { getOperation, type OperationScope } from './operations.ts';

type StepRecord = Schemas['StepRecord'];
type OperationStep = Schemas['OperationStep'];

/** So many steps of an operation are answered at most, the newest. */
const mostSteps = 200;

const everyIntent = sql`(select resource, attempt, site, created_at from intents
                         union all select resource, attempt, site, created_at from resource_intents)`;

/**
 * Keeps a step that ends now, where an operation of its resource is open. Times are the store's: a host's clock may be wrong.
 * @param site whose step it has to be, where an agent tells of it; else nothing is kept.
 */
export async function writeStep(db: Db, step: StepRecord, site?: string): Promise<void> {
  await sql`
    insert into operation_steps (resource, attempt, step, try, site, started_at, failed, calls, calls_left_out)
    select i.resource, i.attempt, ${step.step}, ${step.try}::integer, i.site, now() - make_interval(secs => ${step.ms / 1000}),
           ${step.failed ?? null}::text, ${JSON.stringify(step.calls)}::jsonb, ${step.callsLeftOut}::integer
      from ${everyIntent} i
     where i.resource = ${step.resource} and i.attempt = ${step.attempt} and i.site = coalesce(${site ?? null}::text, i.site)
       and exists (select from operations where resource_id = ${step.resource} and state in ('Pending', 'Running'))`.execute(
    db,
  );
}

interface StepRow {
  resource: string;
  attempt: number;
  step: StepRecord['step'];
  try: number;
  site: string;
  started_at: Date;
  finished_at: Date;
  failed: string | null;
  calls: StepRecord['calls'];
  calls_left_out: number;
  /** The operation had begun the attempt that it worked on. */
  own: boolean | null;
  total: number;
}

/** The steps that were taken while an operation was open, the first first. Throws `notFound` where there is no such operation. */
export async function listSteps(
  db: Db,
  scope: OperationScope,
  id: string,
): Promise<Schemas['OperationStepList']> {
  const { resource, createdAt, finishedAt } = await getOperation(db, scope, id);
  if (!resource) return { items: [], leftOut: 0 };
  const { rows } = await sql<StepRow>`
    select s.*, i.created_at >= ${createdAt} as own, count(*) over ()::int as total
      from operation_steps s left join ${everyIntent} i using (resource, attempt)
     where resource = ${resource.id} and s.finished_at >= ${createdAt}
       and s.started_at <= coalesce(${finishedAt ?? null}::timestamptz, now())
     order by s.finished_at desc, s.id desc limit ${mostSteps}`.execute(db);
  const failures = new Map<string, number>();
  const items = rows.reverse().map((row) => toStep(row, failures));
  return { items, leftOut: (rows[0]?.total ?? 0) - rows.length };
}

/** @param failures how often each call has failed since it last did not, up to here. */
function toStep(row: StepRow, failures: Map<string, number>): OperationStep {
  const begun = row.started_at.getTime();
  const after = (ms: number): string => new Date(begun + ms).toISOString();
  return {
    resource: row.resource,
    attempt: row.attempt,
    step: row.step,
    try: row.try,
    site: row.site,
    compensation: row.step === 'remove' && row.own === true,
    startedAt: after(0),
    finishedAt: row.finished_at.toISOString(),
    failed: row.failed,
    calls: row.calls.map(({ call, afterMs, ms, status, code, count, lastAfterMs }) => {
      const of = `${row.attempt} ${row.step} ${call}`;
      const retry = failures.get(of) ?? 0;
      failures.set(of, isPassing(status, code) ? retry + count : 0);
      return {
        call,
        startedAt: after(afterMs),
        ms,
        status: status ?? null,
        code: code ?? null,
        retry,
        count,
        lastAt: after(lastAfterMs),
      };
    }),
    callsLeftOut: row.calls_left_out,
  };
}

/**
 * A failure after which the same call is simply made again. A program that ended badly has found something out, and what was not
 * awaited may have gone well.
 */
function isPassing(status: number | undefined, code: string | undefined): boolean {
  if (status === undefined) return code !== undefined && !/^exit |^notAwaited$/.test(code);
  return status === 429 || status >= 500 || /thrott|ratelimit|requestlimit|toomanyrequests/i.test(code ?? '');
}
