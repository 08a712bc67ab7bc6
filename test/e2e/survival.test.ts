/** `npm run up` and `npm run down` as a user does them, and what survives: a stop, a kill -9, a power cut in the middle of a create. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Instance, Operation } from '@landfall/model';
import { readRecord, type SupervisorRecord } from '@landfall/tools/data-directory.ts';
import { choosePort } from '@landfall/tools/ports.ts';
import { eventually, Installation, type Ran } from './installation.ts';
import { processesOf } from './processes.ts';

let installation: Installation;
const landfall: Installation['landfall'] = (...given) => installation.landfall(...given);
const succeed: Installation['succeed'] = (...given) => installation.succeed(...given);
const up = (...more: string[]): Promise<Ran> => installation.npm('up', '--detach', ...more);

beforeAll(() => {
  installation = Installation.prepare();
});

afterAll(async () => {
  await installation?.close();
}, 180_000);

function record(): SupervisorRecord {
  const found = readRecord(installation.dataDir);
  if (found === undefined) throw new Error('No supervisor is recorded.');
  return found;
}

const boot = async () => (await succeed('ssh first -- cat /proc/sys/kernel/random/boot_id')).trim();
const clean = /^0 orphans, 0 missing, 0 doubled\n(\d+) instances? against \1 machines?/;
const agentBack = (since: number) =>
  eventually(
    'the agent’s return',
    async () => {
      const { items } = JSON.parse(await succeed('get hosts -o json')) as {
        items: { state: string; lastSeenAt: string }[];
      };
      return items.some((host) => host.state === 'Ready' && Date.parse(host.lastSeenAt) > since);
    },
    120_000,
  );

test('npm run up takes another port where its own is taken and says so; a second one says that it runs already', async () => {
  const holder = createServer();
  // Where no system gives out ports by itself: the next one is the broker's, and it would be somebody's connection by then.
  const port = await choosePort(23_000);
  await new Promise<void>((done) => holder.listen(port, '127.0.0.1', done));
  try {
    const started = await up('--port', String(port));
    expect(started.text).toMatch(/Landfall is up after [\d.]+ s, in the background\./);
    expect(started.stdout).toMatch(new RegExp(`port ${port} is taken by another program: broker is on \\d+`));
    const again = await up();
    expect(again).toMatchObject({ code: 0 });
    expect(again.stdout).toMatch(/Landfall is already running\./);
  } finally {
    await new Promise((done) => holder.close(done));
  }
  // The command line finds it by itself, whatever the port.
  expect(await succeed('get sites')).toMatch(/local +Ready/);
}, 300_000);

test('kill -9 of the agent does not touch its guest, and the next agent finds it', async () => {
  await succeed('apply -f examples/first.yaml --wait');
  const before = await boot();
  const { agent } = record().parts;
  const killed = Date.now();
  process.kill(agent!.pid, 'SIGKILL');
  await agentBack(killed);
  expect(record().parts.agent?.pid).not.toBe(agent!.pid);
  expect(await boot()).toBe(before);
  expect(await succeed('audit')).toMatch(clean);
}, 300_000);

test('npm run down leaves the guest running, and the next npm run up finds it, reachable as before', async () => {
  const before = await boot();
  const down = await installation.npm('down');
  expect(down).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/Landfall is stopped; its data stays\./),
  });
  const left = processesOf(installation.dataDir).map(({ command }) => command);
  expect(left.filter((command) => command.includes('qemu-system'))).toHaveLength(1);
  expect(left.filter((command) => /postgres|temporal|main\.ts/.test(command))).toEqual([]);
  expect((await landfall('get sites')).code).toBe(6);
  expect(await up()).toMatchObject({ code: 0 });
  expect(await boot()).toBe(before);
  expect(await succeed('audit')).toMatch(clean);
  await succeed('delete instance first --wait');
}, 300_000);

test('after a power cut in the middle of a create the next npm run up ends it: one machine, reachable, and a clean audit', async () => {
  await succeed('apply -f examples/first.yaml');
  await eventually('the guest’s QEMU', async () =>
    processesOf(installation.dataDir).some(({ command }) => command.includes('qemu-system')),
  );
  expect((await instance()).status.state).toBe('Provisioning');
  // The supervisor first, or it would start the others again; then everything else, libvirt and the guest too.
  process.kill(record().supervisor.pid, 'SIGKILL');
  for (let round = 0; round < 5; round++) {
    for (const { pid } of processesOf(installation.dataDir)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended with the one before it.
      }
    }
  }
  await eventually('the end of all', async () => processesOf(installation.dataDir).length === 0);
  expect(await up()).toMatchObject({ code: 0 });
  const { items } = JSON.parse(await succeed('get operations -o json')) as { items: Operation[] };
  const create = items.find(({ verb, resource }) => verb === 'create' && resource?.name === 'first');
  expect(await succeed(`operation wait ${create!.id} -o json`)).toMatch(/"state": "Succeeded"/);
  expect(await succeed('ssh first -- cat /etc/os-release')).toContain('Landfall tiny');
  const machines = processesOf(installation.dataDir).filter(({ command }) => command.includes('qemu-system'));
  expect(machines).toHaveLength(1);
  expect(await succeed('audit')).toMatch(
    /^0 orphans, 0 missing, 0 doubled\n1 instance against 1 machine at 1 site/,
  );
  await succeed('delete instance first --wait');
  expect(await succeed('audit')).toMatch(/^0 orphans, 0 missing, 0 doubled\n0 instances against 0 machines/);
}, 400_000);

test('npm run down -- --guests leaves no process behind, and the log holds no secret', async () => {
  const secret = readFileSync(join(installation.dataDir, 'admin.token'), 'utf8').trim();
  const down = await installation.npm('down', '--guests');
  expect(down).toMatchObject({ code: 0 });
  expect(down.text).not.toContain('guests keep running');
  expect(processesOf(installation.dataDir)).toEqual([]);
  for (const part of ['broker', 'worker', 'agent', 'supervisor'])
    expect(readFileSync(join(installation.dataDir, 'logs', `${part}.log`), 'utf8')).not.toContain(secret);
}, 120_000);

async function instance(): Promise<Instance> {
  return JSON.parse(await succeed('get instance first -o json')) as Instance;
}
