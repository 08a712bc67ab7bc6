import { LinearProgramme, loadHighs } from './linear.ts';
import { solveWhole, type WholeTask } from './whole.ts';

/** Market split: a few equations over many binaries, which branch and bound takes very long over (Cornuéjols and Dawande, 1998). */
function task(rows: number, nodeLimit: number): WholeTask {
  const p = new LinearProgramme();
  let state = 7;
  const next = (): number => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state % 100;
  };
  const columns = Array.from({ length: 10 * (rows - 1) }, () => Array.from({ length: rows }, next));
  for (let r = 0; r < rows; r++) {
    const half = Math.floor(columns.reduce((t, c) => t + c[r]!, 0) / 2);
    p.row(half, half);
  }
  for (const column of columns)
    p.column(
      0,
      0,
      1,
      true,
      column.flatMap((value, r) => [r, value]),
    );
  for (let r = 0; r < rows; r++) {
    p.column(1, 0, 1e6, false, [r, 1]);
    p.column(1, 0, 1e6, false, [r, -1]);
  }
  return { model: p.wholeData(), gap: 0, nodeLimit, seed: 1 };
}

describe('solving for whole numbers', () => {
  it('gives better solutions as they come and ends at the node limit, with a bound', async () => {
    const costs: number[] = [];
    const { model } = task(4, 50);
    const { values, bound } = solveWhole(await loadHighs(), task(4, 50), (found) => {
      costs.push(found.reduce((t, x, j) => t + x * model.colCost![j]!, 0));
      return false;
    });
    expect(costs.length).toBeGreaterThan(1);
    for (const [i, cost] of costs.entries()) if (i > 0) expect(cost).toBeLessThan(costs[i - 1]!);
    expect(values!.reduce((t, x, j) => t + x * model.colCost![j]!, 0)).toBeCloseTo(costs.at(-1)!, 6);
    expect(bound).toBeGreaterThanOrEqual(-1e-6);
    expect(bound).toBeLessThanOrEqual(costs.at(-1)! + 1e-6);
  });

  it('ends when told that a solution is enough, however many nodes are left', async () => {
    let given = 0;
    const { values } = solveWhole(await loadHighs(), task(6, 1_000_000), () => ++given === 1);
    expect(given).toBe(1);
    expect(values).not.toBeNull();
  });
});
