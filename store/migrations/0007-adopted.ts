/** Instances that existed before they were ours: by what reference their provider knows them. One of each at a time. */
export const sql = `
alter table instances add column adopted text;
create unique index instances_adopted on instances (site, adopted) where adopted is not null and gone_at is null;
`;
