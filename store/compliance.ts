import { durationMs, type InstanceSpec, type Offer } from '@landfall/model';
import { type Selectable, sql } from 'kysely';
import type { ResourceKind, ResourceSpec, ResourceStatus, Violations } from './database.ts';
import { appendEvents, type NewEvent } from './events.ts';
import { newId } from './id.ts';
import type { Queryable, Tx } from './open.ts';
import { eventOf, type Violation, violationsOf } from './violations.ts';

/** Resolved violations are kept this long. */
const resolvedKeptDays = 90;

/** One violation as a look at the estate finds it. */
export interface FoundViolation {
  resource: string;
  resourceKind: ResourceKind | 'Instance';
  resourceName: string;
  project: string;
  policy: string;
  policyVersion: string;
  rule: string;
  line: number;
  mode: Violation['mode'];
  effect: string;
  message: string;
  owner: string;
  action: Violation['action'];
  /** What is left to people. */
  actionMessage?: string;
  /** The exception that waives it; null = none. */
  exception: { owner: string; reason: string; expires: string } | null;
}

/** A machine to judge: what was asked for, and the offer it stands on as it was when it was placed. */
export interface MachineToJudge {
  id: string;
  name: string;
  project: string;
  labels: Record<string, string>;
  spec: InstanceSpec;
  offer: Offer;
  /** How long it is to live, hours; 0 = until it is deleted. */
  ttlHours: number;
}

/** Machines that were seen at their place and are not on their way out, by id after `after`. */
export async function machinesToJudge(
  db: Queryable,
  organization: string,
  after: string | null,
  limit: number,
): Promise<MachineToJudge[]> {
  let query = db
    .selectFrom('instances as r')
    .innerJoin('projects as p', 'p.name', 'r.project')
    .innerJoin('intents as i', (on) =>
      on.onRef('i.resource', '=', 'r.id').onRef('i.attempt', '=', 'r.attempt'),
    )
    .select(['r.id', 'r.name', 'r.project', 'r.labels', 'r.spec', 'i.offer', 'r.created_at', 'r.expires_at'])
    .where('p.organization', '=', organization)
    .where('r.deleted_at', 'is', null)
    .where('r.gone_at', 'is', null)
    .where('i.state', '=', 'adopted')
    .orderBy('r.id')
    .limit(limit);
  if (after !== null) query = query.where('r.id', '>', after);
  return (await query.execute()).map(({ created_at, expires_at, ...row }) => ({
    ...row,
    ttlHours: row.spec.ttl
      ? durationMs(row.spec.ttl) / 3_600_000
      : // A policy's own, given to the machine as its end: to the minute.
        expires_at
        ? Math.round((expires_at.getTime() - created_at.getTime()) / 60_000) / 60
        : 0,
  }));
}

/** A volume, a network, … to judge: what was asked for, and where it is. */
export interface ResourceToJudge {
  id: string;
  kind: ResourceKind;
  name: string;
  project: string;
  labels: Record<string, string>;
  spec: ResourceSpec;
  status: ResourceStatus;
}

/** Those that were ready at their place and are not on their way out, by id after `after`. */
export async function resourcesToJudge(
  db: Queryable,
  organization: string,
  after: string | null,
  limit: number,
): Promise<ResourceToJudge[]> {
  let query = db
    .selectFrom('resources as r')
    .innerJoin('projects as p', 'p.name', 'r.project')
    .select(['r.id', 'r.kind', 'r.name', 'r.project', 'r.labels', 'r.spec', 'r.status'])
    .where('p.organization', '=', organization)
    .where('r.deleted_at', 'is', null)
    .where('r.gone_at', 'is', null)
    .where('r.state', '<>', 'Lost')
    .where(sql<boolean>`r.status->>'readyAt' is not null`)
    .orderBy('r.id')
    .limit(limit);
  if (after !== null) query = query.where('r.id', '>', after);
  return query.execute();
}

const sameAction = sql`violations.action = excluded.action and violations.mode = excluded.mode`;

const keyOf = (at: { resource: string; policy: string; rule: string }): string =>
  `${at.resource} ${at.policy} ${at.rule}`;

/** What {@link recordViolations} changed, and how many stand now. */
export interface Recorded {
  opened: number;
  resolved: number;
  standing: number;
}

