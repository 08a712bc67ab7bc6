import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { instanceInput, TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

const any = { headers: { 'if-match': '*' } };

/** A fresh key in OpenSSH's form. */
function publicKey(): string {
  const { publicKey: key } = generateKeyPairSync('ed25519');
  const raw = key.export({ type: 'spki', format: 'der' }).subarray(-32);
  const part = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
  return `ssh-ed25519 ${Buffer.concat([part(Buffer.from('ssh-ed25519')), part(raw)]).toString('base64')} me@here`;
}

test('an agent keeps its host alive; unseen for 30 seconds it is Unreachable', async () => {
  const at = '/v1/sites/local/hosts/h1';
  const host = {
    capacity: { vcpus: 4, memoryGiB: 8, diskGiB: 100 },
    accel: 'tcg',
    architecture: 'x86_64',
    images: ['tiny'],
  };
  const put = (body: object) => broker.call('PUT', at, { body, token: broker.agentToken });
  expect((await broker.call('GET', '/v1/sites/local')).body.status).toMatchObject({
    state: 'Pending',
    hosts: 0,
  });
  expect((await put(host)).body).toMatchObject({
    name: 'h1',
    zone: 'default',
    state: 'Ready',
    revision: 1,
    claimed: { vcpus: 0 },
  });
  expect((await put(host)).body.revision).toBe(1);
  expect((await put({ ...host, images: ['tiny', 'debian-12'] })).body.revision).toBe(2);
  expect((await broker.call('GET', '/v1/sites/local')).body.status).toMatchObject({
    state: 'Ready',
    hosts: 1,
  });
  await broker.store.pool.query(`update hosts set last_seen_at = now() - interval '31 seconds'`);
  expect((await broker.call('GET', at)).body.state).toBe('Unreachable');
  expect((await broker.call('GET', '/v1/sites/local')).body.status).toMatchObject({ state: 'Unavailable' });
  await put(host);
  const plan = await broker.call('POST', '/v1/projects/default/instances?validateOnly=true', {
    body: instanceInput('here'),
  });
  expect(plan.body).toMatchObject({ outcome: 'placed', winner: { site: 'local', host: 'h1' } });
  const offers = await broker.call('GET', '/v1/offers?filter=provider=onprem');
  expect(offers.body.items).toEqual([
    expect.objectContaining({ host: 'h1', pricePerHour: expect.closeTo(0.0068) }),
  ]);
});

test('inventory and offers are kept; pages must say whose they are', async () => {
  const at = '/v1/sites/local/inventory';
  const stamp = {
    broker: broker.broker.parts.installation,
    project: 'default',
    resource: randomUUID(),
    attempt: 1,
  };
  const item = {
    ref: 'domain-1',
    kind: 'Instance',
    stamp,
    location: { region: 'local', host: 'h1' },
    state: 'ready',
    providerKind: 'domain',
    child: false,
  };
  const write = (body: object) =>
    broker.call('POST', at, {
      body: { run: randomUUID(), complete: true, last: true, ...body },
      token: broker.agentToken,
    });
  expect((await write({ items: [item] })).status).toBe(204);
  const count = async () =>
    (await broker.store.pool.query('select count(*)::int as n from inventory')).rows[0].n;
  expect(await count()).toBe(1);
  expect((await write({ items: [], complete: false })).status).toBe(204);
  expect(await count()).toBe(1);
  expect((await write({ items: [], host: 'h1' })).status).toBe(204);
  expect(await count()).toBe(0);
  expect((await write({ items: [{ ...item, stamp: {} }] })).body.errors[0].pointer).toBe('/items/0/stamp');
  const offer = {
    region: 'local',
    instanceType: 'kvm',
    market: 'onDemand',
    vcpus: 1,
    memoryGiB: 1,
    architecture: 'x86_64',
  };
  expect(
    (
      await broker.call('POST', '/v1/sites/local/offers', {
        body: { run: randomUUID(), offers: [offer], last: true },
        token: broker.agentToken,
      })
    ).status,
  ).toBe(204);
});

test('a want is for the site it was placed at', async () => {
  const made = await broker.call('POST', '/v1/projects/default/instances', {
    body: instanceInput('wanted', { userData: 'secret words' }),
  });
  const { id } = made.body.resource;
  const offer = {
    site: 'local',
    provider: 'onprem',
    region: 'local',
    zone: 'default',
    host: 'h1',
    instanceType: 'kvm',
    market: 'onDemand',
    vcpus: 1,
    memoryGiB: 0.5,
    architecture: 'x86_64',
  };
  await broker.store.pool.query(
    `insert into intents (resource, attempt, site, region, zone, host, offer, sized_for) values ($1, 1, 'local', 'local', 'default', 'h1', $2, '{"vcpus":1,"memoryGiB":0.5,"diskGiB":10,"gpus":0}')`,
    [id, JSON.stringify(offer)],
  );
  const want = await broker.call('GET', `/v1/sites/local/wants/${id}/1`, { token: broker.agentToken });
  expect(want.body).toMatchObject({
    kind: 'Instance',
    spec: { userData: 'secret words', name: 'wanted' },
    stamp: { resource: id, attempt: 1 },
    location: { host: 'h1' },
  });
  expect(
    (await broker.call('GET', `/v1/sites/local/wants/${id}/2`, { token: broker.agentToken })).status,
  ).toBe(404);
  await broker.call('POST', '/v1/sites', {
    body: { name: 'dc', spec: { provider: 'onprem', regions: ['dc'] } },
  });
  const { secret } = await broker.token('agent', { site: 'dc' });
  expect((await broker.call('GET', `/v1/sites/dc/wants/${id}/1`, { token: secret })).status).toBe(404);
  expect((await broker.call('DELETE', '/v1/sites/local', any)).body.detail).toMatch(/still holds/);
  expect((await broker.call('DELETE', '/v1/sites/local/hosts/h1', any)).status).toBe(409);
  expect((await broker.call('DELETE', '/v1/sites/dc', any)).status).toBe(204);
  expect((await broker.call('GET', '/v1/whoami', { token: secret })).status).toBe(401);
});

test('sites: what the schema cannot say, and updates by ETag', async () => {
  const site = { name: 'aws', spec: { provider: 'aws', regions: ['eu-central-1'] } };
  expect(
    (await broker.call('POST', '/v1/sites', { body: { ...site, spec: { provider: 'aws' } } })).body.errors[0]
      .pointer,
  ).toBe('/spec/regions');
  const made = await broker.call('POST', '/v1/sites', { body: site });
  expect(made.body).toMatchObject({ status: { state: 'Pending' }, generation: 1, revision: 1 });
  const labelled = await broker.call('PUT', '/v1/sites/aws', {
    body: { ...site, labels: { a: 'b' } },
    headers: { 'if-match': made.headers.get('etag')! },
  });
  expect(labelled.body).toMatchObject({ generation: 1, revision: 2, labels: { a: 'b' } });
  const stale = await broker.call('PUT', '/v1/sites/aws', {
    body: site,
    headers: { 'if-match': made.headers.get('etag')! },
  });
  expect(stale.status).toBe(412);
  const other = await broker.call('PUT', '/v1/sites/aws', {
    body: { name: 'aws', spec: { provider: 'gcp', regions: ['x'], project: 'some-project' } },
    ...any,
  });
  expect(other.body.errors[0].pointer).toBe('/spec/provider');
  expect((await broker.call('DELETE', '/v1/sites/aws', any)).status).toBe(204);
});

test('SSH keys have their fingerprint; a cut one is refused', async () => {
  const key = publicKey();
  const made = await broker.call('POST', '/v1/projects/default/sshKeys', {
    body: { name: 'me', publicKey: key },
  });
  expect(made.body).toMatchObject({
    name: 'me',
    fingerprint: expect.stringMatching(/^SHA256:[A-Za-z0-9+/]{43}$/),
  });
  const cut = key.split(' ')[1]!.slice(0, 40);
  expect(
    (
      await broker.call('POST', '/v1/projects/default/sshKeys', {
        body: { name: 'cut', publicKey: `ssh-ed25519 ${cut}` },
      })
    ).body,
  ).toMatchObject({ status: 422, errors: [{ pointer: '/publicKey' }] });
  expect((await broker.call('DELETE', `/v1/projects/default/sshKeys/${made.body.id}`, any)).status).toBe(204);
});

test('images: built-in ones stay, own ones go', async () => {
  expect(
    (await broker.call('GET', '/v1/images')).body.items.map((each: { name: string }) => each.name),
  ).toEqual(['debian-12', 'tiny', 'ubuntu-22.04', 'ubuntu-24.04']);
  expect((await broker.call('DELETE', '/v1/images/tiny', any)).status).toBe(409);
  const input = {
    name: 'own',
    user: 'me',
    onprem: { url: 'https://example.org/i.qcow2', sha256: 'a'.repeat(64) },
  };
  expect(
    (
      await broker.call('POST', '/v1/images', {
        body: { ...input, onprem: { url: 'https://example.org/i' } },
      })
    ).body.errors[0].message,
  ).toMatch(/exactly one of: given by builtin; or given by url and sha256/);
  expect((await broker.call('POST', '/v1/images', { body: input })).status).toBe(201);
  expect((await broker.call('DELETE', '/v1/images/own', any)).status).toBe(204);
});

test('policies: checked, put in force, replaced by ETag, and obeyed', async () => {
  const source = (expression: string) => `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: only-gcp, scope: organizations/default}
spec:
  rules:
    - {name: gcp, require: '${expression}'}
`;
  const url = '/v1/policies/only-gcp';
  const wrong = await broker.call('POST', '/v1/policies/validate', {
    body: { source: source('offer.providr == "gcp"') },
  });
  expect(wrong.body.problems[0]).toMatchObject({ line: 6, severity: 'error' });
  const more = `${source('offer.providr == "gcp"')}    - {name: never, require: 'offer.vcpus > 4 && offer.vcpus < 2'}\n`;
  expect(
    (await broker.call('POST', '/v1/policies/validate', { body: { source: more } })).body.problems,
  ).toMatchObject([
    { line: 6, severity: 'error' },
    { line: 7, code: 'never-holds' },
  ]);
  const refused = await broker.call('PUT', url, { body: { source: source('offer.providr == "gcp"') } });
  expect(refused.status).toBe(422);
  const put = await broker.call('PUT', url, { body: { source: source('offer.provider == "gcp"') } });
  expect(put.body.errors).toBeUndefined();
  expect(put.status).toBe(201);
  expect(put.body).toMatchObject({
    name: 'only-gcp',
    scope: 'organizations/default',
    rules: ['gcp'],
    revision: 1,
  });
  expect(
    (await broker.call('PUT', url, { body: { source: source('offer.provider == "azure"') } })).status,
  ).toBe(428);
  const replaced = await broker.call('PUT', url, {
    body: { source: source('offer.provider == "azure"') },
    headers: { 'if-match': put.headers.get('etag')! },
  });
  expect(replaced.status).toBe(200);
  expect(
    (
      await broker.call('PUT', url, {
        body: { source: source('true') },
        headers: { 'if-match': put.headers.get('etag')! },
      })
    ).status,
  ).toBe(412);
  const plan = await broker.call('POST', '/v1/projects/default/placements', {
    body: { spec: { image: 'debian-12', vcpus: 2, memoryGiB: 4 } },
  });
  expect(plan.body).toMatchObject({
    winner: { provider: 'azure' },
    rules: [{ policy: 'only-gcp', rule: 'gcp' }],
  });
  expect(
    (await broker.call('POST', '/v1/policies/test', { body: { source: source('true') } })).body.results,
  ).toEqual([]);
  expect(
    (await broker.call('PUT', '/v1/policies/other', { body: { source: source('true') } })).body.errors[0]
      .message,
  ).toMatch(/metadata.name must be other/);
  const beside = await broker.call('POST', '/v1/policies/validate', {
    body: { source: source('offer.provider == "aws"').replace('only-gcp', 'only-aws') },
  });
  expect(beside.body.problems).toMatchObject([
    { code: 'contradiction', severity: 'warning', message: expect.stringContaining('only-gcp') },
  ]);
  expect((await broker.call('DELETE', url, any)).status).toBe(204);
  expect((await broker.call('GET', url)).status).toBe(404);
});

test('a policy keeps its scope: one of the same name for a project does not take its place', async () => {
  const source = (scope: string) => `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: floor, scope: ${scope}}
spec:
  rules:
    - {name: small, deny: offer.vcpus > 64, overridable: true}
`;
  const url = '/v1/policies/floor';
  expect((await broker.call('PUT', url, { body: { source: source('organizations/default') } })).status).toBe(
    201,
  );
  const moved = await broker.call('PUT', url, {
    body: { source: source('projects/default') },
    headers: { 'if-match': '*' },
  });
  expect(moved.status).toBe(409);
  expect(moved.body.detail).toMatch(/^Policy floor is in force for organizations\/default/);
  const typo = source('projects/default').replace('floor', 'own').replace('overridable', 'override');
  const checked = async (text: string) =>
    (await broker.call('POST', '/v1/policies/validate', { body: { source: text } })).body.problems;
  expect(await checked(typo)).toEqual([]);
  expect(await checked(typo.replace('small', 'smal'))).toMatchObject([
    { code: 'override', suggestion: 'small', message: expect.stringContaining('in force') },
  ]);
  expect((await broker.call('DELETE', url, any)).status).toBe(204);
});

test('projects and organizations go when they are empty', async () => {
  await broker.call('POST', '/v1/organizations', { body: { name: 'guests' } });
  await broker.call('POST', '/v1/projects', { body: { name: 'guest', organization: 'guests' } });
  expect((await broker.call('DELETE', '/v1/organizations/guests', any)).status).toBe(409);
  expect((await broker.call('DELETE', '/v1/projects/guest', any)).status).toBe(204);
  expect((await broker.call('DELETE', '/v1/organizations/guests', any)).status).toBe(204);
  expect((await broker.call('DELETE', '/v1/projects/default', any)).body.detail).toMatch(
    /still has instance wanted/,
  );
});
