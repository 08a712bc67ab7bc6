import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 120_000);
afterAll(() => broker?.stop());

const clouds = {
  aws: { provider: 'aws', regions: ['eu-central-1'] },
  azure: {
    provider: 'azure',
    regions: ['westeurope'],
    subscription: '00000000-0000-0000-0000-000000000001',
  },
  gcp: { provider: 'gcp', regions: ['europe-west1'], project: 'some-project' },
} as const;

/** What is wrong with a site of this spec: pointers and messages. */
async function wrong(spec: Record<string, unknown>): Promise<string[]> {
  const { status, body } = await broker.call('POST', '/v1/sites', { body: { name: 'tried', spec } });
  expect(status).toBe(422);
  return body.errors.map(({ pointer, message }: Record<string, string>) => `${pointer} ${message}`);
}

test('a site of each cloud is taken with what names its account, and shown with it', async () => {
  for (const [name, spec] of Object.entries(clouds)) {
    expect((await broker.call('POST', '/v1/sites', { body: { name, spec } })).status).toBe(201);
    expect((await broker.call('GET', `/v1/sites/${name}`)).body.spec).toMatchObject(spec);
  }
});

test('what names the account is needed by the provider whose it is, and refused by the others', async () => {
  const { subscription, ...azure } = clouds.azure;
  const { project, ...gcp } = clouds.gcp;
  expect(await wrong(azure)).toEqual([
    '/spec/subscription is missing: the id of the subscription that everything is made in',
  ]);
  expect(await wrong(gcp)).toEqual([
    '/spec/project is missing: the id of the Google Cloud project that everything is made in',
  ]);
  expect(await wrong({ ...clouds.aws, subscription, project })).toEqual([
    expect.stringMatching(/^\/spec\/subscription must be absent: .* this site is aws$/),
    expect.stringMatching(/^\/spec\/project must be absent: .* this site is aws$/),
  ]);
  expect(await wrong({ provider: 'onprem', regions: ['dc'], project })).toEqual([
    expect.stringMatching(/^\/spec\/project must be absent/),
  ]);
});

/** The site files that users are shown, of `examples/` and docs/sites.md, each with where it is. */
function shownFiles(): [string, string][] {
  const root = new URL('../', import.meta.url);
  const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
  const examples = readdirSync(new URL('examples', root)).filter((name) => name.endsWith('-site.yaml'));
  const blocks = [...read('docs/sites.md').matchAll(/^```yaml\n(.*?)^```$/gms)];
  return [
    ...examples.map((name): [string, string] => [`examples/${name}`, read(`examples/${name}`)]),
    ...blocks.map(([, text], index): [string, string] => [`docs/sites.md, example ${index + 1}`, text!]),
  ];
}

test('every provider has a site file among the examples and in the documents', () => {
  const providers = (place: RegExp) =>
    new Set(
      shownFiles()
        .filter(([from]) => place.test(from))
        .map(([, text]) => parse(text).spec.provider),
    );
  expect(providers(/^examples/)).toEqual(new Set(['aws', 'azure', 'gcp']));
  expect(providers(/^docs/)).toEqual(new Set(['aws', 'azure', 'gcp', 'onprem']));
});

test.each(shownFiles())('%s is taken as it stands', async (_, text) => {
  const { metadata, spec } = parse(text);
  const answer = await broker.call('POST', '/v1/sites?validateOnly=true', {
    body: { name: `shown-${metadata.name}`, spec },
  });
  expect(answer).toMatchObject({ status: 200, body: { spec: { provider: spec.provider } } });
});

test('every cloud needs a region', async () => {
  for (const spec of Object.values(clouds))
    expect(await wrong({ ...spec, regions: [] })).toEqual([
      '/spec/regions must name at least one region of a cloud site',
    ]);
});

test('a limit of calls a second is shown, and where a cloud site has none its provider’s; on-prem has none', async () => {
  const shown = async () => (await broker.call('GET', '/v1/sites/aws')).body.status.callsPerSecond;
  expect(await shown()).toBe(20);
  const limited = { name: 'aws', spec: { ...clouds.aws, callsPerSecond: 2.5 } };
  await broker.call('PUT', '/v1/sites/aws', { body: limited, headers: { 'if-match': '*' } });
  expect(await shown()).toBe(2.5);
  expect(await wrong({ provider: 'onprem', regions: ['dc'], callsPerSecond: 5 })).toEqual([
    expect.stringMatching(/^\/spec\/callsPerSecond must be absent, is 5: an on-prem site has no account/),
  ]);
  const none = { name: 'none', spec: { ...clouds.aws, callsPerSecond: 0 } };
  const refused = await broker.call('POST', '/v1/sites', { body: none });
  expect(refused.body.errors).toEqual([
    { pointer: '/spec/callsPerSecond', message: expect.stringContaining('at least 0.1'), value: 0 },
  ]);
});

test('each source of credentials needs its own field, and no other’s', async () => {
  const credentials = (given: unknown) => wrong({ ...clouds.azure, credentials: given });
  for (const [source, field] of [
    ['environment', 'prefix'],
    ['file', 'path'],
    ['command', 'command'],
  ])
    expect(await credentials({ source })).toEqual([
      `/spec/credentials/${field} is missing: source \`${source}\` needs it`,
    ]);
  expect(await credentials({ source: 'file', path: '/a', prefix: 'X' })).toEqual([
    '/spec/credentials/prefix must be absent: it is for source `environment`, and this is `file`',
  ]);
  expect(await credentials({ source: 'profile', profile: 'lab' })).toEqual([
    '/spec/credentials/source must be default, environment, file or command: only AWS has profiles, and this site is azure',
  ]);
});

test('only the operators’ organization may name files and programs of the worker’s machine', async () => {
  await broker.call('POST', '/v1/organizations', { body: { name: 'other' } });
  const { secret: token } = await broker.token('admin', { organization: 'other' });
  const add = (credentials: unknown, as?: string) =>
    broker.call('POST', '/v1/sites?validateOnly=true', {
      body: { name: 'theirs', spec: { ...clouds.aws, credentials } },
      token: as,
    });
  for (const credentials of [
    { source: 'file', path: '/etc/secret' },
    { source: 'command', command: ['/bin/id'] },
  ]) {
    expect(await add(credentials, token)).toMatchObject({
      status: 403,
      body: { detail: expect.stringContaining('only sites of organization default') },
    });
    expect((await add(credentials)).status).toBe(200);
  }
  expect((await add({ source: 'environment', prefix: 'THEIRS' }, token)).status).toBe(200);
});

test('a site’s account cannot change under its machines', async () => {
  const there = (await broker.call('GET', '/v1/sites/gcp')).body;
  const { status, body } = await broker.call('PUT', '/v1/sites/gcp', {
    body: { name: 'gcp', spec: { ...there.spec, project: 'another-project' } },
    headers: { 'if-match': '*' },
  });
  expect(status).toBe(422);
  expect(body.errors).toMatchObject([
    { pointer: '/spec/project', message: expect.stringContaining("a site's project cannot change") },
  ]);
});
