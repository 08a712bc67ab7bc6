import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FakeBroker, problem } from '../fake/broker.ts';
import { FakeHome } from '../fake/terminal.ts';

let broker: FakeBroker;
let home: FakeHome;
const examples = new URL('../../examples/', import.meta.url).pathname;

beforeEach(async () => {
  broker = await new FakeBroker().start();
  home = new FakeHome();
  home.env = { ...home.env, LANDFALL_URL: broker.url, LANDFALL_TOKEN: broker.token };
});
afterEach(async () => {
  await broker.stop();
  home.remove();
});

function manifest(text: string): string {
  writeFileSync(join(home.folder, 'm.yaml'), text);
  return 'm.yaml';
}

const web = (spec: string, metadata = 'name: web'): string =>
  manifest(
    `apiVersion: landfall.dev/v1\nkind: Instance\nmetadata: {${metadata}}\nspec:\n  image: tiny\n  vcpus: 1\n  memoryGiB: 1\n${spec}`,
  );

test('the first example is created, waited for, and logged in to with a key made for a newcomer', async () => {
  const ran = await home.run(['apply', '-f', join(examples, 'first.yaml'), '--wait']);
  expect(ran).toMatchObject({ code: 0, out: 'instance/first created\n' });
  expect(ran.err).toMatch(/Made an SSH key for your machines/);
  expect(ran.err).toMatch(/instance\/first: succeeded/);
  expect(ran.err).toMatch(
    /first runs at local\/dc1\/kvm1 for \$0\.0104 an hour, 10\.77\.0\.5\. Log in: landfall ssh first/,
  );
  expect(broker.instances.get('first')?.spec.sshKeys).toEqual(['landfall-ada']);
  const key = join(home.folder, 'config', 'id_ed25519');
  expect(statSync(key).mode & 0o777).toBe(0o600);
  expect(broker.sshKeys.get('landfall-ada')?.publicKey).toBe(readFileSync(`${key}.pub`, 'utf8').trim());
});

test('a second apply of the same manifest changes nothing', async () => {
  await home.run(['apply', '-f', join(examples, 'debian.yaml'), '--wait']);
  broker.requests.length = 0;
  const ran = await home.run(['apply', '-f', join(examples, 'debian.yaml'), '--wait']);
  expect(ran).toMatchObject({ code: 0, out: 'instance/debian unchanged\n' });
  expect(new Set(broker.requests.map(({ method }) => method))).toEqual(new Set(['GET']));
});

test('what can change in place is patched with the ETag last read', async () => {
  await home.run(['apply', '--wait', '-f', web('', 'name: web, labels: {env: dev, old: x}')]);
  const ran = await home.run([
    'apply',
    '--wait',
    '-f',
    web('  diskGiB: 20\n', 'name: web, labels: {env: prod}'),
  ]);
  expect(ran).toMatchObject({ code: 0, out: 'instance/web configured\n' });
  const patch = broker.requests.find(({ method }) => method === 'PATCH');
  expect(patch?.headers['content-type']).toBe('application/merge-patch+json');
  expect(patch?.headers['if-match']).toBe('"2"');
  expect(patch?.body).toEqual({ labels: { env: 'prod', old: null }, spec: { diskGiB: 20 } });
});

test('a stale ETag is read again', async () => {
  await home.run(['apply', '--wait', '-f', web('')]);
  let stale = 2;
  broker.intercept = ({ method }) => (method === 'PATCH' && stale-- > 0 ? problem(412, 'Stale') : undefined);
  expect(await home.run(['apply', '-f', web('  diskGiB: 20\n')])).toMatchObject({
    code: 0,
    out: 'instance/web configured\n',
  });
});

