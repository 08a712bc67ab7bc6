/**
 * Since when an intent is to be removed: until then calls could make something under it, which may not be to be seen for a while.
 * Null of an intent that is not, and of one that was to be removed before this.
 */
export const sql = `
alter table intents add column removing_at timestamptz;
alter table resource_intents add column removing_at timestamptz;
`;
