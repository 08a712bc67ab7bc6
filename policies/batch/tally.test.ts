import { seeded } from '../testing/random-cases.ts';
import { greedy } from './fill.ts';
import { cellOf } from './problem.ts';
import { Tally } from './tally.ts';
import { randomBatch } from './testing/random-batches.ts';
import { astray } from './together.ts';

test('machines that come while there is room for them, and go while nobody needs them, are never astray', () => {
  let [moves, stayed] = [0, 0];
  for (let seed = 0; seed < 300; seed++) {
    const shape = { classes: 4, count: 3, clouds: 4, hosts: 2, ownPools: true, scarcity: 2, together: true };
    const batch = randomBatch(seed, shape);
    const { sets } = batch.together[0]!;
    // Two that are each to be with the other may hold each other up: what runs in circles is told at the end.
    if (sets[0]!.beside!.includes(1) && sets[1]!.beside!.includes(0)) continue;
    const tally = new Tally(batch);
    const next = seeded(seed);
    const int = (n: number): number => Math.floor(next() * n);
    for (let step = 0; step < 60; step++) {
      const placed = tally.placed();
      if (placed.length > 0 && next() < 0.4) {
        const p = placed[int(placed.length)]!;
        if (!tally.mayGo(p)) stayed++;
        else tally.add(p.class, p.option, p.host, -1);
      } else {
        const c = int(batch.classes.length);
        const { options } = batch.classes[c]!;
        if (options.length === 0) continue;
        const option = int(options.length);
        const { pool } = cellOf(options, option);
        const host = pool < 0 ? -1 : batch.pools[pool]!.hosts[0]!;
        const room = tally.room(c, option, host);
        tally.add(c, option, host, Math.min(room, 1 + int(2)));
      }
      moves++;
      expect(astray(batch, tally.placed())).toEqual([]);
    }
  }
  expect(moves).toBeGreaterThan(5000);
  expect(stayed).toBeGreaterThan(300);
});

test('what the books say of a move, and of the one limit in its way, is what making it finds', () => {
  let [could, not, one] = [0, 0, 0];
  for (let seed = 0; seed < 200; seed++) {
    const batch = randomBatch(seed, {
      classes: 4,
      count: 3,
      clouds: 5,
      hosts: 0,
      ownPools: true,
      scarcity: 0.4,
    });
    const tally = greedy(batch);
    for (const p of tally.placed())
      for (let option = 0; option < batch.classes[p.class]!.options.length; option++) {
        const { limits } = tally.full(p.class, option);
        expect(tally.onlyFull(p.class, option)).toBe(limits.length === 1 ? limits[0] : -1);
        if (limits.length === 1) one++;
        const said = tally.couldMove(p, option);
        tally.add(p.class, p.option, p.host, -1);
        expect(said).toBe(tally.couldTake(p.class, option));
        tally.add(p.class, p.option, p.host, 1);
        if (said) could++;
        else not++;
      }
  }
  expect(could).toBeGreaterThan(1000);
  expect(not).toBeGreaterThan(300);
  expect(one).toBeGreaterThan(300);
});
