import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { percentile } from './percentile.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes in use, garbage not counted. */
async function inUse(): Promise<number> {
  await setImmediate();
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** One of two ways of doing the same. */
export interface Way {
  name: string;
  /** @returns what it found or made, which is held while the memory is looked at. */
  run(): Promise<readonly unknown[]>;
}

/** What one way took. Times are medians in milliseconds: `cpu` of this thread alone, `wall` as a clock sees it. */
export interface Took {
  cpu: number;
  wall: number;
}

/**
 * Two ways of doing the same, in turns, so that a busy machine is as unkind to both, each once before that counts. Prints what each took, its calls, and
 * the MiB that its answer holds; then how many times the first way's processor time the second takes.
 * @param calls how many calls there were so far.
 */
export async function beside(
  title: string,
  ways: readonly [Way, Way],
  calls: () => number | Promise<number>,
  rounds = 7,
): Promise<[Took, Took]> {
  console.log(title);
  const facts: string[] = [];
  for (const { run } of ways) {
    await run();
    facts.push(await factsOf(run, calls));
  }
  const times = ways.map((): { cpu: number[]; wall: number[] } => ({ cpu: [], wall: [] }));
  for (let round = 0; round < rounds; round += 1)
    for (const [at, { run }] of ways.entries()) {
      collectGarbage();
      const wall = performance.now();
      const cpu = process.threadCpuUsage();
      await run();
      const { user, system } = process.threadCpuUsage(cpu);
      times[at]?.cpu.push((user + system) / 1000);
      times[at]?.wall.push(performance.now() - wall);
    }
  const took = times.map(({ cpu, wall }) => ({ cpu: percentile(cpu, 50), wall: percentile(wall, 50) }));
  const [first, second] = took as [Took, Took];
  for (const [at, { name }] of ways.entries())
    console.log(
      `  ${name.padEnd(9)} processor ${took[at]?.cpu.toFixed(0)} ms, clock ${took[at]?.wall.toFixed(0)} ms (medians of ${rounds}), ${facts[at]}`,
    );
  console.log(
    `  the ${ways[1].name} takes ${(second.cpu / first.cpu).toFixed(2)} times the processor time of the ${ways[0].name}`,
  );
  return [first, second];
}

/** In a function of its own, so that nothing else still holds what was found before. */
async function factsOf(run: Way['run'], calls: () => number | Promise<number>): Promise<string> {
  const before = await inUse();
  const callsBefore = await calls();
  const held = await run();
  const made = (await calls()) - callsBefore;
  const mib = ((await inUse()) - before) / 2 ** 20;
  return `${held.length} objects, ${made} calls, ${mib.toFixed(1)} MiB held`;
}

/** How the time grew between the smallest and the largest of these sizes. */
export function tellGrowth(sizes: readonly number[], took: readonly [Took, Took][]): void {
  const [from, to] = [took[0], took.at(-1)];
  if (!from || !to || sizes.length < 2) return;
  const [bare, ours] = [to[0].cpu / from[0].cpu, to[1].cpu / from[1].cpu];
  console.log(
    `from ${sizes[0]} to ${sizes.at(-1)} the processor time grows ${bare.toFixed(1)} times with the bare SDK, ${ours.toFixed(1)} times with the adapter`,
  );
}
