import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type AwsSite, awsSite } from './aws-site.ts';
import { type Estate, startEstate } from './estate-with.ts';
import { oneMachine, removeFully } from './outcomes.ts';

/** R1 on AWS with a worker that really dies: SIGKILL between the provider's doing and our knowing. */
let site: AwsSite;
let estate: Estate;
let worker: ChildProcess | undefined;

function startWorker(): void {
  const program = fileURLToPath(new URL('./site-process.ts', import.meta.url));
  const { temporalAddress, databaseUrl } = estate.stack;
  worker = spawn(
    process.execPath,
    [program, temporalAddress, databaseUrl, estate.broker, site.wire.endpoint],
    { stdio: 'ignore' },
  );
}

async function killWorker(): Promise<void> {
  if (!worker) return;
  const dying = worker;
  worker = undefined;
  const dead = once(dying, 'exit');
  dying.kill('SIGKILL');
  await dead;
}

beforeAll(async () => {
  site = await awsSite(undefined, false);
  estate = await startEstate([site]);
}, 300_000);
afterAll(async () => {
  await killWorker();
  await estate?.close();
  await site?.close();
}, 60_000);

test('R1: a worker killed after the provider made the machine, and again after it took the removal, leaves one machine and then none', async () => {
  startWorker();
  const killed: string[] = [];
  const kill = (when: string) => async () => {
    await killWorker();
    killed.push(when);
    startWorker();
  };
  site.wire.next('RunInstances', { kind: 'answered', meanwhile: kill('made') });
  site.wire.next('TerminateInstances', { kind: 'answered', meanwhile: kill('removed') });
  const { id, operation } = await estate.request(site, 'killed');
  expect(await estate.ended(operation, 60_000)).toMatchObject({ state: 'Succeeded' });
  await oneMachine(estate, site, id, 1);
  expect(killed).toEqual(['made']);
  // Adopted by its stamp, not asked for again.
  expect(site.calls('RunInstances', id)).toHaveLength(1);
  await removeFully(estate, site, 'killed', id);
  expect(killed).toEqual(['made', 'removed']);
}, 120_000);
