import type { Tx } from './open.ts';
import { wordsOf } from './resource-kinds.ts';

/** Resources that are not gone from a project, a site, or a host of one, as people read them; at most ten. */
export async function resourcesHeld(
  tx: Tx,
  where: { project: string } | { site: string; host?: string },
): Promise<string[]> {
  const rows = await tx
    .selectFrom('resources')
    .select(['kind', 'name', 'project'])
    .where((eb) =>
      'project' in where
        ? eb('project', '=', where.project)
        : eb.exists(
            eb
              .selectFrom('resource_intents as n')
              .select('n.attempt')
              .whereRef('n.resource', '=', 'resources.id')
              .where('n.site', '=', where.site)
              .where('n.state', '<>', 'removed')
              .$if(where.host !== undefined, (query) => query.where('n.host', '=', where.host!)),
          ),
    )
    .$if('project' in where, (query) => query.where('gone_at', 'is', null))
    .orderBy('kind')
    .orderBy('name')
    .limit(10)
    .execute();
  return rows.map(
    ({ kind, name, project }) =>
      `${wordsOf[kind]} ${name}${'project' in where ? '' : ` of project ${project}`}`,
  );
}
