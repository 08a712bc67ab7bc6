import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveConnection } from './connection.ts';
import { brokerUrl, readContexts, writeContexts } from './contexts.ts';

let folder: string;
let env: NodeJS.ProcessEnv;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'landfall-connection-'));
  env = { LANDFALL_CONFIG_DIR: join(folder, 'config') };
});
afterEach(() => rmSync(folder, { recursive: true }));
const resolve = (flags = {}, cwd = folder) => resolveConnection(flags, { env, cwd });

function localUp(state: object): string {
  const data = join(folder, 'repo/.landfall');
  mkdirSync(data, { recursive: true });
  writeFileSync(join(data, 'admin.token'), 'lf_local\n');
  writeFileSync(join(data, 'state.json'), JSON.stringify(state));
  mkdirSync(join(folder, 'repo/examples'), { recursive: true });
  return join(folder, 'repo/examples');
}

test('flags win over the environment, which wins over the context, which wins over a local broker', () => {
  const cwd = localUp({ url: 'http://127.0.0.1:7421' });
  expect(resolve({}, cwd)).toEqual({
    url: 'http://127.0.0.1:7421',
    token: 'lf_local',
    project: 'default',
    source: 'local',
  });
  writeContexts(env, {
    current: 'prod',
    contexts: { prod: { url: 'https://lf.example', token: 'lf_prod', project: 'shop' } },
  });
  expect(resolve({}, cwd)).toEqual({
    url: 'https://lf.example',
    token: 'lf_prod',
    project: 'shop',
    source: { context: 'prod' },
  });
  env.LANDFALL_URL = 'http://env:1/';
  env.LANDFALL_TOKEN = 'lf_env';
  expect(resolve({}, cwd)).toEqual({
    url: 'http://env:1',
    token: 'lf_env',
    project: 'default',
    source: 'environment',
  });
  expect(resolve({ url: 'http://flag:2', token: 'lf_flag', project: 'p' }, cwd)).toEqual({
    url: 'http://flag:2',
    token: 'lf_flag',
    project: 'p',
    source: 'flags',
  });
  expect(resolve({ context: 'prod' }, cwd).url).toBe('https://lf.example');
});

test("a context's token is not sent to an address from elsewhere", () => {
  writeContexts(env, {
    current: 'prod',
    contexts: { prod: { url: 'https://lf.example', token: 'lf_prod' } },
  });
  expect(resolve({ url: 'http://other' }).token).toBeUndefined();
});

test('the port of a local broker is found also where its state has ports only, and in LANDFALL_DATA_DIR', () => {
  localUp({ ports: { broker: 7555 } });
  env.LANDFALL_DATA_DIR = join(folder, 'repo/.landfall');
  expect(resolve({}, '/').url).toBe('http://127.0.0.1:7555');
});

test('without any broker the error says what to run', () => {
  expect(() => resolve()).toThrow(
    expect.objectContaining({ exitCode: 6, hint: expect.stringMatching(/npm run up.*landfall login/) }),
  );
});

test('an unknown context is answered with the one that was meant', () => {
  writeContexts(env, { contexts: { staging: { url: 'http://s', token: 't' } } });
  expect(() => resolve({ context: 'stagin' })).toThrow(
    expect.objectContaining({ exitCode: 3, hint: expect.stringContaining('Did you mean "staging"?') }),
  );
});

test('contexts are kept where only the user can read them', () => {
  writeContexts(env, { contexts: { a: { url: 'http://a', token: 't' } } });
  expect(statSync(join(folder, 'config/config.json')).mode & 0o777).toBe(0o600);
  expect(readContexts(env).contexts.a?.token).toBe('t');
});

test('an address is http or https and has no password in it', () => {
  expect(brokerUrl('http://x:7420///')).toBe('http://x:7420');
  expect(() => brokerUrl('x:7420')).toThrow('is not an http');
  expect(() => brokerUrl('nothing')).toThrow('is not a URL');
  expect(() => brokerUrl('http://u:p@x')).toThrow('does not belong in the URL');
});
