import type { Highs } from 'highs';
import { type Batch, cellOf, type Placed, ROOM } from './problem.ts';
import { Relaxation } from './relaxation.ts';
import type { Obstacle } from './rows.ts';
import { Tally } from './tally.ts';
import { standingsOf } from './together.ts';

/** Some machine is without a place if the programme says that at least this much of one is. */
const SOME = 1e-6;

/** What together keeps machines from their places; `irreducible`: without any one of it more of them would fit. */
export interface Proof {
  obstacles: Obstacle[];
  irreducible: boolean;
}

/**
 * What keeps a class from its places, as many of the others as `has` says having theirs: a set of obstacles without any one of
 * which more of it would fit (the deletion filter: Chinneck and Dravnieks, "Locating minimal infeasible constraint
 * sets in linear programs", 1991, over the relaxation). Each is tried in the order in which the programme has it, limits before hosts,
 * so that of several such sets it is the same one each time. After so many ms what was not tried stays in the set. Null: only whole
 * machines do not fit, so nothing was proven.
 */
export function conflictOf(
  highs: Highs,
  batch: Batch,
  c: number,
  has: readonly number[],
  seed: number,
  within: number,
): Proof | null {
  const until = performance.now() + within;
  const relaxation = new Relaxation(highs, batch, { unplaced: true }, seed);
  try {
    batch.classes.forEach((machines, i) => {
      relaxation.want(i, i === c ? machines.count : has[i]!);
    });
    const left = (): number => relaxation.solve()?.bound ?? 0;
    const first = relaxation.solve();
    if (first === null || first.bound <= SOME) return null;
    // What has no price in the dual solution is no part of the proof, so all of it can go at once.
    const priced = new Map(
      relaxation.priced(first.duals).map(({ obstacle }) => [`${obstacle.kind} ${obstacle.index}`, obstacle]),
    );
    relaxation.only([...priced.values()]);
    if (left() <= SOME) return null;
    const needed: Obstacle[] = [];
    let irreducible = true;
    for (const obstacle of priced.values()) {
      if (performance.now() > until) {
        needed.push(obstacle);
        irreducible = false;
        continue;
      }
      const back = relaxation.drop(obstacle);
      if (left() > SOME) continue;
      back();
      needed.push(obstacle);
    }
    return { obstacles: needed, irreducible };
  } finally {
    relaxation.dispose();
  }
}

/** What keeps a class from more places with the others where they are: at each option what is full, or else all it has to do with. */
export function obstaclesNow(batch: Batch, c: number, placed: readonly Placed[]): Obstacle[] {
  const tally = new Tally(batch);
  for (const p of placed) tally.add(p.class, p.option, p.host, p.count);
  const found = new Map<string, Obstacle>();
  const note = (kind: Obstacle['kind'], index: number): unknown =>
    found.set(`${kind} ${index}`, { kind, index });
  const { options, apart, together } = batch.classes[c]!;
  for (let option = 0; option < options.length; option++) {
    const cell = cellOf(options, option);
    const full = tally.full(c, option);
    for (const l of full.limits) note('limit', l);
    if (full.pool) note('pool', cell.pool);
    if (full.pool || full.limits.length > 0) continue;
    for (const { group } of cell.spreads) note('spread', group);
    for (const { rule } of standingsOf(apart, cell.apart)) note('apart', rule);
    for (const { rule } of standingsOf(together, cell.together)) note('together', rule);
  }
  return [...found.values()];
}

/** An obstacle for a person. */
export function wordsOf(batch: Batch, { kind, index }: Obstacle): string {
  switch (kind) {
    case 'limit':
      return batch.limits[index]!.words;
    case 'spread':
      return batch.spreads[index]!.words;
    case 'apart':
      return batch.apart[index]!.words;
    case 'together':
      return batch.together[index]!.words;
    case 'pool': {
      const { words, hosts } = batch.pools[index]!;
      const free = ROOM.map((_, d) => hosts.reduce((t, h) => t + batch.hosts[h]!.free[d]!, 0));
      const gpus = batch.classes.some((c) => c.size[3]! > 0) ? ` and ${free[3]} GPUs` : '';
      return `${words}: ${free[0]} vCPUs, ${free[1]} GiB of memory${gpus === '' ? ' and' : ','} ${free[2]} GiB of disk${gpus} free`;
    }
  }
}
