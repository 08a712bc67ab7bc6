import type { Decision } from '@landfall/model';
import type { Selectable } from 'kysely';
import type { Decisions } from './database.ts';
import { StoreError } from './errors.ts';
import { newId } from './id.ts';
import type { Queryable } from './open.ts';

function toDecision(row: Selectable<Decisions>): Decision {
  return {
    ...row.record,
    id: row.id,
    resource: row.resource
      ? { kind: 'Instance', id: row.resource, name: row.resource_name ?? '', project: row.project }
      : null,
    ...(row.attempt === null ? {} : { attempt: row.attempt }),
    createdAt: row.created_at.toISOString(),
  };
}

/** Keeps a decision for good; answers its id. */
export async function recordDecision(
  db: Queryable,
  decision: { project: string; resource: string; resourceName: string; attempt: number; record: Decision },
): Promise<string> {
  const id = newId();
  await db
    .insertInto('decisions')
    .values({
      id,
      project: decision.project,
      resource: decision.resource,
      resource_name: decision.resourceName,
      attempt: decision.attempt,
      record: JSON.stringify(decision.record),
    })
    .execute();
  return id;
}

export async function getDecision(db: Queryable, project: string, id: string): Promise<Decision> {
  const row = await db
    .selectFrom('decisions')
    .selectAll()
    .where('project', '=', project)
    .where('id', '=', id)
    .executeTakeFirst();
  if (!row) throw new StoreError('notFound', `there is no decision ${id} in project ${project}`);
  return toDecision(row);
}
