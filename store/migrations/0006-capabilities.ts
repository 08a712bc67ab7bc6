/** What each site's adapter says it can do; of an on-prem site its hosts' agents say it. */
export const sql = `
alter table sites add column capabilities jsonb not null default '[]';  -- [{kind, verbs: {verb: true | {reason}}}]
alter table sites add column facts jsonb not null default '{}';
alter table hosts add column capabilities jsonb not null default '[]';
`;
