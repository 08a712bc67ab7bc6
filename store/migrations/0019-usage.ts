/** Machines that run when the account begins: it begins then for them, since nobody wrote down what was before. */
export const accountFromNow = `
insert into usage_intervals (instance, project, site, provider, region, instance_type, price_per_hour, currency, started_at)
select id, project, status->>'site', status->>'provider', status->>'region', status->>'instanceType',
       (status->>'pricePerHour')::numeric, status->>'currency', now()
  from instances
 where gone_at is null and absent_since is null
   and status ?& array['externalReference', 'site', 'provider', 'region', 'instanceType', 'pricePerHour', 'currency']
   and (state in ('Provisioning', 'Starting', 'Running', 'Stopping', 'Rebooting')
        or state in ('Resizing', 'Deleting', 'Releasing') and coalesce(spec->>'power', 'running') = 'running');
`;

/**
 * What machines cost, from when to when; docs/spend.md. A trigger keeps it, so that whoever writes an instance's status keeps
 * it too, in the same transaction.
 */
export const sql = `
create table usage_intervals (
  id bigint generated always as identity primary key,
  instance uuid not null references instances (id) on delete cascade,
  project text not null,
  site text not null,
  provider text not null,
  region text not null,
  instance_type text not null,
  price_per_hour numeric not null,
  currency text not null,
  started_at timestamptz not null,
  ended_at timestamptz check (ended_at >= started_at)  -- null: it runs now
);
create unique index usage_open on usage_intervals (instance) where ended_at is null;
create index usage_instance on usage_intervals (instance);
create index usage_project on usage_intervals (project, ended_at);

create function keep_usage() returns trigger language plpgsql as $$
declare
  at timestamptz := clock_timestamp();  -- changes of a row come one after the other, and their transactions' starts need not
  open usage_intervals;
  costs boolean;
begin
  select * into open from usage_intervals where instance = new.id and ended_at is null;
  costs := new.gone_at is null
    and new.status ?& array['externalReference', 'site', 'provider', 'region', 'instanceType', 'pricePerHour', 'currency']
    and case
      when new.state in ('Provisioning', 'Starting', 'Running') then open.id is not null or new.absent_since is null
      -- One that was stopped or lost before costs nothing while it is resized or removed.
      when new.state in ('Stopping', 'Rebooting', 'Resizing', 'Deleting', 'Releasing') then open.id is not null
      else false
    end;
  if open.id is not null then
    if costs and (open.site, open.provider, open.region, open.instance_type, open.price_per_hour, open.currency)
        = (new.status->>'site', new.status->>'provider', new.status->>'region', new.status->>'instanceType',
           (new.status->>'pricePerHour')::numeric, new.status->>'currency') then
      return null;
    end if;
    -- One that is not there any more went when it was first not seen.
    update usage_intervals
       set ended_at = greatest(started_at, case when costs then at else least(at, new.absent_since) end)
     where id = open.id;
  end if;
  if costs then
    insert into usage_intervals
      (instance, project, site, provider, region, instance_type, price_per_hour, currency, started_at)
    values (new.id, new.project, new.status->>'site', new.status->>'provider', new.status->>'region',
            new.status->>'instanceType', (new.status->>'pricePerHour')::numeric, new.status->>'currency', at);
  end if;
  return null;
end $$;

create trigger keep_usage_of_new after insert on instances
  for each row when (new.status ? 'externalReference') execute function keep_usage();
create trigger keep_usage after update of state, status, absent_since, gone_at on instances
  for each row when (
    old.state <> new.state or old.gone_at is distinct from new.gone_at or old.absent_since is distinct from new.absent_since
    or old.status->'externalReference' is distinct from new.status->'externalReference'
    or old.status->'pricePerHour' is distinct from new.status->'pricePerHour'
    or old.status->'currency' is distinct from new.status->'currency'
    or old.status->'instanceType' is distinct from new.status->'instanceType'
    or old.status->'site' is distinct from new.status->'site'
    or old.status->'provider' is distinct from new.status->'provider'
    or old.status->'region' is distinct from new.status->'region')
  execute function keep_usage();
${accountFromNow}`;
