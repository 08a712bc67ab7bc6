import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { contextsOfCli, contextsOfSettings, localContext, localToken, settingOf } from './contexts.ts';

const folders: string[] = [];
function folder(): string {
  folders.push(mkdtempSync(join(tmpdir(), 'landfall-contexts-')));
  return folders.at(-1) as string;
}
afterAll(() => {
  for (const made of folders) rmSync(made, { recursive: true });
});

function dataFolder(root: string, files: Record<string, string>): string {
  const data = join(root, '.landfall');
  mkdirSync(data, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(data, name), text);
  return data;
}

test('a local broker is found from a folder inside the checkout; the living supervisor knows its address best', () => {
  const root = folder();
  const data = dataFolder(root, {
    'supervisor.json': JSON.stringify({ url: 'http://127.0.0.1:7421' }),
    'state.json': JSON.stringify({ ports: { broker: 7500 } }),
    'admin.token': 'lf_local\n',
  });
  mkdirSync(join(root, 'examples/policies'), { recursive: true });
  expect(localContext([join(root, 'examples/policies')], {})).toEqual({
    name: 'local',
    url: 'http://127.0.0.1:7421',
    project: 'default',
    from: 'local',
    dataFolder: data,
  });
  expect(localToken(data)).toBe('lf_local');
});

test('of a broker that is down the last address is known, also when its record is half written', () => {
  const root = folder();
  dataFolder(root, { 'supervisor.json': '{"url": "ht', 'state.json': '{"ports": {"broker": 7500}}' });
  expect(localContext([root], {})?.url).toBe('http://127.0.0.1:7500');
});

test('LANDFALL_DATA_DIR is looked in and nowhere else', () => {
  const [here, there] = [folder(), folder()];
  dataFolder(here, { 'state.json': '{"ports": {"broker": 1}}' });
  const data = dataFolder(there, { 'state.json': '{"ports": {"broker": 2}}' });
  expect(localContext([here], { LANDFALL_DATA_DIR: data })?.url).toBe('http://127.0.0.1:2');
  expect(localContext([here], { LANDFALL_DATA_DIR: folder() })).toBeUndefined();
});

test('a broker of the settings that cannot be used is named with what is wrong, and the others are kept', () => {
  const { contexts, problems } = contextsOfSettings([
    { name: 'prod', url: 'https://lf.example/', project: 'shop' },
    { name: 'prod', url: 'https://two.example' },
    { name: 'local', url: 'https://three.example' },
    { name: 'typo', url: 'lf.example' },
    { name: 'secret', url: 'https://me:lf_x@lf.example' },
    { url: 'https://four.example' },
  ]);
  expect(contexts).toEqual([{ name: 'prod', url: 'https://lf.example', project: 'shop', from: 'settings' }]);
  expect(problems.map(({ where, message }) => `${where} ${message}`)).toEqual([
    'landfall.brokers[1].name "prod" is taken: give it another name',
    'landfall.brokers[2].name "local" is taken: give it another name',
    'landfall.brokers[3].url "lf.example" is not a URL: give it like http://127.0.0.1:7420',
    'landfall.brokers[4].url a token does not belong in the URL: sign in instead',
    'landfall.brokers[5].name must be a name to show',
  ]);
});

test('an address of one machine is kept with it, and not shown in windows whose files are on another', () => {
  const context = { name: 'mine', url: 'http://127.0.0.1:7420', project: 'default', from: 'cli' } as const;
  const entry = settingOf(context, 'build-1');
  expect(entry).toEqual({
    name: 'mine',
    url: 'http://127.0.0.1:7420',
    project: 'default',
    machine: 'build-1',
  });
  const other = { ...entry, machine: 'build-2' };
  const shared = { name: 'team', url: 'https://lf.example' };
  const shown = (here: string) => contextsOfSettings([entry, other, shared], here);
  expect(shown('build-1').contexts.map(({ name }) => name)).toEqual(['mine', 'team']);
  // One name on two machines is no name twice.
  expect(shown('build-2')).toMatchObject({ contexts: [{ name: 'mine' }, { name: 'team' }], problems: [] });
  expect(shown('laptop').contexts.map(({ name }) => name)).toEqual(['team']);
  expect(settingOf({ ...context, url: 'https://lf.example' })).not.toHaveProperty('machine');
});

test('a context that `landfall login` named `local` is taken over under its address: that name is of the data folder', () => {
  const entry = settingOf({ name: 'local', url: 'http://127.0.0.1:7420', project: 'default', from: 'cli' });
  expect(contextsOfSettings([entry])).toMatchObject({ contexts: [{ name: '127.0.0.1:7420' }], problems: [] });
});

test("the command line's contexts are read with their tokens, and a broken file is said, not ignored", () => {
  const config = folder();
  expect(contextsOfCli({ LANDFALL_CONFIG_DIR: config })).toEqual({ contexts: [], problems: [] });
  writeFileSync(
    join(config, 'config.json'),
    JSON.stringify({ contexts: { team: { url: 'https://lf.example', token: 'lf_t', project: 'web' } } }),
  );
  expect(contextsOfCli({ LANDFALL_CONFIG_DIR: config }).contexts).toEqual([
    { context: { name: 'team', url: 'https://lf.example', project: 'web', from: 'cli' }, token: 'lf_t' },
  ]);
  writeFileSync(join(config, 'config.json'), '{');
  expect(contextsOfCli({ LANDFALL_CONFIG_DIR: config }).problems).toHaveLength(1);
});
