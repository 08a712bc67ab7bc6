/**
 * How long a warm `npm run up` takes to be ready, and what the whole set takes of the machine's memory, beside PostgreSQL and
 * Temporal alone, which it stands on. `npm run bench:up [-- rounds]`
 */
import { startStack } from '@landfall/tools/stack.ts';
import { Installation } from '../e2e/installation.ts';
import { memoryOf, processesOf, withDescendants } from '../e2e/processes.ts';
import { percentile } from './percentile.ts';

const rounds = Number(process.argv[2] ?? 3);
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

/** A short name for a process, from its command line. */
function nameOf(command: string): string {
  const program = /(broker|workflows|onprem-agent)\/main\.ts|tools\/(up)\.ts/.exec(command);
  if (program) return program[1] ?? 'supervisor';
  return command.split(' ')[0]!.split('/').at(-1)!.replace(/:$/, '');
}

/** PSS by program, the children of each with it. */
function memoryBy(pids: readonly { pid: number; command: string }[]): Map<string, number> {
  const sums = new Map<string, number>();
  const named = new Map(pids.map(({ pid, command }) => [pid, nameOf(command)]));
  for (const pid of withDescendants([...named.keys()])) {
    const name = named.get(pid) ?? 'postgres';
    sums.set(name, (sums.get(name) ?? 0) + memoryOf(pid).pss);
  }
  return sums;
}

const total = (sums: Map<string, number>) => [...sums.values()].reduce((sum, bytes) => sum + bytes, 0);

const installation = Installation.prepare();
const alone = Installation.prepare();
try {
  const up = async () => {
    const started = performance.now();
    const ran = await installation.npm('up', '--detach');
    if (ran.code !== 0) throw new Error(ran.text);
    return performance.now() - started;
  };
  const first = await up();
  console.log(`first start, data folder made: ${(first / 1000).toFixed(1)} s`);
  const both = { up: [] as number[], alone: [] as number[] };
  let set = 0;
  let servers = 0;
  for (let round = 0; round < rounds; round++) {
    await installation.npm('down');
    const started = performance.now();
    const stack = await startStack({
      dataDir: alone.dataDir,
      parts: ['postgres', 'temporal'],
      ports: { postgres: 0, temporal: 0 },
    });
    const took = performance.now() - started;
    // The first makes the data folder; it is the warm ones that are compared.
    if (round > 0 || rounds === 1) both.alone.push(took);
    servers = total(memoryBy(processesOf(alone.dataDir)));
    await stack.stop();
    both.up.push(await up());
    const by = memoryBy(processesOf(installation.dataDir));
    set = total(by);
    const parts = [...by].sort((a, b) => b[1] - a[1]).map(([name, bytes]) => `${name} ${mib(bytes)}`);
    console.log(
      `round ${round + 1}: up ${(both.up.at(-1)! / 1000).toFixed(1)} s; PSS ${mib(set)}: ${parts.join(', ')}`,
    );
  }
  const [whole, base] = [percentile(both.up, 50) / 1000, percentile(both.alone, 50) / 1000];
  console.log(`PostgreSQL and Temporal alone: ${base.toFixed(1)} s, PSS ${mib(servers)}`);
  console.log(
    `summary: npm run up is ready after ${whole.toFixed(1)} s (aim: < 8 s), ${(whole / base).toFixed(1)} times PostgreSQL and Temporal alone; PSS ${mib(set)} (aim: < 1229 MiB), ${(set / servers).toFixed(1)} times theirs`,
  );
} finally {
  await alone.close();
  await installation.close();
}
process.exit(0);
