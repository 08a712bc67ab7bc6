import type { Policy } from '@landfall/model';
import { type Selectable, sql } from 'kysely';
import { wakeWaiting } from './approvals.ts';
import type { Policies } from './database.ts';
import { StoreError } from './errors.ts';
import { appendEvent } from './events.ts';
import { newId } from './id.ts';
import { checkRevision, type IfMatch } from './identity.ts';
import type { Db, Queryable } from './open.ts';
import type { Requester } from './operations.ts';
import { field, type ListRules, type Paged, type PageRequest, readPage } from './pages.ts';

function toPolicy(row: Selectable<Policies>): Policy {
  return {
    id: row.id,
    kind: 'PlacementPolicy',
    name: row.name,
    scope: row.scope,
    mode: row.mode,
    version: row.version,
    rules: row.rules,
    source: row.source,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

/** A change of an existing policy without If-Match. */
export class RevisionNeeded extends Error {}

function inForce(db: Queryable, organization: string) {
  return db
    .selectFrom('policies')
    .selectAll()
    .where('organization', '=', organization)
    .where('deleted_at', 'is', null);
}

export async function listPolicies(db: Db, organization: string, page: PageRequest): Promise<Paged<Policy>> {
  const rules: ListRules = {
    list: 'policies',
    fields: {
      name: field('name'),
      scope: field('scope'),
      mode: field('mode', 'text', ['enforce', 'audit', 'dryRun']),
      version: field('version'),
    },
    order: { name: sql.ref('name'), createdAt: sql.ref('created_at'), id: sql.ref('id') },
    defaultOrder: 'name',
  };
  return readPage(inForce(db, organization), rules, page, toPolicy);
}

export async function getPolicy(db: Queryable, organization: string, name: string): Promise<Policy> {
  const row = await inForce(db, organization).where('name', '=', name).executeTakeFirst();
  if (!row) throw new StoreError('notFound', `there is no policy ${name}`);
  return toPolicy(row);
}

/** All policies in force for the organization, in the order of their names: what placement compiles. */
export async function policiesInForce(db: Queryable, organization: string): Promise<Policy[]> {
  return (await inForce(db, organization).orderBy('name').execute()).map(toPolicy);
}

export interface PolicyInForce {
  name: string;
  scope: string;
  mode: Policy['mode'];
  version: string;
  source: string;
  rules: string[];
}

/**
 * Puts a policy in force and keeps its version for the decisions that name it. `ifMatch` undefined is good for a new
 * policy only: else RevisionNeeded is thrown.
 */
export async function putPolicy(
  db: Db,
  organization: string,
  policy: PolicyInForce,
  ifMatch: IfMatch | undefined,
  by: Requester,
  validateOnly = false,
): Promise<{ policy: Policy; created: boolean }> {
  return db.transaction().execute(async (tx) => {
    // One writer per name: two first puts must not both find nothing.
    await sql`select pg_advisory_xact_lock(hashtextextended(${`policy ${organization}/${policy.name}`}, 0))`.execute(
      tx,
    );
    const row = await inForce(tx, organization)
      .where('name', '=', policy.name)
      .forUpdate()
      .executeTakeFirst();
    if (!row && ifMatch !== undefined)
      throw new StoreError(
        'preconditionFailed',
        `there is no policy ${policy.name} yet: send no If-Match to create it`,
      );
    if (row && ifMatch === undefined)
      throw new RevisionNeeded(`policy ${policy.name} exists: send If-Match with its ETag to replace it`);
    if (row) checkRevision(`policy ${policy.name}`, row.revision, ifMatch!);
    // Whoever names a project's policy like the organization's would take that one out of force.
    if (row && row.scope !== policy.scope)
      throw new StoreError(
        'conflict',
        `policy ${policy.name} is in force for ${row.scope}, and this one is for ${policy.scope}: give it another name, or delete that one first`,
        '/source',
      );
    const now = new Date();
    if (validateOnly) {
      const shown = { ...policy, organization, id: row?.id ?? newId(), revision: row?.revision ?? 1 };
      return {
        policy: toPolicy({ ...shown, created_at: row?.created_at ?? now, updated_at: now, deleted_at: null }),
        created: false,
      };
    }
    await tx
      .insertInto('policy_versions')
      .values({ organization, name: policy.name, version: policy.version, source: policy.source })
      .onConflict((conflict) => conflict.columns(['organization', 'name', 'version']).doNothing())
      .execute();
    const kept = { ...policy, organization, rules: JSON.stringify(policy.rules) };
    const next = row
      ? await tx
          .updateTable('policies')
          .set({ ...kept, revision: row.revision + 1, updated_at: now })
          .where('id', '=', row.id)
          .returningAll()
          .executeTakeFirstOrThrow()
      : await tx
          .insertInto('policies')
          .values({ id: newId(), ...kept })
          .returningAll()
          .executeTakeFirstOrThrow();
    await appendEvent(tx, {
      type: row ? 'policy.updated' : 'policy.created',
      organization,
      resource: { kind: 'PlacementPolicy', id: next.id, name: next.name },
      actor: by.requestedBy,
      message: `${by.requestedBy} put policy ${next.name} in force (version ${next.version})`,
      data: { version: next.version, mode: next.mode, scope: next.scope },
    });
    await wakeWaiting(tx, organization);
    return { policy: toPolicy(next), created: !row };
  });
}

/** Takes a policy out of force; its versions stay, for old decisions. */
export async function deletePolicy(
  db: Db,
  organization: string,
  name: string,
  ifMatch: IfMatch,
  by: Requester,
  validateOnly = false,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const row = await inForce(tx, organization).where('name', '=', name).forUpdate().executeTakeFirst();
    if (!row) throw new StoreError('notFound', `there is no policy ${name}`);
    checkRevision(`policy ${name}`, row.revision, ifMatch);
    if (validateOnly) return;
    await tx.updateTable('policies').set({ deleted_at: new Date() }).where('id', '=', row.id).execute();
    await appendEvent(tx, {
      type: 'policy.deleted',
      organization,
      resource: { kind: 'PlacementPolicy', id: row.id, name },
      actor: by.requestedBy,
      message: `${by.requestedBy} took policy ${name} out of force`,
    });
    await wakeWaiting(tx, organization);
  });
}
