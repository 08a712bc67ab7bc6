/**
 * Turns. Of projects: whose each wake-up is, so that the outbox is drained by turns of the projects; '' is what is of no
 * project. Of calls: when a site's account may be asked next, for a limit of calls a second over all workers. That table is
 * unlogged: what a crash of the database forgets is a fraction of a second, and a call need not wait for a disk.
 */
export const sql = `
alter table outbox add column project text not null default '';
update outbox set project = i.project from instances i where i.id = outbox.resource;
update outbox set project = r.project from resources r where r.id = outbox.resource;
create index outbox_turns on outbox (project, id);

create unlogged table site_calls (
  site text primary key,
  next_at timestamptz not null
);
`;
