/** Turns to ask a provider are an account's, whichever of its sites asks. What was counted by site before is a fraction of a second. */
export const sql = `
truncate site_calls;
alter table site_calls rename to account_calls;
alter table account_calls rename column site to account;
`;
