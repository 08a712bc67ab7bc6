import type { Schemas } from '@landfall/model';
import { type Selectable, sql } from 'kysely';
import type { Tokens } from './database.ts';
import { StoreError } from './errors.ts';
import { appendEvent } from './events.ts';
import { newId } from './id.ts';
import { checkRevision, findProject, type IdentityScope, type IfMatch } from './identity.ts';
import type { Db, Queryable } from './open.ts';
import type { Requester } from './operations.ts';
import { field, type ListRules, type Paged, type PageRequest, readPage } from './pages.ts';

type Token = Schemas['Token'];

function toToken(row: Selectable<Tokens>): Token {
  return {
    id: row.id,
    kind: 'Token',
    name: row.name,
    role: row.role,
    organization: row.organization,
    project: row.project,
    site: row.site,
    expiresAt: row.expires_at?.toISOString() ?? null,
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
  };
}

export async function listTokens(db: Db, scope: IdentityScope, page: PageRequest): Promise<Paged<Token>> {
  let query = db.selectFrom('tokens').selectAll();
  if (scope.organization !== null) query = query.where('organization', '=', scope.organization);
  if (scope.project !== null) query = query.where('project', '=', scope.project);
  const rules: ListRules = {
    list: 'tokens',
    fields: {
      name: field('name'),
      role: field('role', 'text', ['viewer', 'operator', 'admin', 'agent']),
      organization: field('organization'),
      project: field('project'),
      site: field('site'),
    },
    order: { name: sql.ref('name'), createdAt: sql.ref('created_at'), id: sql.ref('id') },
    defaultOrder: 'createdAt',
  };
  return readPage(query, rules, page, toToken);
}

function tokenQuery(db: Queryable, scope: IdentityScope, id: string) {
  let query = db.selectFrom('tokens').selectAll().where('id', '=', id);
  if (scope.organization !== null) query = query.where('organization', '=', scope.organization);
  if (scope.project !== null) query = query.where('project', '=', scope.project);
  return query;
}

export async function getToken(db: Queryable, scope: IdentityScope, id: string): Promise<Token> {
  const row = await tokenQuery(db, scope, id).executeTakeFirst();
  if (!row) throw new StoreError('notFound', `there is no token ${id}`);
  return toToken(row);
}

export interface NewToken {
  name: string;
  role: Schemas['Role'];
  organization: string;
  project: string | null;
  site: string | null;
  expiresAt: Date | null;
  /** SHA-256 of the secret; the secret itself is kept nowhere. */
  hash: Buffer;
}

/** Keeps a token's hash. A project or site that is not the organization's is `invalid`. */
export async function createToken(
  db: Db,
  token: NewToken,
  by: Requester,
  validateOnly = false,
): Promise<Token> {
  return db.transaction().execute(async (tx) => {
    const organization = await tx
      .selectFrom('organizations')
      .select('id')
      .where('name', '=', token.organization)
      .executeTakeFirst();
    if (!organization)
      throw new StoreError('invalid', `there is no organization ${token.organization}`, '/organization');
    if (token.project !== null) {
      const project = await findProject(tx, token.project);
      if (project?.organization !== token.organization)
        throw new StoreError(
          'invalid',
          `organization ${token.organization} has no project ${token.project}`,
          '/project',
        );
    }
    if (token.site !== null) {
      const site = await tx
        .selectFrom('sites')
        .select('organization')
        .where('name', '=', token.site)
        .executeTakeFirst();
      if (site?.organization !== token.organization)
        throw new StoreError(
          'invalid',
          `organization ${token.organization} has no site ${token.site}`,
          '/site',
        );
    }
    const { expiresAt, ...rest } = token;
    const values = { ...rest, id: newId(), expires_at: expiresAt };
    if (validateOnly) return toToken({ ...values, revision: 1, last_used_at: null, created_at: new Date() });
    const row = await tx.insertInto('tokens').values(values).returningAll().executeTakeFirstOrThrow();
    await appendEvent(tx, {
      type: 'token.created',
      organization: row.organization,
      project: row.project,
      resource: { kind: 'Token', id: row.id, name: row.name },
      actor: by.requestedBy,
      message: `${by.requestedBy} created token ${row.name} with role ${row.role}`,
    });
    return toToken(row);
  });
}

export async function deleteToken(
  db: Db,
  scope: IdentityScope,
  id: string,
  ifMatch: IfMatch,
  by: Requester,
  validateOnly = false,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const row = await tokenQuery(tx, scope, id).forUpdate().executeTakeFirst();
    if (!row) throw new StoreError('notFound', `there is no token ${id}`);
    checkRevision(`token ${id}`, row.revision, ifMatch);
    if (validateOnly) return;
    await tx.deleteFrom('tokens').where('id', '=', id).execute();
    await appendEvent(tx, {
      type: 'token.revoked',
      organization: row.organization,
      project: row.project,
      resource: { kind: 'Token', id: row.id, name: row.name },
      actor: by.requestedBy,
      message: `${by.requestedBy} revoked token ${row.name}`,
    });
  });
}

/** The token with this hash, expired or not; null where there is none. */
export async function findTokenByHash(db: Queryable, hash: Buffer): Promise<Token | null> {
  const row = await db.selectFrom('tokens').selectAll().where('hash', '=', hash).executeTakeFirst();
  return row ? toToken(row) : null;
}

/** Notes that a token was used, at most once a minute. */
export async function touchToken(db: Db, id: string): Promise<void> {
  await db
    .updateTable('tokens')
    .set({ last_used_at: sql`now()` })
    .where('id', '=', id)
    .where(sql<boolean>`coalesce(last_used_at, '-infinity') < now() - interval '1 minute'`)
    .execute();
}
