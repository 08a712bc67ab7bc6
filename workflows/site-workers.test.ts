import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProviderError } from '@landfall/adapters';
import type { Schemas } from '@landfall/model';
import { createAdapter } from './site-workers.ts';

type Credentials = NonNullable<Schemas['SiteSpec']['credentials']>;

let folder: string;
let endpoint: string;
/** The authorization of each request that came in. */
const authorizations: string[] = [];
const server = createServer((request, response) => {
  authorizations.push(request.headers.authorization ?? '');
  response.writeHead(403, { 'content-type': 'application/json' }).end('{}');
});

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'landfall-sites-'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  authorizations.length = 0;
});

const specs = {
  aws: { provider: 'aws', regions: ['us-east-1'] },
  azure: {
    provider: 'azure',
    regions: ['westeurope'],
    subscription: '00000000-0000-0000-0000-000000000001',
  },
  gcp: { provider: 'gcp', regions: ['us-central1'], project: 'some-project' },
} as const;
type Cloud = keyof typeof specs;

const adapterOf = (cloud: Cloud, credentials: Credentials, env: NodeJS.ProcessEnv = {}) =>
  createAdapter(
    'cloudy',
    { ...specs[cloud], regions: [...specs[cloud].regions], endpoint, credentials },
    1_000,
    env,
  );

/** What a site's adapter sends its provider as credentials, with these. */
async function sent(...given: Parameters<typeof adapterOf>): Promise<string> {
  const adapter = await adapterOf(...given);
  const region = specs[given[0]].regions[0];
  await expect(adapter.quota(region)).rejects.toMatchObject({ code: 'Denied' });
  return authorizations[0] ?? '';
}

const print = (value: unknown) => [process.execPath, '-p', JSON.stringify(JSON.stringify(value))];
function file(value: unknown): Credentials {
  const path = join(folder, 'credentials.json');
  writeFileSync(path, JSON.stringify(value));
  return { source: 'file', path };
}

const awsKey = { Version: 1, AccessKeyId: 'AKIAFROMHERE', SecretAccessKey: 'secret' };
test.each<[string, Cloud, () => Credentials, NodeJS.ProcessEnv, string]>([
  [
    'AWS, environment',
    'aws',
    () => ({ source: 'environment', prefix: 'EAST' }),
    { EAST_ACCESS_KEY_ID: 'AKIAFROMHERE', EAST_SECRET_ACCESS_KEY: 'secret' },
    'Credential=AKIAFROMHERE/',
  ],
  ['AWS, file', 'aws', () => file(awsKey), {}, 'Credential=AKIAFROMHERE/'],
  [
    'AWS, command',
    'aws',
    () => ({ source: 'command', command: print(awsKey) }),
    {},
    'Credential=AKIAFROMHERE/',
  ],
  [
    'Azure, environment',
    'azure',
    () => ({ source: 'environment', prefix: 'EUROPE' }),
    { EUROPE_ACCESS_TOKEN: 'azure-token' },
    'Bearer azure-token',
  ],
  ['Azure, file', 'azure', () => file({ accessToken: 'azure-token' }), {}, 'Bearer azure-token'],
  [
    'Azure, command',
    'azure',
    () => ({
      source: 'command',
      command: print({ accessToken: 'azure-token', expires_on: Date.now() / 1000 + 900 }),
    }),
    {},
    'Bearer azure-token',
  ],
  [
    'Google Cloud, environment',
    'gcp',
    () => ({ source: 'environment', prefix: 'LAB' }),
    { LAB_ACCESS_TOKEN: 'google-token' },
    'Bearer google-token',
  ],
  ['Google Cloud, file', 'gcp', () => file({ access_token: 'google-token' }), {}, 'Bearer google-token'],
  [
    'Google Cloud, command that prints a bare token',
    'gcp',
    () => ({ source: 'command', command: [process.execPath, '-p', '"google-token"'] }),
    {},
    'Bearer google-token',
  ],
])('%s: what the site names is what its provider is sent', async (_, cloud, credentials, env, expected) => {
  expect(await sent(cloud, credentials(), env)).toContain(expected);
});

