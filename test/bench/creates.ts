/**
 * Instance creates with an adapter that answers at once, beside a bare Temporal workflow with as many activities on the same
 * server in the same run. `npm run bench:creates [-- creates [at-once]]`
 */
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker } from '@temporalio/worker';
import { startSimulatedEstate } from '../simulated-estate.ts';
import { percentile } from './percentile.ts';

const creates = Number(process.argv[2] ?? 300);
const atOnce = Number(process.argv[3] ?? 20);
/** decide, ensure, decide: see workflows/instance.ts. */
const activitiesOfACreate = 3;

/** Runs `count` calls, `atOnce` of them at a time; answers the milliseconds of each and of all. */
async function run(
  count: number,
  call: (n: number) => Promise<unknown>,
): Promise<{ each: number[]; all: number }> {
  const each: number[] = [];
  let next = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < count) {
        const n = next++;
        const begun = performance.now();
        await call(n);
        each.push(performance.now() - begun);
      }
    }),
  );
  return { each, all: performance.now() - started };
}

const estate = await startSimulatedEstate({
  hosts: [{ name: 'h1', vcpus: 100_000, memoryGiB: 100_000, diskGiB: 1_000_000 }],
});
const connection = await NativeConnection.connect({ address: estate.stack.temporalAddress });
const client = new Client({
  connection: await Connection.connect({ address: estate.stack.temporalAddress }),
});
const bundle = await bundleWorkflowCode({
  workflowsPath: fileURLToPath(new URL('./bare-workflow.ts', import.meta.url)),
  logger: new DefaultLogger('WARN'),
});
const worker = await Worker.create({
  connection,
  taskQueue: 'bare',
  workflowBundle: bundle,
  activities: { nothing: async () => undefined },
  maxConcurrentActivityTaskExecutions: 40,
});
const running = worker.run();

const bare = (name: string) => (n: number) =>
  client.workflow.execute('bare', {
    taskQueue: 'bare',
    workflowId: `bare-${name}-${n}`,
    args: [activitiesOfACreate],
  });
const create = (name: string) => async (n: number) => {
  const { operation } = await estate.request(`${name}-${n}`);
  const end = await estate.ended(operation, 60_000);
  if (end.state !== 'Succeeded') throw new Error(`create ${n}: ${end.message}`);
};

await run(20, bare('warm'));
await run(20, create('warm'));
// Alternating, so that what the machine does meanwhile falls on both.
const results = { bare: { each: [] as number[], all: 0 }, create: { each: [] as number[], all: 0 } };
const rounds = 3;
for (let round = 0; round < rounds; round++) {
  for (const [kind, call] of [
    ['bare', bare(`r${round}`)],
    ['create', create(`r${round}`)],
  ] as const) {
    const { each, all } = await run(Math.ceil(creates / rounds), call);
    results[kind].each.push(...each);
    results[kind].all += all;
  }
}
for (const [kind, { each, all }] of Object.entries(results)) {
  const rate = (each.length / all) * 1000;
  console.log(
    `${kind.padEnd(7)} ${each.length} done, ${atOnce} at once: ${rate.toFixed(1)}/s, p50 ${percentile(each, 50).toFixed(0)} ms, p95 ${percentile(each, 95).toFixed(0)} ms`,
  );
}
const ratio = results.create.each.length / results.create.all / (results.bare.each.length / results.bare.all);
console.log(
  `summary: creates run at ${ratio.toFixed(2)} of the rate of a bare workflow with ${activitiesOfACreate} activities (aim: at least 0.8)`,
);
worker.shutdown();
await running;
await client.connection.close();
await connection.close();
await estate.close();
process.exit(0);
