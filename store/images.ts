import type { Image, Schemas } from '@landfall/model';
import { type Selectable, sql } from 'kysely';
import type { Images } from './database.ts';
import { isUniqueViolation, StoreError } from './errors.ts';
import { appendEvent } from './events.ts';
import { newId } from './id.ts';
import { checkRevision, type IfMatch } from './identity.ts';
import type { Db, Queryable } from './open.ts';
import type { Requester } from './operations.ts';
import { field, type ListRules, type Paged, type PageRequest, readPage } from './pages.ts';

function toImage(row: Selectable<Images>): Image {
  return {
    id: row.id,
    kind: 'Image',
    name: row.name,
    ...(row.organization === null ? {} : { organization: row.organization }),
    labels: row.labels,
    ...row.spec,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
  };
}

/** The organization's images and the built-in ones, which belong to none. */
function visible(db: Queryable, organization: string) {
  return db
    .selectFrom('images')
    .selectAll()
    .where((each) => each.or([each('organization', '=', organization), each('organization', 'is', null)]));
}

export async function listImages(db: Db, organization: string, page: PageRequest): Promise<Paged<Image>> {
  const rules: ListRules = {
    list: 'images',
    fields: { name: field('name'), organization: field('organization') },
    labels: sql.ref('labels'),
    order: { name: sql.ref('name'), createdAt: sql.ref('created_at'), id: sql.ref('id') },
    defaultOrder: 'name',
  };
  return readPage(visible(db, organization), rules, page, toImage);
}

/** Null where the organization sees none of this name. */
export async function findImage(db: Queryable, organization: string, name: string): Promise<Image | null> {
  const row = await visible(db, organization).where('name', '=', name).executeTakeFirst();
  return row ? toImage(row) : null;
}

/** Names of the images the organization sees, for did-you-mean. */
export async function imageNames(db: Queryable, organization: string): Promise<string[]> {
  return (await visible(db, organization).orderBy('name').execute()).map((row) => row.name);
}

export async function createImage(
  db: Db,
  input: Schemas['ImageInput'] & { organization: string },
  by: Requester,
  validateOnly = false,
): Promise<Image> {
  const taken = new StoreError('conflict', `there is already an image named ${input.name}`, '/name');
  const { name, organization, labels, ...spec } = input;
  try {
    return await db.transaction().execute(async (tx) => {
      const id = newId();
      if (validateOnly) {
        if (await tx.selectFrom('images').select('id').where('name', '=', name).executeTakeFirst())
          throw taken;
        return toImage({
          id,
          name,
          organization,
          labels: labels ?? {},
          spec,
          revision: 1,
          created_at: new Date(),
        });
      }
      const row = await tx
        .insertInto('images')
        .values({ id, name, organization, labels: JSON.stringify(labels ?? {}), spec: JSON.stringify(spec) })
        .returningAll()
        .executeTakeFirstOrThrow();
      await appendEvent(tx, {
        type: 'image.created',
        organization,
        resource: { kind: 'Image', id, name },
        actor: by.requestedBy,
        message: `${by.requestedBy} added image ${name}`,
      });
      return toImage(row);
    });
  } catch (error) {
    throw isUniqueViolation(error) ? taken : error;
  }
}

/** Forgets an image of the organization; a built-in one stays. */
export async function deleteImage(
  db: Db,
  organization: string,
  name: string,
  ifMatch: IfMatch,
  by: Requester,
  validateOnly = false,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const row = await visible(tx, organization).where('name', '=', name).forUpdate().executeTakeFirst();
    if (!row) throw new StoreError('notFound', `there is no image ${name}`);
    checkRevision(`image ${name}`, row.revision, ifMatch);
    if (row.organization === null) throw new StoreError('conflict', `image ${name} is built in and stays`);
    if (validateOnly) return;
    await tx.deleteFrom('images').where('id', '=', row.id).execute();
    await appendEvent(tx, {
      type: 'image.deleted',
      organization,
      resource: { kind: 'Image', id: row.id, name },
      actor: by.requestedBy,
      message: `${by.requestedBy} removed image ${name}`,
    });
  });
}

/** Makes the images that come with Landfall what this version says of them; an organization's image of the name stays. */
export async function ensureBuiltInImages(
  db: Queryable,
  images: readonly Omit<Schemas['ImageInput'], 'organization'>[],
): Promise<void> {
  for (const { name, labels, ...spec } of images) {
    await db
      .insertInto('images')
      .values({
        id: newId(),
        name,
        organization: null,
        labels: JSON.stringify(labels ?? {}),
        spec: JSON.stringify(spec),
      })
      .onConflict((conflict) =>
        conflict
          .column('name')
          .doUpdateSet({ spec: JSON.stringify(spec), revision: sql<number>`images.revision + 1` })
          .where('images.organization', 'is', null)
          .where(sql<boolean>`images.spec <> excluded.spec`),
      )
      .execute();
  }
}