test('fields that cannot change in place are each named, and nothing is sent', async () => {
  await home.run(['apply', '--wait', '-f', web('  userData: one\n')]);
  const ran = await home.run(['apply', '-f', web('  userData: two\n  market: spot\n  diskGiB: 30\n')]);
  expect(ran.code).toBe(5);
  expect(ran.err).toMatch(/instance\/web cannot change in place:\n {2}spec\.market: "onDemand" → "spot"/);
  expect(ran.err).toMatch(/spec\.userDataDigest: "sha256:/);
  expect(ran.err).not.toMatch(/diskGiB/);
  expect(broker.requests.some(({ method }) => method === 'PATCH')).toBe(false);
});

test('a stopped or resized instance stays so when the manifest does not say otherwise', async () => {
  await home.run(['apply', '--wait', '-f', web('')]);
  Object.assign(broker.instances.get('web')!.spec, { power: 'stopped', diskGiB: 50 });
  expect(await home.run(['apply', '-f', web('')])).toMatchObject({ out: 'instance/web unchanged\n' });
  expect(await home.run(['apply', '-f', web('  power: running\n')])).toMatchObject({
    out: 'instance/web configured\n',
  });
});

test('a dry run makes no key, creates nothing, and says where it would land', async () => {
  const ran = await home.run(['apply', '--dry-run', '-f', web('')]);
  expect(ran).toMatchObject({ code: 0, err: '' });
  expect(ran.out).toMatch(/instance\/web created \(dry run\)\n {2}\+ spec\.image: tiny/);
  expect(ran.out).toMatch(/would land on on-prem dc1, host kvm1: flex, \$0\.0208 an hour/);
  expect(broker.instances.size + broker.sshKeys.size).toBe(0);
});

test('a key of the same name with other content gets a name of its own beside it', async () => {
  broker.sshKeys.set('landfall-ada', { name: 'landfall-ada', publicKey: 'ssh-ed25519 AAAAother x' } as never);
  await home.run(['apply', '-f', web('')]);
  expect(broker.instances.get('web')?.spec.sshKeys?.[0]).toMatch(/^landfall-ada-[0-9a-f]{8}$/);
});

test('with --no-default-key no key is made', async () => {
  await home.run(['apply', '--no-default-key', '-f', web('')]);
  expect(broker.instances.get('web')?.spec.sshKeys).toBeUndefined();
  expect(broker.sshKeys.size).toBe(0);
});

test('an instance that the broker refuses leaves no key behind', async () => {
  broker.intercept = ({ method, path }) =>
    method === 'POST' && path.endsWith('/instances') ? problem(400, 'There is no image tinny') : undefined;
  expect((await home.run(['apply', '-f', web('')])).code).toBe(2);
  expect(broker.sshKeys.size).toBe(0);
  broker.intercept = () => undefined;
  expect((await home.run(['apply', '-f', web('')])).code).toBe(0);
  expect(broker.sshKeys.size).toBe(1);
});

test('what others refer to is applied first, whatever the order of the documents', async () => {
  const file = manifest(
    `apiVersion: landfall.dev/v1\nkind: Instance\nmetadata: {name: web}\nspec: {image: tiny, vcpus: 1, memoryGiB: 1, sshKeys: [me]}\n---\n` +
      `apiVersion: landfall.dev/v1\nkind: SshKey\nmetadata: {name: me}\nspec: {publicKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me}\n---\n` +
      `apiVersion: landfall.dev/v1\nkind: Site\nmetadata: {name: aws}\nspec: {provider: aws, regions: [us-east-1]}\n`,
  );
  expect((await home.run(['apply', '-f', file])).out).toBe(
    'site/aws created\nsshkey/me created\ninstance/web created\n',
  );
  expect((await home.run(['apply', '-f', file])).out).toBe(
    'site/aws unchanged\nsshkey/me unchanged\ninstance/web unchanged\n',
  );
});

test('a problem is shown at the line of the manifest that caused it, and the others are still applied', async () => {
  const file = manifest(
    `apiVersion: landfall.dev/v1\nkind: Instance\nmetadata:\n  name: bad\nspec:\n  image: tiny\n  vcpus: "x"\n  memoryGiB: 1\n---\n` +
      `apiVersion: landfall.dev/v1\nkind: Instance\nmetadata: {name: good}\nspec: {image: tiny, vcpus: 1, memoryGiB: 1}\n`,
  );
  broker.intercept = ({ method, body }) =>
    method === 'POST' && (body as { name?: string }).name === 'bad'
      ? problem(400, 'The request is not valid', undefined, [
          { pointer: '/spec/vcpus', message: 'must be integer', value: 'x', suggestion: 'Write 1.' },
        ])
      : undefined;
  const ran = await home.run(['apply', '-f', file]);
  expect(ran.code).toBe(2);
  expect(ran.out).toBe('instance/good created\n');
  expect(ran.err).toContain(
    'Error: instance/bad: The request is not valid.\nm.yaml:7:10 spec.vcpus: must be integer (it is "x"). Write 1.\n',
  );
});

test('an operation that fails fails the command and tells why', async () => {
  broker.nextError = { type: 'x', title: 'No compliant offer', status: 409, detail: 'eu-data rejects all' };
  const ran = await home.run(['apply', '--wait', '-f', web('')]);
  expect(ran.code).toBe(1);
  expect(ran.err).toContain('Error: instance/web: No compliant offer: eu-data rejects all.\n');
});

test('Ctrl-C while waiting says that the operation goes on and how to follow it', async () => {
  broker.readsToEnd = 1000;
  broker.intercept = ({ path }) => {
    if (path.startsWith('/v1/operations/')) setTimeout(() => home.interruption.abort(), 50);
    return undefined;
  };
  const ran = await home.run(['apply', '--wait', '-f', web('')]);
  expect(ran.code).toBe(130);
  const [id] = [...broker.operations.keys()];
  expect(ran.err).toContain(`landfall operation wait ${id}`);
  expect(broker.asked.some((line) => line.endsWith('/cancel'))).toBe(false);
});
