import type { Schemas } from '@landfall/model';
import { FakeBroker, problem, type SeenRequest } from '../fake/broker.ts';
import { FakeHome } from '../fake/terminal.ts';

let broker: FakeBroker;
let home: FakeHome;
let unmanaged: Schemas['Unmanaged'][];
/** Of the other kinds. */
let others: Schemas['Unmanaged'][] = [];
/** What the broker answers to the adoption of a reference, instead of an operation. */
let refusals: Record<string, ReturnType<typeof problem>>;

const machine = (externalReference: string, more: Partial<Schemas['Unmanaged']> = {}) =>
  ({
    ...{ kind: 'Instance', externalReference, site: 'aws-1', region: 'us-east-1', state: 'ready' },
    ...{ power: 'running', instanceType: 't3.micro', vcpus: 2, memoryGiB: 1, addresses: [], labels: {} },
    ...more,
  }) as Schemas['Unmanaged'];

beforeEach(async () => {
  broker = await new FakeBroker().start();
  home = new FakeHome();
  home.env = { ...home.env, LANDFALL_URL: broker.url, LANDFALL_TOKEN: broker.token };
  refusals = {};
  others = [];
  unmanaged = [
    machine('i-1', { name: 'web-1', labels: { env: 'prod' } }),
    machine('i-2', { name: 'web-2', labels: { env: 'test' } }),
    machine('i-3', { name: 'Shop DB', instanceType: 'x9.odd', labels: { env: 'prod' } }),
    machine('i-4', { name: 'node', refused: 'it is managed by Kubernetes' }),
  ];
  broker.intercept = answer;
  await home.run(['site', 'add', '-f', '-'], {
    stdin: 'apiVersion: landfall.dev/v1\nkind: Site\nmetadata: {name: aws-1}\nspec: {provider: aws}\n',
  });
});
afterEach(async () => {
  await broker.stop();
  home.remove();
});

function answer({ method, path, query, body }: SeenRequest) {
  if (path === '/v1/sites/aws-1/unmanaged' && query.get('kind') !== 'Instance')
    return {
      status: 200,
      body: { items: others.filter(({ kind }) => kind === query.get('kind')), complete: true },
    };
  if (path === '/v1/sites/aws-1/unmanaged')
    // A page at a time, as the broker does.
    return query.get('pageToken')
      ? { status: 200, body: { items: unmanaged.slice(2), complete: true } }
      : { status: 200, body: { items: unmanaged.slice(0, 2), complete: true, nextPageToken: 'more' } };
  if (method === 'GET' && /(volumes|addresses|networks|customImages)$/.test(path))
    return { status: 200, body: { items: [] } };
  if (path === '/v1/offers') {
    const isKnown = query.get('filter')?.includes('instanceType=t3.micro');
    const offer = { pricePerMonth: 7.5, currency: 'USD' };
    return { status: 200, body: { items: isKnown ? [offer] : [], catalogue: { version: 'v', date: 'd' } } };
  }
  if (method !== 'POST' || !path.endsWith('/adoptions')) return undefined;
  const { kind, externalReference, name } = body as Schemas['AdoptionInput'];
  if (refusals[externalReference]) return refusals[externalReference];
  return broker.begin('adopt', { kind, id: externalReference, name }, () => {});
}

const adopted = () =>
  broker.requests
    .filter(({ path }) => path.endsWith('/adoptions'))
    .map(({ body }) => body as Schemas['AdoptionInput']);

test('adopt --all lists what it would adopt with names and cost, asks once, adopts each and counts', async () => {
  const ran = await home.run('adopt --all --wait --labels owner=ops', { stdin: 'y\n', asked: true });
  expect(ran.code).toBe(0);
  expect(ran.out).toMatch(
    /^KIND +NAME +AT THE PROVIDER +SITE +REGION +SIZE +STATE +PRICE\/MONTH +REFERENCE\n/,
  );
  expect(ran.out).toMatch(/\nInstance +shop-db +Shop DB +aws-1 .* running +- +i-3\n/);
  expect(ran.err).toContain('i-4: left out: it is managed by Kubernetes');
  expect(ran.err).toContain('3 instances, $15.00 a month, 1 without a known price.');
  expect(ran.err).toMatch(/\n3 adopted\.\n$/);
  expect(adopted()).toEqual(
    ['web-1', 'web-2', 'shop-db'].map((name, at) => ({
      ...{ kind: 'Instance', site: 'aws-1', externalReference: `i-${at + 1}`, name },
      labels: { owner: 'ops' },
    })),
  );
});

test('one that fails keeps no other from it: the rest is adopted, what failed is told, and the exit code says so', async () => {
  refusals['i-1'] = problem(422, 'A limit of the project would be exceeded', 'no room');
  broker.nextError = { type: 'x', title: 'It is gone', status: 422, detail: 'i-2 is gone' };
  const ran = await home.run('adopt --all --yes --wait');
  expect(ran.code).toBe(1);
  expect(ran.err).toContain('instance/web-1: no room');
  expect(ran.err).toMatch(/\n1 adopted, 2 failed\.\n$/);
});

