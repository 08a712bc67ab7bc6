/** AWS accounts as sites, against the EC2 simulator: the whole life of a machine, and a site that is down beside one that is not. */
import { createServer, type Server, type Socket } from 'node:net';
import type { Instance } from '@landfall/model';
import { type AwsSimulator, startAwsSimulator } from '../simulators/aws/index.ts';
import { eventually, Installation } from './installation.ts';

let installation: Installation;
let east: AwsSimulator | undefined;
let west: AwsSimulator;
let silent: { server: Server; sockets: Set<Socket> } | undefined;
const landfall: Installation['landfall'] = (...given) => installation.landfall(...given);
const succeed: Installation['succeed'] = (...given) => installation.succeed(...given);

beforeAll(async () => {
  [east, west] = await Promise.all([startAwsSimulator(), startAwsSimulator({ regions: ['us-west-2'] })]);
  installation = await Installation.start({
    parts: ['postgres', 'temporal', 'broker', 'worker'],
    env: {
      EAST_ACCESS_KEY_ID: 'simulated',
      EAST_SECRET_ACCESS_KEY: 'simulated',
      WEST_ACCESS_KEY_ID: 'simulated',
      WEST_SECRET_ACCESS_KEY: 'simulated',
    },
  });
}, 300_000);

afterAll(async () => {
  await installation?.close();
  await endSilence();
  await east?.close();
  await west?.close();
}, 120_000);

async function endSilence(): Promise<void> {
  const ending = silent;
  silent = undefined;
  if (ending === undefined) return;
  const closed = new Promise((resolve) => ending.server.close(resolve));
  for (const socket of ending.sockets) socket.destroy();
  await closed;
}

const site = (name: string, region: string, endpoint: string) =>
  `apiVersion: landfall.dev/v1\nkind: Site\nmetadata: {name: ${name}}\nspec:\n  provider: aws\n  regions: [${region}]\n  endpoint: ${endpoint}\n  credentials: {source: environment, prefix: ${name.toUpperCase()}}\n`;

const machine = (name: string, placement: string) =>
  installation.file(
    `${name}.yaml`,
    `apiVersion: landfall.dev/v1\nkind: Instance\nmetadata: {name: ${name}}\nspec:\n  image: debian-12\n  vcpus: 2\n  memoryGiB: 2\n  diskGiB: 8\n  placement: ${placement}\n`,
  );

const get = async (name: string) => JSON.parse(await succeed(`get instance ${name} -o json`)) as Instance;
const stateOf = async (simulator: AwsSimulator) =>
  (await simulator.truth()).find((thing) => thing.providerKind === 'instance')?.state;

test('site add adds two AWS accounts, by the name of their credentials, and both become ready', async () => {
  for (const [name, region, { endpoint }] of [
    ['east', 'us-east-1', east!],
    ['west', 'us-west-2', west],
  ] as const) {
    const file = installation.file(`${name}-site.yaml`, site(name, region, endpoint));
    expect(await succeed(['site', 'add', '-f', file])).toBe(`site/${name} created\n`);
    expect(await succeed(['site', 'add', '-f', file])).toBe(`site/${name} unchanged\n`);
    await eventually(`site ${name}`, async () => /Ready/.test(await succeed(`get site ${name}`)), 120_000);
  }
  expect(await succeed('get sites -o json')).not.toContain('simulated');
}, 300_000);

test('apply --wait lands an instance at AWS, and it is the machine that EC2 has', async () => {
  const file = machine('cloudy', '{providers: [aws], sites: [east]}');
  const applied = await landfall(['apply', '-f', file, '--wait']);
  expect(applied).toMatchObject({ code: 0, stdout: 'instance/cloudy created\n' });
  expect(applied.stderr).toMatch(/cloudy runs at east\/us-east-1 for \$0\.\d+ an hour/);
  const { id, status } = await get('cloudy');
  const machines = (await east!.truth()).filter(({ providerKind }) => providerKind === 'instance');
  expect(machines).toMatchObject([
    { ref: expect.stringContaining(status.externalReference!.split('/').at(-1)!), state: 'running' },
  ]);
  expect(machines[0]?.tags).toMatchObject({ 'landfall:resource': id });
  expect(await west.truth()).toEqual([]);
  expect(east!.calls.flatMap(({ problems }) => problems)).toEqual([]);
  expect(await succeed(['apply', '-f', file])).toBe('instance/cloudy unchanged\n');
}, 300_000);

test('stop, start, resize and delete do the same at EC2, and nothing of it is left', async () => {
  await succeed('stop instance cloudy --wait');
  expect(await stateOf(east!)).toBe('stopped');
  await succeed('start instance cloudy --wait');
  expect(await stateOf(east!)).toBe('running');
  const before = (await get('cloudy')).status;
  await succeed('resize instance cloudy --vcpus 4 --memory 8 --wait');
  const after = (await get('cloudy')).status;
  expect(after.vcpus).toBeGreaterThanOrEqual(4);
  expect(after.externalReference).toBe(before.externalReference);
  expect(after.instanceType).not.toBe(before.instanceType);
  expect(await succeed('audit')).toMatch(/^0 orphans, 0 missing, 0 doubled\n1 instance against 1 machine /);
  await succeed('delete instance cloudy --wait');
  expect(await east!.truth()).toEqual([]);
  expect(await succeed('audit')).toMatch(/^0 orphans, 0 missing, 0 doubled\n0 instances against 0 machines/);
}, 300_000);

test('a site that is black-holed hurts only itself, and goes on when it is back', async () => {
  const timed = async (name: string) => {
    const started = Date.now();
    await succeed(['apply', '-f', machine(name, '{sites: [west]}'), '--wait']);
    return Date.now() - started;
  };
  const usual = await timed('usual');
  const port = Number(new URL(east!.endpoint).port);
  await east!.close();
  east = undefined;
  // Connections are taken and never answered: what a failing network does, and worse than refusing.
  const sockets = new Set<Socket>();
  const server = createServer((socket) => void sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  silent = { server, sockets };
  await succeed(['apply', '-f', machine('stuck', '{sites: [east]}')]);
  await eventually('a call into the black hole', async () => sockets.size > 0, 60_000);
  const meanwhile = await timed('meanwhile');
  console.log(
    `a create at the other site: ${usual} ms before, ${meanwhile} ms while one site is black-holed`,
  );
  expect(meanwhile).toBeLessThan(3 * usual + 10_000);
  expect((await get('stuck')).status.state).toBe('Provisioning');
  await endSilence();
  east = await startAwsSimulator({ port });
  await eventually(
    'the end of the create',
    async () => (await get('stuck')).status.state === 'Running',
    180_000,
  );
  expect((await east.truth()).filter(({ providerKind }) => providerKind === 'instance')).toHaveLength(1);
  await succeed('delete instance stuck usual meanwhile --wait');
  expect(await east.truth()).toEqual([]);
  expect(await west.truth()).toEqual([]);
  expect(await succeed('audit')).toMatch(/^0 orphans, 0 missing, 0 doubled$/m);
}, 500_000);
