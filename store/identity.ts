import type { Schemas } from '@landfall/model';
import { type Selectable, sql } from 'kysely';
import type { Organizations, Projects } from './database.ts';
import { isUniqueViolation, StoreError } from './errors.ts';
import { appendEvent } from './events.ts';
import { newId } from './id.ts';
import type { Db, Queryable } from './open.ts';
import type { Requester } from './operations.ts';
import { field, type ListRules, type Paged, type PageRequest, readPage } from './pages.ts';
import { resourcesHeld } from './resources-held.ts';

type Organization = Schemas['Organization'];
type Project = Schemas['Project'];

/** A revision from If-Match, or null for `*`. */
export type IfMatch = number | null;

/** Throws `preconditionFailed` unless the revision read is the current one. */
export function checkRevision(what: string, current: number, ifMatch: IfMatch): void {
  if (ifMatch !== null && ifMatch !== current) {
    throw new StoreError(
      'preconditionFailed',
      `${what} is at revision ${current}, not ${ifMatch}: read it again`,
    );
  }
}

function toOrganization(row: Selectable<Organizations>): Organization {
  return {
    id: row.id,
    kind: 'Organization',
    name: row.name,
    labels: row.labels,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

function toProject(row: Selectable<Projects>): Project {
  return {
    id: row.id,
    kind: 'Project',
    name: row.name,
    organization: row.organization,
    labels: row.labels,
    limits: row.limits,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

/** What a token may see: null = every one. */
export interface IdentityScope {
  organization: string | null;
  project: string | null;
}

const named = (table: string): Pick<ListRules, 'order' | 'labels'> => ({
  labels: sql.ref(`${table}.labels`),
  order: {
    name: sql.ref(`${table}.name`),
    createdAt: sql.ref(`${table}.created_at`),
    id: sql.ref(`${table}.id`),
  },
});

export async function listOrganizations(
  db: Db,
  scope: IdentityScope,
  page: PageRequest,
): Promise<Paged<Organization>> {
  let query = db.selectFrom('organizations').selectAll();
  if (scope.organization !== null) query = query.where('name', '=', scope.organization);
  const rules: ListRules = {
    list: 'organizations',
    fields: { name: field('name') },
    ...named('organizations'),
    defaultOrder: 'name',
  };
  return readPage(query, rules, page, toOrganization);
}

export async function getOrganization(db: Queryable, name: string): Promise<Organization> {
  const row = await db.selectFrom('organizations').selectAll().where('name', '=', name).executeTakeFirst();
  if (!row) throw new StoreError('notFound', `there is no organization ${name}`);
  return toOrganization(row);
}

export async function createOrganization(
  db: Db,
  input: Schemas['OrganizationInput'],
  by: Requester,
  validateOnly = false,
): Promise<Organization> {
  const taken = new StoreError('conflict', `there is already an organization named ${input.name}`, '/name');
  try {
    return await db.transaction().execute(async (tx) => {
      const values = { id: newId(), name: input.name, labels: JSON.stringify(input.labels ?? {}) };
      if (validateOnly) {
        if (
          await tx.selectFrom('organizations').select('id').where('name', '=', input.name).executeTakeFirst()
        )
          throw taken;
        const now = new Date();
        return toOrganization({
          ...values,
          labels: input.labels ?? {},
          revision: 1,
          created_at: now,
          updated_at: now,
        });
      }
      const row = await tx
        .insertInto('organizations')
        .values(values)
        .returningAll()
        .executeTakeFirstOrThrow();
      await appendEvent(tx, {
        type: 'organization.created',
        organization: input.name,
        resource: { kind: 'Organization', id: row.id, name: row.name },
        actor: by.requestedBy,
        message: `${by.requestedBy} created organization ${row.name}`,
      });
      return toOrganization(row);
    });
  } catch (error) {
    throw isUniqueViolation(error) ? taken : error;
  }
}

/** Deletes one without projects and sites, with its tokens, images and policies. */
export async function deleteOrganization(
  db: Db,
  name: string,
  ifMatch: IfMatch,
  by: Requester,
  validateOnly = false,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const row = await tx
      .selectFrom('organizations')
      .selectAll()
      .where('name', '=', name)
      .forUpdate()
      .executeTakeFirst();
    if (!row) throw new StoreError('notFound', `there is no organization ${name}`);
    checkRevision(`organization ${name}`, row.revision, ifMatch);
    if (by.organization === name)
      throw new StoreError(
        'conflict',
        `the token in use belongs to organization ${name}: delete it with a token of another`,
      );
    const projects = await tx
      .selectFrom('projects')
      .select('name')
      .where('organization', '=', name)
      .orderBy('name')
      .limit(5)
      .execute();
    const sites = await tx
      .selectFrom('sites')
      .select('name')
      .where('organization', '=', name)
      .orderBy('name')
      .limit(5)
      .execute();
    const left = [
      ...projects.map((each) => `project ${each.name}`),
      ...sites.map((each) => `site ${each.name}`),
    ];
    if (left.length > 0)
      throw new StoreError('conflict', `organization ${name} still has ${left.join(', ')}`);
    if (validateOnly) return;
    await tx.deleteFrom('tokens').where('organization', '=', name).execute();
    await tx.deleteFrom('images').where('organization', '=', name).execute();
    await tx.deleteFrom('policies').where('organization', '=', name).execute();
    await tx.deleteFrom('organizations').where('id', '=', row.id).execute();
    await appendEvent(tx, {
      type: 'organization.deleted',
      organization: name,
      resource: { kind: 'Organization', id: row.id, name },
      actor: by.requestedBy,
      message: `${by.requestedBy} deleted organization ${name}`,
    });
  });
}

export async function listProjects(db: Db, scope: IdentityScope, page: PageRequest): Promise<Paged<Project>> {
  let query = db.selectFrom('projects').selectAll();
  if (scope.organization !== null) query = query.where('organization', '=', scope.organization);
  if (scope.project !== null) query = query.where('name', '=', scope.project);
  const fields = { name: field('name'), organization: field('organization') };
  return readPage(
    query,
    { list: 'projects', fields, ...named('projects'), defaultOrder: 'name' },
    page,
    toProject,
  );
}

/** Null where there is none. */
export async function findProject(db: Queryable, name: string): Promise<Project | null> {
  const row = await db.selectFrom('projects').selectAll().where('name', '=', name).executeTakeFirst();
  return row ? toProject(row) : null;
}

export async function createProject(
  db: Db,
  input: Schemas['ProjectInput'] & { organization: string },
  by: Requester,
  validateOnly = false,
): Promise<Project> {
  const taken = new StoreError('conflict', `there is already a project named ${input.name}`, '/name');
  try {
    return await db.transaction().execute(async (tx) => {
      const organization = await tx
        .selectFrom('organizations')
        .select('id')
        .where('name', '=', input.organization)
        .executeTakeFirst();
      if (!organization)
        throw new StoreError('invalid', `there is no organization ${input.organization}`, '/organization');
      const kept = { id: newId(), name: input.name, organization: input.organization };
      if (validateOnly) {
        if (await findProject(tx, input.name)) throw taken;
        const now = new Date();
        return toProject({
          ...kept,
          labels: input.labels ?? {},
          limits: input.limits ?? {},
          revision: 1,
          created_at: now,
          updated_at: now,
        });
      }
      const row = await tx
        .insertInto('projects')
        .values({
          ...kept,
          labels: JSON.stringify(input.labels ?? {}),
          limits: JSON.stringify(input.limits ?? {}),
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      await appendEvent(tx, {
        type: 'project.created',
        organization: row.organization,
        project: row.name,
        resource: { kind: 'Project', id: row.id, name: row.name },
        actor: by.requestedBy,
        message: `${by.requestedBy} created project ${row.name}`,
      });
      return toProject(row);
    });
  } catch (error) {
    throw isUniqueViolation(error) ? taken : error;
  }
}

/** Deletes a project without instances and keys, with its tokens and the rows of instances that are gone. */
export async function deleteProject(
  db: Db,
  name: string,
  ifMatch: IfMatch,
  by: Requester,
  validateOnly = false,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const row = await tx
      .selectFrom('projects')
      .selectAll()
      .where('name', '=', name)
      .forUpdate()
      .executeTakeFirst();
    if (!row) throw new StoreError('notFound', `there is no project ${name}`);
    checkRevision(`project ${name}`, row.revision, ifMatch);
    const instances = await tx
      .selectFrom('instances')
      .select('name')
      .where('project', '=', name)
      .where((each) =>
        each.or([
          each('gone_at', 'is', null),
          each.exists(
            each
              .selectFrom('intents')
              .select('attempt')
              .whereRef('intents.resource', '=', 'instances.id')
              .where('intents.state', '<>', 'removed'),
          ),
        ]),
      )
      .orderBy('name')
      .limit(5)
      .execute();
    const keys = await tx
      .selectFrom('ssh_keys')
      .select('name')
      .where('project', '=', name)
      .orderBy('name')
      .limit(5)
      .execute();
    const left = [
      ...instances.map((each) => `instance ${each.name}`),
      ...(await resourcesHeld(tx, { project: name })),
      ...keys.map((each) => `SSH key ${each.name}`),
    ];
    if (left.length > 0) throw new StoreError('conflict', `project ${name} still has ${left.join(', ')}`);
    if (validateOnly) return;
    const gone = tx.selectFrom('instances').select('id').where('project', '=', name);
    await tx.deleteFrom('intents').where('resource', 'in', gone).execute();
    await tx.deleteFrom('instances').where('project', '=', name).execute();
    const goneToo = tx.selectFrom('resources').select('id').where('project', '=', name);
    await tx.deleteFrom('resource_intents').where('resource', 'in', goneToo).execute();
    await tx.deleteFrom('resources').where('project', '=', name).execute();
    await tx.deleteFrom('tokens').where('project', '=', name).execute();
    await tx.deleteFrom('projects').where('id', '=', row.id).execute();
    await appendEvent(tx, {
      type: 'project.deleted',
      organization: row.organization,
      project: name,
      resource: { kind: 'Project', id: row.id, name },
      actor: by.requestedBy,
      message: `${by.requestedBy} deleted project ${name}`,
    });
  });
}
