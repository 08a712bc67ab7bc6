import type { InstanceSpec } from '@landfall/model';
import { sql } from 'kysely';
import { appendEvents, type NewEvent } from './events.ts';
import type { Db, Queryable, Tx } from './open.ts';
import { eventOf, type Violation } from './violations.ts';

/** A machine that runs and that a rule says is to be stopped, with the violations that say so. */
export interface Violator {
  resource: string;
  resourceName: string;
  project: string;
  violations: string[];
  rules: string[];
}

const actedOn = (db: Queryable, organization: string) =>
  db
    .selectFrom('violations as v')
    .innerJoin('instances as r', 'r.id', 'v.resource')
    .where('v.organization', '=', organization)
    .where('v.state', 'in', ['Open', 'Acknowledged'])
    .where('v.mode', '=', 'enforce');

/** Running machines whose stop was not asked for yet, the oldest violation first. */
export async function violatorsToStop(db: Queryable, organization: string): Promise<Violator[]> {
  const rows = await actedOn(db, organization)
    .select(['v.id', 'v.resource', 'v.resource_name', 'v.project', 'v.policy', 'v.rule'])
    .where('v.action', '=', 'stop')
    .where('v.action_state', 'in', ['None', 'Held'])
    .where('r.state', 'in', ['Running', 'Starting', 'Rebooting', 'Resizing'])
    .orderBy('v.first_seen_at')
    .orderBy('v.id')
    .execute();
  const violators = new Map<string, Violator>();
  for (const { id, resource, resource_name, project, policy, rule } of rows) {
    const violator = violators.get(resource) ?? {
      resource,
      resourceName: resource_name,
      project,
      violations: [],
      rules: [],
    };
    violator.violations.push(id);
    violator.rules.push(`${policy}/${rule}`);
    violators.set(resource, violator);
  }
  return [...violators.values()];
}

/** How many machines are being stopped for a violation now. */
export async function stopsUnderWay(db: Queryable, organization: string): Promise<number> {
  const row = await db
    .selectFrom('violations as v')
    .innerJoin('instances as r', 'r.id', 'v.resource')
    .select(sql<number>`count(distinct v.resource)::int`.as('count'))
    .where('v.organization', '=', organization)
    .where('v.action_state', '=', 'Requested')
    .where('r.state', '<>', 'Stopped')
    .where('v.resolved_at', 'is', null)
    .executeTakeFirstOrThrow();
  return row.count;
}

/** What is done about a violation. */
export interface ViolationAction {
  state: Violation['actionState'];
  message: string;
  operation?: string | null;
}

/** Notes what is done about violations, with an event for each whose action is in another state than before. */
export async function noteAction(db: Db, ids: string[], action: ViolationAction): Promise<number> {
  if (ids.length === 0) return 0;
  return db.transaction().execute((tx) => noteActionIn(tx, ids, action));
}

/** The same, in the caller's transaction. Answers how many are in another state than before. */
export async function noteActionIn(tx: Tx, ids: string[], action: ViolationAction): Promise<number> {
  const events: NewEvent[] = [];
  for (let from = 0; from < ids.length; from += 1_000) {
    const some = ids.slice(from, from + 1_000);
    const changed = await tx
      .updateTable('violations')
      .set({
        action_state: action.state,
        action_message: action.message,
        ...(action.operation === undefined ? {} : { operation: action.operation }),
      })
      .where('id', 'in', some)
      .where('resolved_at', 'is', null)
      .where('action_state', '<>', action.state)
      .returningAll()
      .execute();
    events.push(
      ...changed.map((row) => ({
        ...eventOf(row, 'acted', action.message),
        operation: action.operation ?? null,
      })),
    );
  }
  await appendEvents(tx, events);
  return events.length;
}

/** Ids of violations whose machine has stopped since the stop was asked for. */
export async function stoppedViolations(db: Queryable, organization: string): Promise<string[]> {
  const rows = await actedOn(db, organization)
    .select('v.id')
    .where('v.action_state', '=', 'Requested')
    .where('r.state', '=', 'Stopped')
    .execute();
  return rows.map((row) => row.id);
}

/** A violation whose rule asks for the machine to go elsewhere, and the machine as it is wanted. */
export interface ToReplace {
  id: string;
  resource: string;
  name: string;
  project: string;
  generation: number;
  labels: Record<string, string>;
  spec: InstanceSpec;
  policy: string;
  rule: string;
  message: string;
  owner: string;
}

/** Those of which nobody was asked yet, the longest standing first. */
export async function violationsToReplace(
  db: Queryable,
  organization: string,
  limit: number,
): Promise<ToReplace[]> {
  return actedOn(db, organization)
    .select(['v.id', 'v.resource', 'v.policy', 'v.rule', 'v.message', 'v.owner'])
    .select(['r.name', 'r.project', 'r.generation', 'r.labels', 'r.spec'])
    .where('v.action', 'in', ['approve', 'replace'])
    .where('v.action_state', '=', 'None')
    .orderBy('v.first_seen_at')
    .orderBy('v.id')
    .limit(limit)
    .execute();
}

/** Ends the approvals of violations that are over or are acted on otherwise now, and those that nobody answered in time: these are asked for again. */
export async function endReplacementApprovals(db: Db, organization: string): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await sql`
      update approvals a set state = 'Superseded', decided_at = now(), reason = 'the violation is over'
        from violations v
       where v.id = a.violation and a.state = 'Pending' and a.organization = ${organization}
         and (v.resolved_at is not null or v.state = 'Waived' or v.action not in ('approve', 'replace'))`.execute(
      tx,
    );
    const expired = await tx
      .updateTable('approvals')
      .set({ state: 'Expired', decided_at: new Date() })
      .where('organization', '=', organization)
      .where('state', '=', 'Pending')
      .where('violation', 'is not', null)
      .where('expires_at', '<', new Date())
      .returning('violation')
      .execute();
    for (const { violation } of expired) {
      await tx
        .updateTable('violations')
        .set({ action_state: 'None', action_message: 'nobody answered in time; asked again' })
        .where('id', '=', violation)
        .execute();
    }
  });
}
