/** Machines whose own request keeps others away: few or none, and asked for with each placement. */
export const sql = `
create index instances_own_rules on instances (project)
 where gone_at is null and spec @? '$.placement.rules[*].antiAffinity';
`;
