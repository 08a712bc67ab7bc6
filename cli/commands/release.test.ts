import { join } from 'node:path';
import { FakeBroker, problem } from '../fake/broker.ts';
import { FakeHome } from '../fake/terminal.ts';

let broker: FakeBroker;
let home: FakeHome;
const first = join(import.meta.dirname, '../../examples/first.yaml');
const releases = () => broker.asked.filter((asked) => asked.endsWith('/release'));

beforeEach(async () => {
  broker = await new FakeBroker().start();
  home = new FakeHome();
  home.env = { ...home.env, LANDFALL_URL: broker.url, LANDFALL_TOKEN: broker.token };
  await home.run(['apply', '--wait', '-f', first]);
  Object.assign(broker.instances.get('first')!.status, {
    externalReference: 'i-1',
    children: ['vol-1', 'sg-1'],
    pricePerMonth: 7.5,
    currency: 'USD',
  });
});
afterEach(async () => {
  await broker.stop();
  home.remove();
});

test('release says what stays and what it costs, asks, and lets go', async () => {
  const ran = await home.run('release instance first --wait', { stdin: 'y\n', asked: true });
  expect(ran).toMatchObject({ code: 0, out: 'instance/first releasing\n' });
  expect(ran.err).toContain('instance/first: i-1 at site/local stays as it is, for $7.50 a month');
  expect(ran.err).toContain('It keeps vol-1, sg-1: from now on yours to remove.');
  expect((await home.run('get instance first')).code).toBe(3);
  expect((await home.run('release instance first --yes')).code).toBe(3);
  expect((await home.run('release instance first --yes --ignore-not-found')).code).toBe(0);
});

test('another answer than yes releases nothing; without anybody to answer, --yes is needed', async () => {
  const ran = await home.run('release instance first', { stdin: 'no\n', asked: true });
  expect(ran).toMatchObject({ code: 1, out: '' });
  expect(ran.err).toContain('Nothing was released.');
  const alone = await home.run('release instance first');
  expect(alone.code).toBe(2);
  expect(alone.err).toContain('--yes');
  expect(releases()).toEqual([]);
});

test('a program gets the operation; a dry run only checks; what is refused is told with the reason', async () => {
  expect((await home.run('release instance first --dry-run')).out).toBe(
    'instance/first can be released (dry run)\n',
  );
  expect(broker.instances.get('first')?.status.state).toBe('Running');
  const { out } = await home.run('release instance/first --yes -o json');
  expect(JSON.parse(out)).toMatchObject({ verb: 'release', resource: { name: 'first' } });
  broker.intercept = ({ path }) =>
    path.endsWith('/release') ? problem(409, 'Conflict', 'volume data is attached to it') : undefined;
  const refused = await home.run('release instance first --yes');
  expect(refused.code).toBe(5);
  expect(refused.err).toContain('volume data is attached to it');
  expect((await home.run('release firewall web --yes')).code).toBe(2);
});

test('a volume is released as a machine is; deleting one that was adopted says that it goes itself', async () => {
  const volume = {
    ...{
      id: 'v-1',
      kind: 'Volume',
      name: 'data',
      project: 'default',
      labels: {},
      generation: 1,
      revision: 1,
    },
    spec: { sizeGiB: 7, attachedTo: 'first' },
    status: { state: 'Ready', adopted: true, externalReference: 'vol-1', site: 'local' },
  };
  broker.intercept = ({ method, path }) => {
    const at = '/v1/projects/default/volumes';
    if (path === `${at}/data` && method === 'GET') return { status: 200, body: volume };
    if (path === `${at}/data`) return broker.begin('delete', volume as never, () => {});
    return path === `${at}/v-1/release` ? broker.begin('release', volume as never, () => {}) : undefined;
  };
  const released = await home.run('release volume data --wait', { stdin: 'y\n', asked: true });
  expect(released).toMatchObject({ code: 0, out: 'volume/data releasing\n' });
  expect(released.err).toContain('volume/data: vol-1 at site/local stays as it is');
  expect(released.err).toContain('It stays attached to instance/first.');
  const deleted = await home.run('delete volume data --wait');
  expect(deleted.err).toContain('was adopted: the volume vol-1 at site/local itself is being deleted.');
});
