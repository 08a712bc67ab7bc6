/** What a person said of the machine that is to take the place of a lost one: {image?, sshKeys?}; null of every other operation. */
export const sql = `
alter table operations add column replacement jsonb;
`;
