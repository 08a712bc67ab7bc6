/**
 * The class of data of volumes, snapshots and images that are there already, as new ones get it: that of what they were made from,
 * else of the instance they are attached to. What is named is older, so one pass is enough.
 */
export const inheritDataClasses = `
do $$
declare
  one record;
  class text;
begin
  for one in select id, refers_to from resources
              where kind in ('Volume', 'Snapshot', 'CustomImage') and not spec ? 'dataClass'
              order by created_at, id loop
    select named.class into class from (
      select spec->>'dataClass' as class, 1 as rank from resources where id = any(one.refers_to)
      union all
      select spec->>'dataClass', 2 from instances where id = any(one.refers_to)) named
     where named.class <> '' order by rank limit 1;
    if class is not null then
      update resources set spec = spec || jsonb_build_object('dataClass', class) where id = one.id;
    end if;
  end loop;
end $$;
`;

/** Violations of what is no machine; docs/compliance.md. */
export const sql = `
alter table violations drop constraint violations_resource_fkey;
alter table violations add column resource_kind text not null default 'Instance';
${inheritDataClasses}`;
