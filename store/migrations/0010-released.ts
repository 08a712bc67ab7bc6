/**
 * Instances that Landfall lets go of: they go as by a deletion, and their machines stay. What still carries a released attempt's
 * stamp, in a list that is behind, is nobody's to remove.
 */
export const sql = `
alter table instances add column releasing boolean not null default false;
alter table intents add column released boolean not null default false;
`;
