/** The first schema. Later changes are files of their own: a migration that has shipped is never edited. */
export const sql = `
create table installation (
  id uuid primary key,                       -- the broker id in every stamp
  created_at timestamptz not null default now()
);

create table organizations (
  id uuid primary key,
  name text not null unique,
  labels jsonb not null default '{}',
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table projects (
  id uuid primary key,
  organization text not null references organizations (name),
  name text not null unique,
  labels jsonb not null default '{}',
  limits jsonb not null default '{}',
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table tokens (
  id uuid primary key,
  organization text not null references organizations (name),
  project text references projects (name),
  site text,
  name text not null,
  role text not null check (role in ('viewer', 'operator', 'admin', 'agent')),
  hash bytea not null unique,                -- SHA-256 of the secret; the secret is kept nowhere
  expires_at timestamptz,
  last_used_at timestamptz,
  revision bigint not null default 1,
  created_at timestamptz not null default now()
);

create table sites (
  id uuid primary key,
  organization text not null references organizations (name),
  name text not null unique,
  provider text not null check (provider in ('aws', 'azure', 'gcp', 'onprem')),
  labels jsonb not null default '{}',
  spec jsonb not null,
  state text not null default 'Pending',
  message text not null default '',
  last_inventory_at timestamptz,
  offers_run uuid,                           -- the run whose rows of site_offers are whole and in force
  generation bigint not null default 1,
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table hosts (
  id uuid primary key,
  site text not null references sites (name),
  name text not null,
  zone text not null,
  vcpus double precision not null,
  memory_gib double precision not null,
  disk_gib double precision not null,
  accel text not null,
  architecture text not null,
  agent_version text not null default '',
  facts jsonb not null default '{}',
  images jsonb not null default '[]',
  last_seen_at timestamptz not null default now(),
  ledger_generation bigint not null default 0,  -- grows with every claim and release; claims compare and swap on it
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (site, name)
);

create table images (
  id uuid primary key,
  organization text references organizations (name),  -- null: built in
  name text not null unique,
  labels jsonb not null default '{}',
  spec jsonb not null,
  revision bigint not null default 1,
  created_at timestamptz not null default now()
);

create table ssh_keys (
  id uuid primary key,
  project text not null references projects (name),
  name text not null,
  labels jsonb not null default '{}',
  public_key text not null,
  fingerprint text not null,
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  unique (project, name)
);

create table instances (
  id uuid primary key,
  project text not null references projects (name),
  name text not null,
  labels jsonb not null default '{}',
  spec jsonb not null,                       -- as wanted, defaults applied; no user data
  user_data text,
  status jsonb not null,
  state text not null default 'Pending',
  site text,                                 -- where it is or was last tried
  generation bigint not null default 1,
  observed_generation bigint not null default 0,
  attempt integer not null default 0,
  revision bigint not null default 1,
  expires_at timestamptz,
  absent_since timestamptz,                  -- a machine in use was looked for and not seen from then on
  deleted_at timestamptz,                    -- deletion asked for
  gone_at timestamptz,                       -- deletion done
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index instances_name on instances (project, name) where gone_at is null;
create index instances_created on instances (project, created_at, id) where gone_at is null;
create index instances_expiry on instances (expires_at) where gone_at is null and deleted_at is null and expires_at is not null;
create index instances_site on instances (site) where gone_at is null;

create table operations (
  id uuid primary key,
  organization text not null,
  project text,
  verb text not null,
  resource_kind text,
  resource_id uuid,
  resource_name text,
  generation bigint not null default 0,
  state text not null default 'Pending',
  message text not null default '',
  error jsonb,
  result jsonb,
  requested_by text not null,
  request_id text,
  cancel_requested_at timestamptz,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz
);
create index operations_created on operations (created_at desc, id desc);
create index operations_open on operations (resource_id) where state in ('Pending', 'Running');

-- The record of a machine that is about to be made, written before the provider is called. One row per attempt.
create table intents (
  resource uuid not null references instances (id),
  attempt integer not null,
  operation uuid,
  site text not null,
  region text not null,
  zone text,
  host text,
  offer jsonb not null,
  sized_for jsonb not null,                  -- the size wanted when the offer was chosen
  state text not null default 'open' check (state in ('open', 'adopted', 'removing', 'removed')),
  ref text,
  created_at timestamptz not null default now(),
  settled_at timestamptz,
  primary key (resource, attempt)
);
create index intents_live on intents (site) where state <> 'removed';

create table claims (
  resource uuid not null,
  attempt integer not null,
  site text not null,
  host text not null,
  vcpus double precision not null,
  memory_gib double precision not null,
  disk_gib double precision not null,
  created_at timestamptz not null default now(),
  primary key (resource, attempt)
);
create index claims_host on claims (site, host);

-- Offers that refused for capacity or quota, left out of placement for a while.
create table set_asides (
  id bigint generated always as identity primary key,
  site text not null,
  region text not null,
  zone text,
  host text,
  instance_type text,
  market text,
  reason text not null,
  until timestamptz not null
);
create index set_asides_until on set_asides (until);

create table decisions (
  id uuid primary key,
  project text not null,
  resource uuid,
  resource_name text,
  attempt integer,
  record jsonb not null,
  created_at timestamptz not null default now()
);
create index decisions_project on decisions (project, created_at desc, id desc);
create index decisions_resource on decisions (resource);

create table policies (
  id uuid primary key,
  organization text not null references organizations (name),
  name text not null,
  scope text not null,
  mode text not null,
  version text not null,
  source text not null,
  rules jsonb not null default '[]',
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz
);
create unique index policies_name on policies (organization, name) where deleted_at is null;

create table policy_versions (
  organization text not null,
  name text not null,
  version text not null,
  source text not null,
  created_at timestamptz not null default now(),
  primary key (organization, name, version)
);

-- Ordered by (xid, id): a reader that stops below the oldest running transaction never skips an event that commits late.
create table events (
  xid xid8 not null default pg_current_xact_id(),
  id bigint generated always as identity,
  time timestamptz not null default clock_timestamp(),
  type text not null,
  organization text not null,
  project text,
  resource_kind text,
  resource_id uuid,
  resource_name text,
  operation uuid,
  actor text not null,
  message text not null,
  data jsonb not null default '{}',
  primary key (xid, id)
);
create index events_resource on events (resource_id, xid desc, id desc);
create index events_time on events (time);

-- Events before this place have been pruned: a watch that would resume there is told 410.
create table event_horizon (
  one boolean primary key default true check (one),
  xid xid8 not null default '0',
  id bigint not null default 0
);
insert into event_horizon default values;

create table outbox (
  id bigint generated always as identity primary key,
  workflow text not null,                    -- instance | audit
  resource uuid not null,
  leased_until timestamptz,                  -- a dispatcher is delivering it
  created_at timestamptz not null default now()
);

create table inventory (
  site text not null,
  host text not null default '',
  ref text not null,
  run uuid not null,
  item jsonb not null,
  resource uuid,
  attempt integer,
  first_seen_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  primary key (site, host, ref)
);
create index inventory_resource on inventory (resource);

create table inventory_runs (
  run uuid not null,
  site text not null,
  host text not null default '',
  items integer not null default 0,
  complete boolean not null default false,
  finished boolean not null default false,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  primary key (run, site, host)
);

create table site_offers (
  site text not null,
  run uuid not null,
  offer jsonb not null
);
create index site_offers_site on site_offers (site, run);

create table idempotency_keys (
  principal uuid not null,
  key text not null,
  digest text not null,                      -- SHA-256 of method, path and body
  status integer,                            -- null while the first request is still being served
  headers jsonb,
  body jsonb,
  created_at timestamptz not null default now(),
  primary key (principal, key)
);
create index idempotency_keys_created on idempotency_keys (created_at);
`;
