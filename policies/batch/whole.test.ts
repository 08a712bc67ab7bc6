import { LinearProgramme } from './linear.ts';
import { solveWhole, type WholeMessage, type WholeTask } from './whole.ts';

const threads = (): number => process.getActiveResourcesInfo().filter((r) => r === 'MessagePort').length;

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

describe('solving in a worker thread', () => {
  it('yields better solutions and ends at the node limit, with a bound and the thread gone', async () => {
    const before = threads();
    const messages: WholeMessage[] = [];
    for await (const message of solveWhole(task(4, 50))) messages.push(message);
    const last = messages.at(-1)!;
    expect(last.kind).toBe('ended');
    expect(messages.some((m) => m.kind === 'improved')).toBe(true);
    expect(last.kind === 'ended' && last.bound !== null && last.bound >= -1e-6).toBe(true);
    expect(threads()).toBe(before);
  });

  it('ends the thread when the loop is left', async () => {
    const before = threads();
    for await (const message of solveWhole(task(6, 1_000_000))) {
      expect(message.kind).toBe('improved');
      expect(threads()).toBeGreaterThan(before);
      break;
    }
    expect(threads()).toBe(before);
  });

  it('ends the thread and throws the reason when the signal comes', async () => {
    const before = threads();
    const wish = new AbortController();
    const run = async (): Promise<void> => {
      for await (const _ of solveWhole(task(6, 1_000_000), wish.signal)) wish.abort(new Error('cancelled'));
    };
    await expect(run()).rejects.toThrow('cancelled');
    expect(threads()).toBe(before);
  });
});
