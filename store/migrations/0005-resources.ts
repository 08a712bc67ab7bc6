/** Resources of every kind but Instance, each beside its own intents; and which network an instance is in. */
export const sql = `
create table resources (
  id uuid primary key,
  kind text not null check (kind in ('Volume', 'Snapshot', 'Network', 'Firewall', 'Address', 'CustomImage')),
  project text not null references projects (name),
  name text not null,
  labels jsonb not null default '{}',
  spec jsonb not null,                       -- as wanted, defaults applied
  status jsonb not null,
  state text not null default 'Pending',
  refers_to uuid[] not null default '{}',    -- resources and instances that its spec names
  site text,                                 -- where it is or was last tried
  generation bigint not null default 1,
  observed_generation bigint not null default 0,
  attempt integer not null default 0,
  revision bigint not null default 1,
  absent_since timestamptz,                  -- it was ready, was looked for and not seen from then on
  deleted_at timestamptz,                    -- deletion asked for
  gone_at timestamptz,                       -- deletion done
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index resources_name on resources (kind, project, name) where gone_at is null;
create index resources_created on resources (project, kind, created_at, id) where gone_at is null;
create index resources_refers_to on resources using gin (refers_to) where gone_at is null;
create index resources_site on resources (site) where gone_at is null;

-- As intents, for the other kinds: written before the provider is called, one row per attempt.
create table resource_intents (
  resource uuid not null references resources (id),
  attempt integer not null,
  kind text not null,                        -- the adapters' word for it
  site text not null,
  region text not null,
  zone text,
  host text,
  state text not null default 'open' check (state in ('open', 'adopted', 'removing', 'removed')),
  ref text,
  created_at timestamptz not null default now(),
  settled_at timestamptz,
  primary key (resource, attempt)
);
create index resource_intents_live on resource_intents (site) where state <> 'removed';

alter table instances add column network uuid references resources (id);
create index instances_network on instances (network) where gone_at is null and network is not null;
`;
