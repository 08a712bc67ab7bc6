import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TestBroker } from '@landfall/broker/testing/test-broker.ts';
import { SiteWorkers } from '@landfall/workflows/site-workers.ts';
import { pino } from 'pino';

/** Sites in a real store, and an engine that is away. */
let broker: TestBroker;
const folder = mkdtempSync(join(tmpdir(), 'landfall-site-workers-'));
beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(async () => {
  await broker?.stop();
  rmSync(folder, { recursive: true });
}, 20_000);

function workers(): { sites: SiteWorkers; logged: string[] } {
  const logged: string[] = [];
  const away = {} as never;
  const sites = new SiteWorkers({
    ...{ connection: away, client: away, namespace: 'default', backend: away, visibilityGraceMs: 1_000 },
    db: broker.store.db,
    log: pino({ level: 'info' }, { write: (line: string) => void logged.push(line) }),
  });
  return { sites, logged };
}

/** Adds a site of Google's whose credentials a program prints, in the language of the shell. */
async function add(name: string, program: string): Promise<void> {
  const credentials = { source: 'command', command: ['sh', '-c', program] };
  const spec = { provider: 'gcp', regions: ['us-central1'], project: 'some-project', credentials };
  const { status, body } = await broker.call('POST', '/v1/sites', { body: { name, spec } });
  if (status !== 201) throw new Error(JSON.stringify(body));
}
const remove = (name: string) => broker.call('DELETE', `/v1/sites/${name}`, { headers: { 'if-match': '*' } });

const stopped = 'stopped';
const stopOf = (sites: SiteWorkers) => sites.stop().then(() => stopped);

test('the end waits for a site that is just beginning, which then uses the store no more', async () => {
  const [begun, go] = [join(folder, 'begun'), join(folder, 'go')];
  await add('slow', `touch ${begun}; while [ ! -e ${go} ]; do sleep 0.05; done; exit 1`);
  const { sites } = workers();
  await sites.start();
  while (!existsSync(begun)) await sleep(20);
  const stopping = stopOf(sites);
  expect(await Promise.race([stopping, sleep(300, 'beginning')])).toBe('beginning');
  writeFileSync(go, '');
  expect(await stopping).toBe(stopped);
  const told = await broker.call('GET', '/v1/sites/slow');
  expect(told.body.status).toMatchObject({ state: 'Unavailable' });
  await remove('slow');
});

test('a site whose worker waits for the engine ends with the others', async () => {
  await add('waiting', `echo '{"access_token":"t","expires_in":3600}'`);
  const { sites, logged } = workers();
  await sites.start();
  const isWaiting = () => logged.some((line) => line.includes('waiting for the worker of site waiting'));
  while (!isWaiting()) await sleep(20);
  expect(await stopOf(sites)).toBe(stopped);
  expect(logged.join('')).not.toMatch(/left as they begin|could not begin/);
  await remove('waiting');
});
