/**
 * What was done at the providers, step by step, each with its calls: an operation's timeline. Found by the resource and the time of the
 * operation, because a step is taken for all that is open then.
 */
export const sql = `
create table operation_steps (
  id bigint generated always as identity primary key,
  resource uuid not null,
  attempt integer not null,
  step text not null,
  try integer not null,
  site text not null,
  started_at timestamptz not null,
  finished_at timestamptz not null default now(),
  failed text,
  calls jsonb not null,
  calls_left_out integer not null default 0
);
create index operation_steps_resource on operation_steps (resource, finished_at);
`;
