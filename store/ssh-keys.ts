import { createHash } from 'node:crypto';
import type { Schemas, SshKey } from '@landfall/model';
import { type Selectable, sql } from 'kysely';
import type { SshKeys } from './database.ts';
import { isUniqueViolation, StoreError } from './errors.ts';
import { appendEvent } from './events.ts';
import { newId } from './id.ts';
import { checkRevision, type IfMatch } from './identity.ts';
import type { Db, Queryable } from './open.ts';
import type { Requester } from './operations.ts';
import { field, type ListRules, type Paged, type PageRequest, readPage } from './pages.ts';

function toSshKey(row: Selectable<SshKeys>): SshKey {
  return {
    id: row.id,
    kind: 'SshKey',
    name: row.name,
    project: row.project,
    labels: row.labels,
    publicKey: row.public_key,
    fingerprint: row.fingerprint,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
  };
}

/** OpenSSH's SHA-256 fingerprint of a one-line public key. Throws `invalid` where the key's inside is not what it says. */
export function fingerprintOf(publicKey: string): string {
  const [type, encoded] = publicKey.split(' ') as [string, string];
  const blob = Buffer.from(encoded, 'base64');
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : -1;
  if (length < 0 || blob.subarray(4, 4 + length).toString('latin1') !== type) {
    throw new StoreError('invalid', `is not a public key of type ${type}: was it cut?`, '/publicKey');
  }
  // Every type's blob is a row of length-prefixed fields and nothing after them.
  for (let at = 0; at < blob.length; ) {
    const size = at + 4 <= blob.length ? blob.readUInt32BE(at) : blob.length;
    at += 4 + size;
    if (at > blob.length) throw new StoreError('invalid', 'ends too early: was it cut?', '/publicKey');
  }
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

const isId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

function keyQuery(db: Queryable, project: string, idOrName: string) {
  return db
    .selectFrom('ssh_keys')
    .selectAll()
    .where('project', '=', project)
    .where(isId(idOrName) ? 'id' : 'name', '=', idOrName);
}

export async function listSshKeys(db: Db, project: string, page: PageRequest): Promise<Paged<SshKey>> {
  const rules: ListRules = {
    list: `sshKeys of ${project}`,
    fields: { name: field('name'), fingerprint: field('fingerprint') },
    labels: sql.ref('labels'),
    order: { name: sql.ref('name'), createdAt: sql.ref('created_at'), id: sql.ref('id') },
    defaultOrder: 'name',
  };
  return readPage(
    db.selectFrom('ssh_keys').selectAll().where('project', '=', project),
    rules,
    page,
    toSshKey,
  );
}

export async function getSshKey(db: Queryable, project: string, idOrName: string): Promise<SshKey> {
  const row = await keyQuery(db, project, idOrName).executeTakeFirst();
  if (!row) throw new StoreError('notFound', `there is no SSH key ${idOrName} in project ${project}`);
  return toSshKey(row);
}

/** Names of the project's keys. */
export async function sshKeyNames(db: Queryable, project: string): Promise<string[]> {
  const rows = await db
    .selectFrom('ssh_keys')
    .select('name')
    .where('project', '=', project)
    .orderBy('name')
    .execute();
  return rows.map((row) => row.name);
}

export async function createSshKey(
  db: Db,
  project: string,
  input: Schemas['SshKeyInput'],
  by: Requester,
  validateOnly = false,
): Promise<SshKey> {
  const taken = new StoreError(
    'conflict',
    `project ${project} already has an SSH key named ${input.name}`,
    '/name',
  );
  const fingerprint = fingerprintOf(input.publicKey);
  try {
    return await db.transaction().execute(async (tx) => {
      const kept = { id: newId(), project, name: input.name, public_key: input.publicKey, fingerprint };
      if (validateOnly) {
        if (await keyQuery(tx, project, input.name).executeTakeFirst()) throw taken;
        return toSshKey({ ...kept, labels: input.labels ?? {}, revision: 1, created_at: new Date() });
      }
      const row = await tx
        .insertInto('ssh_keys')
        .values({ ...kept, labels: JSON.stringify(input.labels ?? {}) })
        .returningAll()
        .executeTakeFirstOrThrow();
      await appendEvent(tx, {
        type: 'sshKey.created',
        organization: by.organization,
        project,
        resource: { kind: 'SshKey', id: row.id, name: row.name },
        actor: by.requestedBy,
        message: `${by.requestedBy} added SSH key ${row.name} (${fingerprint})`,
      });
      return toSshKey(row);
    });
  } catch (error) {
    throw isUniqueViolation(error) ? taken : error;
  }
}

export async function deleteSshKey(
  db: Db,
  project: string,
  idOrName: string,
  ifMatch: IfMatch,
  by: Requester,
  validateOnly = false,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const row = await keyQuery(tx, project, idOrName).forUpdate().executeTakeFirst();
    if (!row) throw new StoreError('notFound', `there is no SSH key ${idOrName} in project ${project}`);
    checkRevision(`SSH key ${row.name}`, row.revision, ifMatch);
    if (validateOnly) return;
    await tx.deleteFrom('ssh_keys').where('id', '=', row.id).execute();
    await appendEvent(tx, {
      type: 'sshKey.deleted',
      organization: by.organization,
      project,
      resource: { kind: 'SshKey', id: row.id, name: row.name },
      actor: by.requestedBy,
      message: `${by.requestedBy} removed SSH key ${row.name}`,
    });
  });
}
