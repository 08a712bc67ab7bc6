import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FakeBroker } from '../fake/broker.ts';
import { FakeHome } from '../fake/terminal.ts';

let home: FakeHome;
let broker: FakeBroker;
beforeEach(async () => {
  home = new FakeHome();
  broker = await new FakeBroker().start();
  Object.assign(home.env, { LANDFALL_URL: broker.url, LANDFALL_TOKEN: broker.token });
});
afterEach(async () => {
  home.remove();
  await broker.stop();
});

const time = '2026-11-20T16:00:00.000Z';
const list = {
  id: '019a9c2e-6a4b-7c51-9d8e-2f1f6f0f6f10',
  kind: 'PriceList',
  name: 'aws-2026',
  provider: 'aws',
  origin: 'import',
  date: '2026-11-01',
  offers: 1,
  leftOut: [{ reason: 'no vCPUs', count: 2 }],
  failure: null,
  revision: 1,
  createdAt: time,
  updatedAt: time,
};

test('an import sends the file, replaces the list that is there, and tells what was left out', async () => {
  writeFileSync(join(home.folder, 'AWS 2026.csv'), 'the,file\n');
  broker.intercept = ({ method, path }) => {
    if (path !== '/v1/priceLists/aws-2026') return undefined;
    return { status: 200, body: list, ...(method === 'GET' ? { headers: { etag: '"4"' } } : {}) };
  };
  const ran = await home.run([
    'catalogue',
    'import',
    '-f',
    'AWS 2026.csv',
    '--provider',
    'aws',
    '--skip-bad',
    '--date',
    '2026-11-01',
  ]);
  expect(ran).toMatchObject({ code: 0, err: '' });
  expect(ran.out).toBe('left out: 2 rows: no vCPUs\npricelist/aws-2026: 1 offer in force\n');
  const put = broker.requests.find(({ method }) => method === 'PUT')!;
  expect(put.headers['if-match']).toBe('"4"');
  expect(put.body).toEqual({ provider: 'aws', csv: 'the,file\n', date: '2026-11-01', skipBad: true });
});

test('a wrong provider and a missing file are told before anything is sent', async () => {
  const wrong = await home.run('catalogue import -f x.csv --provider oracle');
  expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('oracle is none of aws, azure, gcp')]);
  const missing = await home.run('catalogue import -f x.csv --provider aws');
  expect([missing.code, missing.err]).toEqual([2, expect.stringContaining('There is no file x.csv.')]);
  expect((await home.run('catalogue refresh oracle')).code).toBe(2);
  expect(broker.requests).toEqual([]);
});

test('the list shows the prices in force, and why a refresh changed nothing', async () => {
  const inForce = {
    version: '2026-11-01-abc',
    date: '2026-11-01',
    sources: [{ name: 'list prices', date: '2025-03-02', offers: 18877, notice: 'old' }],
  };
  const failed = {
    ...list,
    name: 'live-azure',
    origin: 'live',
    failure: { message: 'answered 500', at: time },
  };
  broker.intercept = ({ path }) => {
    if (path === '/v1/catalogues') return { status: 200, body: { items: [], inForce } };
    if (path === '/v1/priceLists') return { status: 200, body: { items: [list, failed] } };
    return undefined;
  };
  const { code, out } = await home.run('catalogue list');
  expect(code).toBe(0);
  expect(out).toMatch(/^in force: 2026-11-01-abc\nSOURCE +DATE +OFFERS +NOTICE\nlist prices/);
  expect(out).toMatch(/live-azure +aws +price API .*failed .* ago: answered 500/);
});
