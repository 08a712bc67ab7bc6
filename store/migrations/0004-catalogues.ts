/** Price lists, their refreshes, and the catalogues that decisions used; docs/catalogue.md. */
export const sql = `
create table price_lists (
  id uuid primary key,
  organization text not null references organizations (name) on delete cascade,
  name text not null,
  provider text not null check (provider in ('aws', 'azure', 'gcp')),
  origin text not null check (origin in ('import', 'live')),
  date text not null default '',             -- of the prices, ISO; '' while there are none
  offers integer not null default 0,
  left_out jsonb not null default '[]',      -- [{reason, count}]
  run uuid,                                  -- changes with the content; null while there is none
  content bytea,                             -- an encoded catalogue of these offers alone, zstd
  failure text,                              -- why the last refresh changed nothing
  failed_at timestamptz,
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (organization, name)
);

-- What a refresh was asked for; its state is the operation's.
create table price_refreshes (
  operation uuid primary key references operations (id) on delete cascade,
  organization text not null,
  providers jsonb not null,
  regions jsonb not null default '[]'        -- empty: every region known
);

-- Pages read so far of a refresh under way, so that it goes on after a restart; deleted at its end.
create table price_pages (
  operation uuid not null references price_refreshes (operation) on delete cascade,
  provider text not null,
  number integer not null,
  content bytea not null,
  resume text,                               -- where the next page is; null after the last
  primary key (operation, provider, number)
);

-- Whole catalogues that were in force, so that an old decision can be explained again.
create table catalogues (
  id uuid primary key,
  organization text not null references organizations (name) on delete cascade,
  version text not null,
  date text not null,
  offers integer not null,
  sources jsonb not null,
  content bytea not null,                    -- an encoded catalogue, zstd
  created_at timestamptz not null default now(),
  in_force_at timestamptz not null default now(),  -- last noted, every few hours
  unique (organization, version)
);
create index catalogues_created on catalogues (organization, created_at desc, id desc);
create index decisions_catalogue on decisions ((record #>> '{catalogue,version}'));
`;
