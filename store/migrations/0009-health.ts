/** What the last event said of a host's and an on-prem site's health: the next event is written when it is otherwise. */
export const sql = `
alter table hosts add column state text not null default 'Ready' check (state in ('Ready', 'Unreachable'));
update hosts set state = 'Unreachable' where last_seen_at <= now() - interval '30 seconds';
update sites set state = case
    when not exists (select 1 from hosts where hosts.site = sites.name) then 'Pending'
    when exists (select 1 from hosts where hosts.site = sites.name and hosts.state = 'Ready') then 'Ready'
    else 'Unavailable'
  end
 where provider = 'onprem';
`;