test('run again, what is managed already is no failure; nothing left is said', async () => {
  const errors = [{ pointer: '/externalReference', message: 'is managed already' }];
  const conflict = problem(409, 'Conflict', 'i-1 is instance web-1 of project default already.');
  refusals['i-1'] = { ...conflict, body: { ...(conflict.body as object), errors } };
  const { code, out } = await home.run('adopt --all --yes -o json');
  expect(code).toBe(0);
  expect(JSON.parse(out).items).toMatchObject([
    { name: 'web-1', externalReference: 'i-1', result: 'managed', pricePerMonth: 7.5 },
    { name: 'web-2', result: 'adopting', operation: expect.any(String) },
    { name: 'shop-db', result: 'adopting' },
  ]);
  unmanaged = [];
  expect(await home.run('adopt --all --yes')).toMatchObject({ code: 0, err: 'Nothing to adopt.\n' });
});

test('a name, a selector, a site narrow it down; a dry run adopts nothing; without a person --yes is needed', async () => {
  const names = async (line: string) =>
    JSON.parse((await home.run(`adopt ${line} --dry-run -o json`)).out).items.map(
      ({ name, result }: { name: string; result: string }) => `${name} ${result}`,
    );
  expect(await names('--all --name web-*')).toEqual(['web-1 found', 'web-2 found']);
  expect(await names('instance --all --selector env=prod')).toEqual(['web-1 found', 'shop-db found']);
  expect(await names('--all --site aws-1 --name web-? --selector env=test')).toEqual(['web-2 found']);
  expect((await home.run('adopt --all')).err).toContain('--yes');
  expect(adopted()).toEqual([]);
  for (const wrong of ['adopt', 'adopt instance', 'adopt instance i-1', 'adopt instance i-1 --as a --all'])
    expect((await home.run(wrong)).code).toBe(2);
  expect((await home.run('adopt instance i-1 --as a --name b')).code).toBe(2);
});

test('a name that is taken gets the end of the reference behind it, and no two are alike', async () => {
  unmanaged = ['i-0aa1', 'i-0bb2', 'i-0cc3'].map((ref) => machine(ref, { name: 'web' }));
  const { out } = await home.run('adopt --all --dry-run -o json');
  expect(JSON.parse(out).items.map(({ name }: { name: string }) => name)).toEqual([
    'web',
    'web-i-0bb2',
    'web-i-0cc3',
  ]);
});

test('a site that cannot be read is told, the others are adopted, and the exit code says that it is not all', async () => {
  broker.sites.set('gone', { ...broker.sites.get('aws-1')!, name: 'gone' });
  const whole = broker.intercept;
  broker.intercept = (request) =>
    request.path === '/v1/sites/gone/unmanaged' ? problem(503, 'Unavailable', 'no answer') : whole(request);
  const ran = await home.run('adopt --all --yes --wait');
  expect(ran.code).toBe(1);
  expect(ran.err).toContain('site/gone: no answer');
  expect(adopted()).toHaveLength(3);
});

test('what is at no site that could be read may be at one that could not, and that is said', async () => {
  broker.sites.set('gone', { ...broker.sites.get('aws-1')!, name: 'gone' });
  const whole = broker.intercept;
  let gone = problem(503, 'Unavailable', 'no answer');
  broker.intercept = (request) => {
    if (request.path === '/v1/sites/gone/unmanaged') return gone;
    const isOther = request.query.get('externalReference') === 'i-9';
    return isOther ? { status: 200, body: { items: [], complete: true } } : whole(request);
  };
  const ran = await home.run('adopt instance i-9 --as other');
  expect(ran.code).toBe(1);
  expect(ran.err).toContain('i-9 is at no site that could be read. Not read: site/gone (no answer).');
  gone = { status: 200, body: { items: [], complete: false } } as unknown as typeof gone;
  expect((await home.run('adopt instance i-9 --as other')).err).toContain('site/gone (a part of it)');
  gone = problem(422, 'Invalid', 'it adopts none');
  const none = await home.run('adopt instance i-9 --as other');
  expect(none).toMatchObject({ code: 3 });
  expect(none.err).toContain('No site has i-9 without Landfall.');
});

/** The site says what it adopts. */
function adopts(...kinds: string[]) {
  const site = broker.sites.get('aws-1')!;
  const verbs = (kind: string) => ({ adopt: kinds.includes(kind) || { reason: 'nobody does' } });
  const capabilities = ['Instance', 'Volume', 'Address', 'Network', 'Image'].map((kind) => ({
    kind,
    verbs: verbs(kind),
  }));
  broker.sites.set('aws-1', { ...site, status: { ...site.status, capabilities } as typeof site.status });
}
const disk = (externalReference: string, more: Partial<Schemas['Unmanaged']> = {}) =>
  machine(externalReference, {
    ...{ kind: 'Volume', power: undefined, instanceType: undefined, vcpus: undefined, memoryGiB: undefined },
    ...{ diskGiB: 20, type: 'gp3', ...more },
  });

