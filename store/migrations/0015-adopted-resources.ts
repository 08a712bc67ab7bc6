/** Resources of the other kinds that existed before they were ours, and such that Landfall lets go of: as 0007 and 0010 are for instances. */
export const sql = `
alter table resources add column adopted text;
alter table resources add column releasing boolean not null default false;
create unique index resources_adopted on resources (site, kind, adopted) where adopted is not null and gone_at is null;
alter table resource_intents add column released boolean not null default false;
`;
