import type { Operation } from '@landfall/model';
import { sql } from 'kysely';
import { requestChange } from './instances.ts';
import type { Db, Queryable } from './open.ts';

/** A machine that is not as it is wanted, as whole lists of its site show it. */
export interface Drifted {
  id: string;
  organization: string;
  /** For people: what is to be seen, and what is wanted. */
  reason: string;
}

/** Who asks for repairs. */
export const repairer = 'landfall (repair)';

/**
 * Machines that a sweep has found to be otherwise than wanted, and whose workflow nothing has woken. Not among them: what has
 * an operation open, or had one that ended after the lists were begun; and what could not be repaired in the last `pauseMs`.
 * @param places the (site, host) whose lists were whole: elsewhere absence means nothing.
 * @param listedFrom when the lists were begun: what was made or changed after it may not be in them.
 */
export async function driftedInstances(
  db: Queryable,
  places: readonly { site: string; host: string }[],
  listedFrom: Date,
  pauseMs: number,
): Promise<Drifted[]> {
  const keys = places.map(({ site, host }) => `${site}/${host}`);
  const { rows } = await sql<Drifted>`
    with seen as (
      select i.id, p.organization, i.state, coalesce(i.spec->>'power', 'running') as wanted, n.ref, n.site, n.resource is not null as has_machine,
             v.ref is not null as is_listed, coalesce(v.item->'details'->>'power', v.item->>'power') as power,
             v.item->'details'->'interrupted'->>'reason' as interrupted,
             coalesce(n.site || '/' || coalesce(n.host, '') = any(${keys}), false) as is_told,
             (select row(o.state, o.verb) = row('Failed', 'repair') and o.error->>'type' not like '%/not-approved'
                from operations o where o.resource_id = i.id order by o.created_at desc, o.id desc limit 1) as was_left
        from instances i
        join projects p on p.name = i.project
        left join intents n on n.resource = i.id and n.state <> 'removed'
        left join inventory v on v.resource = i.id and v.attempt = n.attempt and v.site = n.site
                             and not (v.item->>'child')::boolean
       where i.gone_at is null and i.deleted_at is null
         and not exists (select from operations o where o.resource_id = i.id
                            and (o.state in ('Pending', 'Running') or o.finished_at > ${listedFrom}
                              or (o.verb = 'repair' and o.state = 'Failed'
                                  and o.finished_at > now() - make_interval(secs => ${pauseMs / 1000}))))
    ), told as (
      select id, organization, case
        when not has_machine and was_left and wanted = 'running'
          then 'it has no machine, and is wanted'
        when not (has_machine and is_told) then null
        when is_listed and state = 'Lost' then format('its machine %s is to be seen at %s again', ref, site)
        when state = 'Lost' then null
        when not is_listed then format('its machine %s is not to be seen at %s', ref, site)
        when interrupted is not null and wanted = 'running'
          then format('%s took its machine %s away (%s)', site, ref, interrupted)
        when power = 'stopped' and wanted = 'running'
          then format('its machine %s at %s is stopped, and is wanted running', ref, site)
        when power = 'running' and wanted = 'stopped'
          then format('its machine %s at %s runs, and is wanted stopped', ref, site)
        end as reason
        from seen)
    select id, organization, reason from told where reason is not null order by id`.execute(db);
  return rows;
}

/**
 * Wakes the workflow of a machine that has drifted, by an operation of its own. Null where something else does already: an
 * operation was begun, or the machine is to go.
 */
export async function requestRepair(db: Db, drifted: Drifted): Promise<Operation | null> {
  return db.transaction().execute(async (tx) => {
    const row = await tx
      .selectFrom('instances')
      .selectAll()
      .where('id', '=', drifted.id)
      .where('gone_at', 'is', null)
      .where('deleted_at', 'is', null)
      .forUpdate()
      .executeTakeFirst();
    const open = await tx
      .selectFrom('operations')
      .select('id')
      .where('resource_id', '=', drifted.id)
      .where('state', 'in', ['Pending', 'Running'])
      .executeTakeFirst();
    if (!row || open) return null;
    const by = { organization: drifted.organization, requestedBy: repairer };
    return requestChange(
      tx,
      row,
      by,
      'repair',
      `${repairer} repairs instance ${row.name}: ${drifted.reason}`,
    );
  });
}
