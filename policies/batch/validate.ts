import {
  ALONE,
  type Batch,
  cellOf,
  domainOf,
  fitsTimes,
  type Placed,
  ROOM,
  type Room,
  shareOf,
  standing,
  takes,
  within,
} from './problem.ts';
import { astray, standingsOf } from './together.ts';

/**
 * Everything that is wrong with an answer, for a person; empty when it holds. Counts from scratch, apart from
 * the bookkeeping that made the answer: limits, host room, at most as many as wanted, anti-affinity, affinity, and spread
 * as it is in the end: in every domain that got a machine of the group at most `ceil(maxShare × all of the
 * group)`, and `min` domains in use, or every new machine in a domain of its own where they are fewer.
 */
export function brokenBy(batch: Batch, placed: readonly Placed[]): string[] {
  const broken: string[] = [];
  const count = batch.classes.map(() => 0);
  const used: number[] = [];
  const full = batch.hosts.map(() => ROOM.map(() => 0));
  const groups: Map<number, number>[] = [];
  const apart = batch.apart.map(() => new Map<number, Map<number, number>>());
  for (const p of placed) {
    const machines = batch.classes[p.class]!;
    if (!(p.option >= 0 && p.option < machines.options.length) || !Number.isInteger(p.count) || p.count < 1) {
      broken.push(`class ${p.class} has no option ${p.option}, or ${p.count} is no count`);
      continue;
    }
    const cell = cellOf(machines.options, p.option);
    count[p.class]! += p.count;
    const pool = p.host < 0 ? -1 : batch.hosts[p.host]!.pool;
    if (pool !== cell.pool) broken.push(`class ${p.class} is on a host of pool ${pool}, not ${cell.pool}`);
    if (p.host >= 0) for (const d of ROOM.keys()) full[p.host]![d]! += machines.size[d]! * p.count;
    for (const l of cell.limits)
      used[l] = (used[l] ?? 0) + takes(batch.limits[l]!, machines, p.option) * p.count;
    for (const { group, domain } of cell.spreads) {
      groups[group] ??= new Map();
      bump(groups[group], domainOf(domain, p.host), p.count);
    }
    for (const { rule, set, domain } of standingsOf(machines.apart, cell.apart)) {
      const at = domainOf(domain, p.host);
      const sets = apart[rule]!.get(at) ?? new Map<number, number>();
      apart[rule]!.set(at, sets);
      bump(sets, set, p.count);
    }
  }
  batch.classes.forEach((machines, c) => {
    if (count[c]! > machines.count) broken.push(`class ${c} has ${count[c]} machines, not ${machines.count}`);
  });
  batch.limits.forEach((limit, l) => {
    if ((used[l] ?? 0) > 0 && used[l]! > within(limit))
      broken.push(`${limit.words}: ${used[l]} is taken of ${limit.left}`);
  });
  batch.hosts.forEach((host, h) => {
    if (fitsTimes(host.free, full[h] as unknown as Room) < 1)
      broken.push(`host ${host.name} has ${host.free}, and ${full[h]} is put on it`);
  });
  batch.spreads.forEach((group, g) => {
    const here = groups[g] ?? new Map<number, number>();
    const added = [...here.values()].reduce((t, n) => t + n, 0);
    if (added === 0) return;
    const before = standing(group);
    const most = shareOf(group.maxShare, before.machines + added);
    for (const [domain, n] of here) {
      const there = n + (group.existing.get(domain) ?? 0);
      if (domain !== ALONE && there > most)
        broken.push(`${group.words}: domain ${domain} has ${there}, ${most} are allowed`);
    }
    const opened = [...here.keys()].filter((d) => d !== ALONE && (group.existing.get(d) ?? 0) === 0).length;
    const inUse = before.domains + opened + (here.get(ALONE) ?? 0);
    const wanted = Math.min(group.min, before.domains + added);
    if (inUse < wanted) broken.push(`${group.words}: ${inUse} domains are in use, not ${wanted}`);
  });
  batch.apart.forEach((rule, r) => {
    for (const [domain, sets] of apart[r]!) {
      if (domain === ALONE) continue;
      for (const [set, n] of sets)
        if (rule.alone.has(set) && n > 1) broken.push(`${rule.words}: ${n} machines share domain ${domain}`);
      for (const [a, b] of rule.pairs)
        if (a !== b && sets.has(a) && sets.has(b))
          broken.push(`${rule.words}: two kinds of machines share domain ${domain}`);
    }
  });
  // What has no option was told above.
  for (const p of astray(
    batch,
    placed.filter((each) => each.option < batch.classes[each.class]!.options.length),
  ))
    broken.push(`${p.count} machines of class ${p.class} are not beside those that affinity wants them with`);
  return broken;
}

function bump(counts: Map<number, number>, key: number, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
