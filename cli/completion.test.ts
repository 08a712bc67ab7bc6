import { join } from 'node:path';
import { FakeBroker } from './fake/broker.ts';
import { FakeHome } from './fake/terminal.ts';

let broker: FakeBroker;
let home: FakeHome;
const examples = new URL('../examples/', import.meta.url).pathname;

beforeAll(async () => {
  broker = await new FakeBroker().start();
  home = new FakeHome();
  home.env = { ...home.env, LANDFALL_URL: broker.url, LANDFALL_TOKEN: broker.token };
  await home.run([
    'apply',
    '--wait',
    '-f',
    join(examples, 'first.yaml'),
    '-f',
    join(examples, 'debian.yaml'),
    '-f',
    join(examples, 'aws-site.yaml'),
  ]);
});
afterAll(async () => {
  await broker.stop();
  home.remove();
});

const words = async (...typed: string[]): Promise<string[]> => {
  const ran = await home.run(['__complete', '--', ...typed]);
  expect(ran).toMatchObject({ code: 0, err: '' });
  return ran.out.split('\n').filter(Boolean);
};

test('commands and their commands are completed, hidden ones are not', async () => {
  expect(await words('de')).toEqual(['describe', 'detach', 'delete']);
  expect(await words('policy', 't')).toEqual(['test']);
  expect(await words('__')).toEqual([]);
});

test('kinds, and then real names of that kind, are completed', async () => {
  expect(await words('get', 's')).toEqual(['sites', 'sshkeys', 'snapshots']);
  expect((await words('get', 'instances', '')).sort()).toEqual(['debian', 'first']);
  expect(await words('stop', 'instance', 'f')).toEqual(['first']);
  expect(await words('get', 'instances', 'first', '')).toEqual(['debian']);
  expect(await words('ssh', 'd')).toEqual(['debian']);
  expect(await words('site', 'delete', '')).toEqual(['aws']);
});

test('options and their values are completed', async () => {
  expect(await words('get', 'sites', '--wa')).toEqual(['--watch']);
  expect(await words('get', 'sites', '-o', 'j')).toEqual(['json']);
  expect(await words('token', 'create', '--role', 'a')).toEqual(['admin', 'agent']);
  expect(await words('get', '-o', 'json', 'instances', '')).toHaveLength(2);
  expect(await words('spend', '--by', 'p')).toEqual(['project', 'provider']);
  expect(await words('spend', '--since', '')).toEqual(['today', 'month']);
  expect(await words('policy', 'what-if', '--since', '')).toEqual([]);
});

test('without a broker nothing is completed and nothing is said', async () => {
  expect(await words('get', '--url', 'http://127.0.0.1:1', 'instances', '')).toEqual([]);
  expect(await words('get', 'nonsense', '')).toEqual([]);
});

test('each shell has its script, and another one is refused', async () => {
  for (const shell of ['bash', 'zsh', 'fish'])
    expect((await home.run(`completion ${shell}`)).out).toContain('__complete');
  expect((await home.run('completion fihs')).err).toMatch(/Did you mean "fish"/);
});

test('what can be discovered, adopted and released is offered by its kind', async () => {
  expect(await words('discover', 'v')).toEqual(['volume']);
  expect(await words('discover', '--kind', 's')).toEqual(['snapshot']);
  expect(await words('adopt', '')).toEqual(expect.arrayContaining(['instance', 'volume', 'address']));
  expect(await words('release', '')).toEqual([
    'instance',
    'volume',
    'snapshot',
    'customimage',
    'network',
    'address',
  ]);
  expect(await words('release', 'instance', 'f')).toEqual(['first']);
});
