import { imageUrlError, imageUrlSecret } from '@landfall/model/image-sources.ts';
import { siteCapability } from './capabilities.ts';
import type { ResourceKind, ResourceSpec } from './database.ts';
import { StoreError } from './errors.ts';
import type { Tx } from './open.ts';
import { adapterKinds, wordsOf } from './resource-kinds.ts';

/** The verbs of the adapter that a new resource of this spec needs, each with the field that asks for it. */
function verbsFor(kind: ResourceKind, { snapshot, attachedTo, from }: ResourceSpec): [string, string][] {
  const made: [string, string] =
    kind === 'CustomImage'
      ? [from?.instance ? 'publish' : from?.snapshot ? 'fromSnapshot' : 'import', '/spec/from']
      : kind === 'Volume' && snapshot !== undefined
        ? ['restore', '/spec/snapshot']
        : ['create', '/spec/site'];
  return attachedTo === undefined ? [made] : [made, ['attach', '/spec/attachedTo']];
}

/**
 * Sees that the site can make what is asked for, before anything is made. Throws `invalid` with the site's own reason. A site
 * that has not said yet what it can is asked nothing: it refuses by itself.
 */
export async function checkCapability(
  tx: Tx,
  place: { site: string; host: string | null },
  kind: ResourceKind,
  spec: ResourceSpec,
): Promise<void> {
  for (const [verb, pointer] of verbsFor(kind, spec)) {
    const can = await siteCapability(tx, place.site, place.host, adapterKinds[kind], verb);
    if (can !== undefined && can !== true)
      throw new StoreError(
        'invalid',
        `site ${place.site} cannot ${verb} this ${wordsOf[kind]}: ${can.reason}`,
        pointer,
      );
  }
}

/**
 * Sees that an image can be imported from the URL that it names: that its site reads it, and that it holds no secret. Throws
 * `invalid`, whose words never repeat the URL.
 */
export async function checkImport(tx: Tx, site: string, { from }: ResourceSpec): Promise<void> {
  if (!from?.url) return;
  const row = await tx.selectFrom('sites').select('provider').where('name', '=', site).executeTakeFirst();
  const wrong = imageUrlSecret(from.url.url) ?? (row && imageUrlError(row.provider, from.url));
  if (wrong) throw new StoreError('invalid', wrong.message, `/spec/from/url/${wrong.field}`);
}