/** One look at an organization at a time; held until the transaction ends. No row is locked by it. */
export async function lockCompliance(tx: Tx, organization: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`compliance ${organization}`}, 0))`.execute(tx);
}

/** Whether a machine of the organization came with rules of its own. */
export async function hasRequestRules(db: Queryable, organization: string): Promise<boolean> {
  const row = await db
    .selectFrom('instances as r')
    .innerJoin('projects as p', 'p.name', 'r.project')
    .select('r.id')
    .where('p.organization', '=', organization)
    .where('r.gone_at', 'is', null)
    .where(sql<boolean>`jsonb_array_length(coalesce(r.spec #> '{placement,rules}', '[]')) > 0`)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Whether anything stands against any machine of the organization. */
export async function hasStandingViolations(db: Queryable, organization: string): Promise<boolean> {
  const row = await db
    .selectFrom('violations')
    .select('id')
    .where('organization', '=', organization)
    .where('resolved_at', 'is', null)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/**
 * Makes the violations that stand those that were found, all of the organization's: opens, keeps, waives and resolves, with
 * their events. The caller holds {@link lockCompliance} since before it looked.
 */
export async function recordViolations(
  tx: Tx,
  organization: string,
  found: readonly FoundViolation[],
  now: Date,
): Promise<Recorded> {
  const rows = await violationsOf(tx, { organization }).where('resolved_at', 'is', null).execute();
  const standing = new Map(rows.map((row) => [keyOf(row), row]));
  const events: NewEvent[] = [];
  const written: ReturnType<typeof rowOf>[] = [];
  let opened = 0;
  for (const one of found) {
    const before = standing.get(keyOf(one));
    standing.delete(keyOf(one));
    const row = rowOf(one, organization, before, now);
    if (!before) opened++;
    else if (!differs(before, row)) continue;
    written.push(row);
    if (before?.state === row.state) continue;
    const waived = one.exception;
    if (waived)
      events.push(
        eventOf(
          row,
          'waived',
          `an exception of ${waived.owner} holds until ${waived.expires}: ${waived.reason}`,
        ),
      );
    else events.push(eventOf(row, 'opened', before ? 'no exception holds any more' : one.message));
  }
  for (let from = 0; from < written.length; from += 1_000) {
    await tx
      .insertInto('violations')
      .values(written.slice(from, from + 1_000))
      .onConflict((conflict) =>
        conflict
          .columns(['resource', 'policy', 'rule'])
          .where('resolved_at', 'is', null)
          .doUpdateSet((eb) => ({
            policy_version: eb.ref('excluded.policy_version'),
            line: eb.ref('excluded.line'),
            mode: eb.ref('excluded.mode'),
            effect: eb.ref('excluded.effect'),
            message: eb.ref('excluded.message'),
            owner: eb.ref('excluded.owner'),
            // Somebody may have acknowledged it, or a stop may have been asked for, since it was read.
            state: sql`case when excluded.state = 'Open' and violations.state = 'Acknowledged' then violations.state else excluded.state end`,
            exception: eb.ref('excluded.exception'),
            action: eb.ref('excluded.action'),
            action_state: sql`case when ${sameAction} then violations.action_state else 'None' end`,
            action_message: sql`case when ${sameAction} then violations.action_message else excluded.action_message end`,
          })),
      )
      .execute();
  }
  const over = [...standing.values()];
  for (let from = 0; from < over.length; from += 1_000) {
    const ids = over.slice(from, from + 1_000).map((row) => row.id);
    await tx
      .updateTable('violations')
      .set({ state: 'Resolved', resolved_at: now })
      .where('id', 'in', ids)
      .execute();
  }
  await tx
    .updateTable('violations')
    .set({ last_seen_at: now })
    .where('organization', '=', organization)
    .where('resolved_at', 'is', null)
    .execute();
  events.push(...over.map((row) => eventOf(row, 'resolved', 'it holds no longer')));
  await appendEvents(tx, events);
  await tx
    .deleteFrom('violations')
    .where('organization', '=', organization)
    .where('resolved_at', '<', new Date(now.getTime() - resolvedKeptDays * 86_400_000))
    .execute();
  return { opened, resolved: over.length, standing: found.length };
}

function rowOf(
  one: FoundViolation,
  organization: string,
  before: Selectable<Violations> | undefined,
  now: Date,
) {
  const again = before?.state === 'Waived' ? 'Open' : before?.state;
  return {
    id: before?.id ?? newId(),
    organization,
    project: one.project,
    resource: one.resource,
    resource_kind: one.resourceKind,
    resource_name: one.resourceName,
    policy: one.policy,
    rule: one.rule,
    policy_version: one.policyVersion,
    line: one.line,
    mode: one.mode,
    effect: one.effect,
    message: one.message,
    owner: one.owner,
    state: one.exception ? ('Waived' as const) : (again ?? ('Open' as const)),
    exception: one.exception && exceptionText(one.exception),
    action: one.action,
    action_message: one.actionMessage ?? '',
    first_seen_at: before?.first_seen_at ?? now,
    last_seen_at: now,
  };
}

/** Always in one order of keys: PostgreSQL keeps its own. */
function exceptionText({ owner, reason, expires }: NonNullable<FoundViolation['exception']>): string {
  return JSON.stringify({ owner, reason, expires });
}

function differs(before: Selectable<Violations>, row: ReturnType<typeof rowOf>): boolean {
  const { exception } = before;
  return (
    before.policy_version !== row.policy_version ||
    before.line !== row.line ||
    before.mode !== row.mode ||
    before.effect !== row.effect ||
    before.message !== row.message ||
    before.owner !== row.owner ||
    before.state !== row.state ||
    (exception && exceptionText(exception)) !== row.exception ||
    before.action !== row.action
  );
}
