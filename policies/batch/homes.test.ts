import { loadSnapshot } from '../catalogue/snapshot.ts';
import { parsePolicy } from '../file/parse.ts';
import { compilePolicies } from '../place/compiled.ts';
import { NEUTRAL_REQUEST } from '../place/types.ts';
import { atHome, homesOf, standTogether, withoutTogether } from './homes.ts';
import { housed } from './housed.ts';
import { loadHighs } from './linear.ts';
import { placeBatch } from './place-batch.ts';
import { type Batch, type Cell, scoreOf } from './problem.ts';
import { Relaxation } from './relaxation.ts';
import { solveHere } from './solve.ts';
import { bruteForce, randomBatch } from './testing/random-batches.ts';
import type { BatchDecision } from './types.ts';
import { brokenBy } from './validate.ts';

/** A small batch whose classes are in two sets, each to stand in one of three domains; `apart`: some options are where the rule has no say. */
function together(seed: number, apart = false): Batch {
  const batch = randomBatch(seed, {
    classes: 4,
    count: 2,
    clouds: 5,
    hosts: 0,
    ownPools: true,
    scarcity: 0.4,
  });
  const at = (cell: Cell, k: number): Cell => ({
    ...cell,
    together: [{ rule: 0, domain: k % 3, held: !(apart && (k + seed) % 4 === 0) }],
  });
  const cells = new Map<readonly Cell[], Cell[]>();
  const classes = batch.classes.map((machines, c) => {
    const own = cells.get(machines.options.cells) ?? machines.options.cells.map(at);
    cells.set(machines.options.cells, own);
    return {
      ...machines,
      options: { ...machines.options, cells: own },
      together: new Map([[0, [c % 2, -1] as const]]),
    };
  });
  const set = (own: number) => ({ beside: [own], existing: new Set<number>(), mayBeFirst: true });
  return { ...batch, classes, together: [{ words: 'together', sets: [set(0), set(1)] }] };
}

describe('homes of machines that are to be together', () => {
  it.each([false, true])(
    'have a bound that no answer is below, and often is the best (apart: %s)',
    async (apart) => {
      const highs = await loadHighs();
      let [seen, tighter, met, held] = [0, 0, 0, 0];
      for (let seed = 0; seed < 100; seed++) {
        const batch = together(seed, apart);
        expect(standTogether(batch)).toBe(true);
        const best = bruteForce(batch);
        if (best.unplaced > 0) continue;
        const relaxation = new Relaxation(highs, withoutTogether(batch), { unplaced: false, most: 0 }, 1);
        batch.classes.forEach((machines, c) => {
          for (let k = 0; k < machines.options.length; k++) relaxation.include(c, k);
        });
        const relaxed = relaxation.solve()!;
        const homes = homesOf(batch, (c, k) => relaxation.reducedAtLeast(c, k, relaxed.duals));
        relaxation.dispose();
        if (homes === null) continue;
        seen++;
        if (homes.dearer > 1e-6) tighter++;
        expect(relaxed.bound + homes.dearer).toBeLessThan(best.score + 1e-6);
        if (relaxed.bound + homes.dearer > best.score - 1e-6) met++;
        const home = atHome(batch, homes);
        solveHere(highs, home.batch, { gap: 0, nodeLimit: 2000, seed: 1 }, ({ placed, unplaced, score }) => {
          expect(brokenBy(batch, home.back(placed))).toEqual([]);
          if (unplaced === 0 && Math.abs(score - best.score) < 1e-6) held++;
        });
      }
      expect(seen).toBeGreaterThan(20);
      expect(tighter).toBeGreaterThan(apart ? -1 : 4);
      expect(met).toBeGreaterThan(apart ? 2 : 10);
      expect(held).toBeGreaterThan(10);
    },
  );

  it.each([false, true])(
    'chosen with all else have a bound that no answer is below, and mostly is the best (apart: %s)',
    async (apart) => {
      const highs = await loadHighs();
      let [seen, met, held] = [0, 0, 0];
      for (let seed = 0; seed < 100; seed++) {
        const batch = together(seed, apart);
        const best = bruteForce(batch);
        const found = best.unplaced > 0 ? null : housed(highs, batch, 1);
        if (found === null) continue;
        seen++;
        expect(found.bound).toBeLessThan(best.score + 1e-6);
        if (found.bound > best.score - 1e-6) met++;
        const all = batch.classes.reduce((t, c) => t + c.count, 0);
        if (found.placed.reduce((t, p) => t + p.count, 0) < all || brokenBy(batch, found.placed).length > 0)
          continue;
        if (scoreOf(batch, found.placed) < best.score + 1e-6) held++;
      }
      expect(seen).toBeGreaterThan(30);
      expect(met / seen).toBeGreaterThan(0.4);
      expect(held / seen).toBeGreaterThan(apart ? 0.3 : 0.6);
    },
  );

  it('leave each class the limits of its own project', () => {
    const batch = together(1);
    const [first, second] = batch.classes;
    const cells = first!.options.cells.map((cell) => ({ ...cell, limits: [] }));
    const other = { ...first!, options: { ...first!.options, cells } };
    const home = atHome(
      { ...batch, classes: [first!, other, second!] },
      {
        of: new Map([
          ['0/0', 0],
          ['0/1', 0],
        ]),
      },
    );
    expect(home.batch.classes[0]!.options.cells).toBe(first!.options.cells);
    expect(home.batch.classes[1]!.options.cells).toBe(cells);
  });

  it('have a large batch answered with all of it placed, each team in one region, and a gap that is told', async () => {
    const rules = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: teams}
spec:
  rules:
  - {name: no-gpu, when: request.gpuCount == 0, deny: offer.gpuCount > 0}
  - {name: region, quota: {group: [provider, region], resource: vcpu, limit: 900}}
  - {name: near, affinity: {to: resource.labels.team == request.labels.team, by: region}}
`;
    const requests = Array.from({ length: 1200 }, (_, i) => ({
      request: {
        ...NEUTRAL_REQUEST,
        name: `vm-${i}`,
        labels: { team: `team-${i % 40}` },
        vcpus: 1 + (i % 5),
        memoryGiB: 2 + Math.floor(i / 40),
      },
      count: 1,
    }));
    const decisions: BatchDecision[] = [];
    const input = {
      requests,
      catalogue: loadSnapshot(),
      sites: [],
      policies: compilePolicies(parsePolicy(rules, 'teams.yaml').policies),
      setAside: [],
      includeUnconfigured: true,
    };
    for await (const decision of placeBatch(input, { gap: 0.05 })) decisions.push(decision);
    const last = decisions.at(-1)!;
    expect(last).toMatchObject({ unplaced: [], classes: 1200, method: 'lp' });
    // With each set where it is cheapest by itself it was 3.6%.
    expect(last.gap).toBeLessThan(0.02);
    const regions = new Map<string, Set<string>>();
    for (const { request, offer } of last.placements) {
      const team = `team-${request % 40}`;
      regions.set(team, (regions.get(team) ?? new Set<string>()).add(`${offer.provider}/${offer.region}`));
    }
    expect([...regions.values()].map((at) => at.size)).toEqual(new Array(40).fill(1));
  }, 60_000);
});
