/** Approvals that placements wait for, and the ledger of what limits and rules about other machines count. */
export const sql = `
create table approvals (
  id uuid primary key,
  organization text not null,
  project text not null,
  resource uuid not null references instances (id),
  resource_name text not null,
  generation bigint not null,                -- the wanted state that is to be approved
  operation uuid,
  requested_by jsonb not null,               -- names of everybody whose change it is; none of them may approve
  policy text not null,
  rule text not null,
  approvers jsonb not null,                  -- the rule's \`by\`: any one of them
  message text,
  offer jsonb not null,
  decision uuid,
  state text not null default 'Pending' check (state in ('Pending', 'Approved', 'Rejected', 'Expired', 'Superseded')),
  reason text,
  decided_by text,
  requested_at timestamptz not null default now(),
  expires_at timestamptz not null,
  decided_at timestamptz
);
create unique index approvals_pending on approvals (resource, policy, rule) where state = 'Pending';
create index approvals_resource on approvals (resource, generation);
create index approvals_requested on approvals (organization, requested_at desc, id desc);

-- One row per group that a limit, or a rule about other machines, counts: the transaction that last added to it. Whoever
-- placed on a count that does not yet have that transaction in it must count again.
create table ledger_groups (
  organization text not null,
  key text not null,
  xid xid8 not null,
  primary key (organization, key)
);

-- The transaction that last changed what rules see of a machine: whoever has read the machines reads on from there.
create function note_change() returns trigger language plpgsql as $$
begin
  new.changed := pg_current_xact_id();
  return new;
end $$;
alter table intents add column changed xid8 not null default pg_current_xact_id();
alter table instances add column changed xid8 not null default pg_current_xact_id();
create index intents_changed on intents (changed);
create index instances_changed on instances (changed);
create trigger intents_note_change before update on intents for each row execute function note_change();
create trigger instances_note_change before update of labels, state, spec on instances for each row
  when (old.labels is distinct from new.labels or old.state is distinct from new.state or old.spec is distinct from new.spec)
  execute function note_change();
`;