test('a profile is one of AWS’s own files', async () => {
  const credentials = join(folder, 'aws-credentials');
  writeFileSync(credentials, '[lab]\naws_access_key_id = AKIAOFPROFILE\naws_secret_access_key = secret\n');
  const before = { ...process.env };
  process.env.AWS_SHARED_CREDENTIALS_FILE = credentials;
  process.env.AWS_CONFIG_FILE = join(folder, 'none');
  try {
    expect(await sent('aws', { source: 'profile', profile: 'lab' })).toContain('Credential=AKIAOFPROFILE/');
  } finally {
    process.env = before;
  }
});

test.each<[Cloud, string, RegExp]>([
  ['aws', 'EAST', /the worker's environment has no EAST_ACCESS_KEY_ID, EAST_SECRET_ACCESS_KEY: set them/],
  ['azure', 'EUROPE', /no EUROPE_TENANT_ID, EUROPE_CLIENT_ID, EUROPE_CLIENT_SECRET/],
  ['gcp', 'LAB', /no LAB_CREDENTIALS/],
])('variables that are missing are named before anything is asked of %s', async (cloud, prefix, message) => {
  await expect(adapterOf(cloud, { source: 'environment', prefix })).rejects.toThrow(message);
  expect(authorizations).toEqual([]);
});

test.each<[Cloud, RegExp]>([
  ['aws', /must have AccessKeyId and SecretAccessKey$/],
  ['azure', /must have tenantId, clientId and clientSecret, or accessToken$/],
  ['gcp', /must have client_email and private_key .*, or accessToken$/],
])(
  'a secret of another form is refused for %s by the fields it should have, not those it has',
  async (cloud, message) => {
    const refused = adapterOf(cloud, file({ somethingElse: 'pa55word' }));
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.not.toThrow(/pa55word|somethingElse/);
  },
);

test('Azure’s principal is read in both of the forms that Azure’s tools write', async () => {
  for (const principal of [
    { tenantId: 'tenant', clientId: 'client', clientSecret: 'secret' },
    { tenant: 'tenant', appId: 'client', password: 'secret' },
  ])
    await expect(adapterOf('azure', file(principal))).resolves.toBeDefined();
});

test('a secret that goes away while the site is in use is Unavailable, in our words', async () => {
  for (const [cloud, first] of [
    ['aws', { ...awsKey, Expiration: new Date(Date.now() + 50_000) }],
    ['azure', { accessToken: 'token', expires_in: 50 }],
    ['gcp', { accessToken: 'token', expires_in: 50 }],
  ] as const) {
    const credentials = file(first);
    const adapter = await adapterOf(cloud, credentials);
    rmSync(credentials.path!);
    await expect(adapter.quota(specs[cloud].regions[0])).rejects.toMatchObject({
      code: 'Unavailable',
      // Not a call without an answer: of one that changes something that would be `OutcomeUnknown`.
      details: { providerCode: 'credentials' },
      message: `credentials: the file ${credentials.path} cannot be read by the worker (ENOENT)`,
    });
  }
});

test.each<Cloud>(['aws', 'azure', 'gcp'])(
  'each request to %s waits for its turn, and none is sent without one',
  async (cloud) => {
    let turns = 0;
    const spec = { ...specs[cloud], regions: [...specs[cloud].regions], endpoint };
    const env = {
      X_ACCESS_KEY_ID: 'A',
      X_SECRET_ACCESS_KEY: 's',
      // Or AWS would be asked for it, which takes no turn.
      X_ACCOUNT_ID: '123456789012',
      X_ACCESS_TOKEN: 't',
    };
    const adapter = await createAdapter(
      'cloudy',
      { ...spec, credentials: { source: 'environment', prefix: 'X' } },
      1_000,
      env,
      async () => {
        expect(authorizations).toHaveLength(turns);
        turns += 1;
        if (turns > 2) throw new ProviderError('Unavailable', 'nobody counts');
      },
    );
    for (let call = 0; call < 2; call++)
      await expect(adapter.quota(spec.regions[0]!)).rejects.toMatchObject({ code: 'Denied' });
    await expect(adapter.quota(spec.regions[0]!)).rejects.toMatchObject({
      code: 'Unavailable',
      message: 'nobody counts',
    });
    expect(authorizations).toHaveLength(2);
  },
);
