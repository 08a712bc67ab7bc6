import type { Schemas } from '@landfall/model';
import { sql } from 'kysely';
import type { Db, Queryable } from './open.ts';

type Capability = Schemas['Capability'];

/** Keeps what the adapter of a cloud site says of itself. The revision grows only where that changes something. */
export async function keepDescription(
  db: Db,
  site: string,
  { capabilities, facts }: { capabilities: Capability[]; facts: Record<string, string> },
): Promise<void> {
  const said = { capabilities: JSON.stringify(capabilities), facts: JSON.stringify(facts) };
  await db
    .updateTable('sites')
    .set((eb) => ({ ...said, revision: eb('revision', '+', 1), updated_at: new Date() }))
    .where('name', '=', site)
    .where(
      sql<boolean>`(capabilities, facts) is distinct from (${said.capabilities}::jsonb, ${said.facts}::jsonb)`,
    )
    .execute();
}

/**
 * Whether a site can do this with resources of this kind, or why not. Of an on-prem site its hosts say it: `host` alone where
 * it is given, else any that can. Undefined where nobody has said anything of it yet, and of a site that is not there.
 */
export async function siteCapability(
  db: Queryable,
  site: string,
  host: string | null,
  kind: string,
  verb: string,
): Promise<true | { reason: string } | undefined> {
  const row = await db
    .selectFrom('sites')
    .select(['provider', 'capabilities'])
    .where('name', '=', site)
    .executeTakeFirst();
  if (!row) return undefined;
  const said = row.provider === 'onprem' ? await hostCapabilities(db, site, host) : row.capabilities;
  return said.find((one) => one.kind === kind)?.verbs[verb];
}

/** What the hosts of an on-prem site can together, or one of them alone. */
export async function hostCapabilities(
  db: Queryable,
  site: string,
  host: string | null = null,
): Promise<Capability[]> {
  let hosts = db.selectFrom('hosts').select('capabilities').where('site', '=', site);
  if (host !== null) hosts = hosts.where('name', '=', host);
  const kinds = new Map<string, Capability>();
  for (const { capabilities } of await hosts.orderBy('name').execute())
    for (const { kind, verbs } of capabilities) {
      const known = kinds.get(kind)?.verbs ?? {};
      const merged = Object.entries(verbs).map(([verb, can]) => [
        verb,
        can === true ? can : (known[verb] ?? can),
      ]);
      kinds.set(kind, { kind, verbs: { ...known, ...Object.fromEntries(merged) } });
    }
  return [...kinds.values()];
}
