/** Machines found against a rule of a policy; docs/compliance.md. */
export const sql = `
create table violations (
  id uuid primary key,
  organization text not null,
  project text not null,
  resource uuid not null references instances (id),
  resource_name text not null,
  policy text not null,
  rule text not null,
  policy_version text not null,
  line integer not null,
  mode text not null check (mode in ('enforce', 'audit', 'dryRun')),
  effect text not null,
  message text not null,
  owner text not null,
  state text not null check (state in ('Open', 'Acknowledged', 'Waived', 'Resolved')),
  exception jsonb,                           -- the exception that waives it: owner, reason, expires
  acknowledged jsonb,                        -- by, at, reason
  action text not null check (action in ('report', 'approve', 'replace', 'stop')),
  action_state text not null default 'None' check (action_state in ('None', 'Held', 'Requested', 'Done', 'Pending', 'Approved', 'Rejected')),
  action_message text not null default '',
  operation uuid,                            -- the stop that was asked for
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  resolved_at timestamptz
);
-- One at a time; when it comes back after it was resolved, it is a new one.
create unique index violations_standing on violations (resource, policy, rule) where resolved_at is null;
create index violations_first_seen on violations (organization, first_seen_at desc, id desc);
create index violations_resource on violations (resource);
create index violations_resolved on violations (resolved_at) where resolved_at is not null;

-- An approval is asked for a request, or to re-place a machine found against a rule.
alter table approvals add column violation uuid references violations (id) on delete cascade;
drop index approvals_pending;
create unique index approvals_pending on approvals (resource, policy, rule) where state = 'Pending' and violation is null;
create unique index approvals_pending_violation on approvals (violation) where state = 'Pending';
`;