test('adopt --all takes every kind that the site adopts, machines first, and leaves out what hangs on another’s machine', async () => {
  adopts('Instance', 'Volume', 'Address');
  others = [
    disk('vol-1', { name: 'data', attachedTo: 'i-1' }),
    disk('vol-2', { attachedTo: 'i-4' }),
    disk('vol-3'),
    disk('eip-1', { kind: 'Address', diskGiB: undefined }),
    disk('vpc-1', { kind: 'Network' }),
  ];
  const ran = await home.run('adopt --all --yes --wait');
  expect(ran.code).toBe(0);
  expect(ran.err).toContain("vol-2: left out: it is attached to i-4, which is not Landfall's");
  expect(ran.err).toContain('3 instances, 2 volumes, 1 address, $15.00 a month');
  expect(ran.out).toMatch(/\nVolume +data +data +aws-1 +us-east-1 +20 GiB +ready +- +vol-1\n/);
  expect(ran.err).toMatch(/\n6 adopted\.\n$/);
  expect(adopted().map(({ kind, externalReference, name }) => [kind, externalReference, name])).toEqual([
    ['Instance', 'i-1', 'web-1'],
    ['Instance', 'i-2', 'web-2'],
    ['Instance', 'i-3', 'shop-db'],
    ['Volume', 'vol-1', 'data'],
    ['Volume', 'vol-3', 'volume'],
    ['Address', 'eip-1', 'address'],
  ]);
  broker.requests.length = 0;
  await home.run('adopt volume --all --yes --name data');
  // Its machine is nobody's, and is not adopted with it.
  expect(adopted()).toEqual([]);
});

test('discover shows every kind that the site adopts, or the one that is named; adopt takes one of it by its reference', async () => {
  adopts('Instance', 'Volume');
  others = [disk('vol-1', { name: 'data', attachedTo: 'i-1' }), disk('vpc-1', { kind: 'Network' })];
  const all = await home.run('discover');
  expect(all.out).toMatch(/\nInstance +web-1 .*\n(.*\n)*Volume +data +us-east-1 +20 GiB +ready +vol-1 /);
  expect(all.out).not.toContain('vpc-1');
  for (const line of ['discover volumes', 'discover --kind volume'])
    expect((await home.run(`${line} -o name`)).out).toBe('volume/vol-1\n');
  const wide = await home.run('discover volumes -o wide');
  expect(wide.out).toMatch(/TYPE +ATTACHED TO/);
  expect(wide.out).toMatch(/gp3 +i-1/);
  expect((await home.run('discover volume --kind volume')).code).toBe(2);
  // What the site does not adopt is asked all the same, for its reason.
  expect((await home.run('discover networks -o name')).out).toBe('network/vpc-1\n');
  expect(await home.run('adopt volume vol-1 --as data --wait')).toMatchObject({
    code: 0,
    out: 'volume/data adopting vol-1 at site/aws-1\n',
  });
  expect(adopted()).toMatchObject([
    { kind: 'Volume', site: 'aws-1', externalReference: 'vol-1', name: 'data' },
  ]);
});

test('an image is adopted with the user whom one names, a network with what it has; without a user images are left out', async () => {
  adopts('Network', 'Image');
  const subnets = [{ name: 'front', cidr: '10.7.1.0/24' }];
  others = [
    disk('vpc-1', { kind: 'Network', name: 'shop', diskGiB: undefined, cidr: '10.7.0.0/16', subnets }),
    disk('ami-1', { kind: 'Image', name: 'base' }),
  ];
  const found = await home.run('discover networks');
  expect(found.out).toMatch(/\nNetwork +shop +us-east-1 +10\.7\.0\.0\/16, 1 subnet +ready +vpc-1\n/);
  const ran = await home.run('adopt --all --yes --wait');
  expect(ran.err).toContain('ami-1: left out: say whom one logs in as on what is made from it: --user NAME');
  expect(adopted()).toMatchObject([{ kind: 'Network', externalReference: 'vpc-1', name: 'shop' }]);
  broker.requests.length = 0;
  expect((await home.run('adopt image ami-1 --as base')).err).toContain('Say it with --user');
  expect((await home.run('adopt network vpc-1 --as shop --user admin')).err).toContain('--user is of images');
  expect(adopted()).toEqual([]);
  const one = await home.run('adopt image ami-1 --as base --user admin --site aws-1');
  expect(one.out).toBe('customimage/base adopting ami-1 at site/aws-1\n');
  expect((await home.run('adopt images --all --user admin --yes')).code).toBe(0);
  expect(adopted()).toMatchObject([
    { kind: 'Image', name: 'base', user: 'admin' },
    { kind: 'Image', name: 'base', user: 'admin' },
  ]);
});
