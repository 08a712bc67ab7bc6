import { memo } from '../memo.ts';
import { domainOf, groupName, machineValue } from '../place/groups.ts';
import { type LimitClause, machineUse, withinLimit } from '../place/limits.ts';
import { largestShare, type NeighbourClause } from '../place/neighbours.ts';
import { inWrongCompany } from './company.ts';
import { type Found, type Together, unknownDomain } from './finding.ts';

/** What a rule about several machines says of each; yields as it goes. */
export function* judgeTogether(
  clause: LimitClause | NeighbourClause,
  together: Together,
): Generator<void, Found> {
  switch (clause.effect) {
    case 'budget':
    case 'quota':
      return overLimit(clause, together);
    case 'spread':
      return unspread(clause, together);
    case 'affinity':
    case 'antiAffinity':
      return yield* inWrongCompany(clause, together);
  }
}

function overLimit(clause: LimitClause, { inOrder, requestOf }: Together): Found {
  const found: Found = new Map();
  const sums = new Map<string, number>();
  const unit = clause.effect === 'budget' ? `USD/${clause.per}` : clause.resource;
  for (const machine of inOrder) {
    const values = clause.group.map((key) => machineValue(machine, key));
    const name = groupName(values);
    const used = sums.get(name) ?? 0;
    const takes = machineUse(clause, machine);
    if (requestOf(machine) && !withinLimit({ limit: clause.limit, used, takes })) {
      const group = clause.group.map((key, i) => `${key}=${values[i]}`).join(', ');
      const detail = `${group} would use ${figure(used + takes)} of ${figure(clause.limit)} ${unit} with it`;
      found.set(machine.id, { error: false, detail });
    } else sums.set(name, used + takes);
  }
  return found;
}

/** At most four digits after the point. */
function figure(x: number): string {
  return String(Number(x.toFixed(4)));
}

function unspread(
  clause: Extract<NeighbourClause, { effect: 'spread' }>,
  { inOrder, requestOf }: Together,
): Found {
  const found: Found = new Map();
  const groups = new Map<string, { machines: number; domains: number; byDomain: Map<string, number> }>();
  for (const machine of inOrder) {
    const domain = domainOf(machine, clause.by);
    if (domain === null) {
      if (requestOf(machine)) found.set(machine.id, unknownDomain(clause.by));
      continue;
    }
    const name = groupName(clause.group.map((key) => machineValue(machine, key)));
    const group = memo(groups, name, () => ({
      machines: 0,
      domains: 0,
      byDomain: new Map<string, number>(),
    }));
    const there = typeof domain === 'string' ? (group.byDomain.get(domain) ?? 0) : 0;
    const crowded =
      (group.domains < clause.min && there > 0) ||
      there + 1 > largestShare(clause.maxShare, group.machines + 1);
    if (crowded && requestOf(machine)) {
      const detail = `${there} of its group of ${group.machines + 1} stand in ${clause.by} ${String(domain)} before it`;
      found.set(machine.id, { error: false, detail });
      continue;
    }
    group.machines++;
    if (there === 0) group.domains++;
    if (typeof domain === 'string') group.byDomain.set(domain, there + 1);
  }
  return found;
}
