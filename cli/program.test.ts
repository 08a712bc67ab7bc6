import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FakeBroker, problem } from './fake/broker.ts';
import { unplaceableDecision } from './fake/samples.ts';
import { FakeHome } from './fake/terminal.ts';
import { kinds, kindWords } from './kinds.ts';

let broker: FakeBroker;
let home: FakeHome;
const examples = new URL('../examples/', import.meta.url).pathname;

beforeEach(async () => {
  broker = await new FakeBroker().start();
  home = new FakeHome();
  home.env = { ...home.env, LANDFALL_URL: broker.url, LANDFALL_TOKEN: broker.token };
});
afterEach(async () => {
  await broker.stop();
  home.remove();
});

const upFirst = () => home.run(['apply', '--wait', '-f', join(examples, 'first.yaml')]);

describe('get', () => {
  test('shows instances in a table, and more columns when wide', async () => {
    await upFirst();
    const { out } = await home.run('get instances');
    expect(out).toMatch(
      /^NAME +STATE +SITE +REGION +TYPE +PRICE\/H +ADDRESS +AGE\nfirst +Running +local +dc1 +flex +\$0\.0104 +10\.77\.0\.5 +\S+\n$/,
    );
    expect((await home.run('get vm -o wide')).out).toMatch(/HOST +VCPUS +MEMORY +IMAGE/);
  });
  test('answers in JSON, YAML and names, a list as items and one as itself', async () => {
    await upFirst();
    expect(JSON.parse((await home.run('get instances -o json')).out).items[0].name).toBe('first');
    expect(JSON.parse((await home.run('-o json get instance first')).out).name).toBe('first');
    expect((await home.run('get instance/first -o yaml')).out).toMatch(/^name: first$/m);
    expect((await home.run('get instances -o name')).out).toBe('instance/first\n');
  });
  test('follows every page', async () => {
    broker.intercept = ({ path, query }) =>
      path === '/v1/sites'
        ? query.get('pageToken') === 'more'
          ? { status: 200, body: { items: [{ name: 'b' }] } }
          : { status: 200, body: { items: [{ name: 'a' }], nextPageToken: 'more' } }
        : undefined;
    expect((await home.run('get sites -o name')).out).toBe('site/a\nsite/b\n');
  });
  test('takes singular, plural and short names of every kind', () => {
    const words = kinds.flatMap(kindWords);
    expect(new Set(words).size).toBe(words.length);
    expect(words).toEqual(
      expect.arrayContaining(
        'organizations projects tokens sites hosts offers images sshkeys instances operations policies decisions events vm op'.split(
          ' ',
        ),
      ),
    );
  });
  test('goes on with a row for every change when watching', async () => {
    await upFirst();
    const watching = home.run('get instances --watch');
    while (broker.watchers.size === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const first = broker.instances.get('first')!;
    first.status.state = 'Stopped';
    broker.emit('instance.stopped', 'first stopped', {
      kind: 'Instance',
      id: first.id,
      name: 'first',
      project: 'default',
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    home.interruption.abort();
    const { code, out } = await watching;
    expect(out).toMatch(/^NAME.*\nfirst +Running.*\nfirst +Stopped.*\n$/);
    expect(code).toBe(130);
  });
});

describe('exit codes', () => {
  test.each([
    ['get instance nothing', 3],
    ['get nonsense', 2],
    ['get', 2],
    ['frobnicate', 2],
    ['apply', 2],
    ['get sites -o xml', 2],
    ['get sites', 0],
    ['version', 0],
    ['--help', 0],
    ['stop site aws', 2],
    ['resize instance first', 2],
    ['whoami --url http://127.0.0.1:1', 6],
  ])('%s ends with %i', async (line, code) => {
    expect((await home.run(line)).code).toBe(code);
  });
  test('a wrong token is denied, and the message says what to do', async () => {
    const ran = await home.run('get sites --token wrong');
    expect(ran.code).toBe(4);
    expect(ran.err).toMatch(/landfall login/);
  });
  test('a refused connection says what to do, without a stack', async () => {
    const other = await new FakeBroker().start();
    await other.stop();
    const closed = other.url;
    const ran = await home.run(`get sites --url ${closed}`);
    expect(ran.err).toBe(
      `Error: No broker at ${closed}: nothing listens there.\nIt is the address that --url names. Is the broker up?\n`,
    );
  });
  test('something that is not a broker is told apart from one', async () => {
    broker.intercept = () => ({ status: 502 });
    const ran = await home.run('get sites');
    expect(ran).toMatchObject({ code: 6, err: expect.stringContaining("The broker's address answered 502") });
  });
});

test('what a policy refuses at the door ends plan and apply with a code of its own', async () => {
  const refusal = {
    type: 'https://landfall.dev/problems/policy-refused',
    title: 'A policy refuses the request',
    status: 422,
    errors: [
      { pointer: '/labels', message: 'is refused by hygiene/owner: the request must have the label owner' },
    ],
  };
  const file = join(examples, 'anywhere.yaml');
  broker.intercept = ({ method, path }) =>
    method === 'POST' && /placement|instances/.test(path) ? { status: 422, body: refusal } : undefined;
  for (const line of [`plan -f ${file}`, `plan --count 2 -f ${file}`, `apply -f ${file}`]) {
    const ran = await home.run(line);
    expect([line, ran.code]).toEqual([line, 7]);
    expect(ran.err).toMatch(/^Error: .*A policy refuses the request\.\n.*hygiene\/owner/m);
  }
});

test('describe shows spec, place, reasons, addresses, cost and events', async () => {
  await upFirst();
  const { out } = await home.run('describe instance first');
  for (const part of [
    'Instance first',
    'Wanted',
    'Where',
    'Why',
    'Addresses',
    'Cost',
    'Events',
    'Per month: $7.59',
    'landfall@127.0.0.1 port 22022',
    'instance.running',
  ]) {
    expect(out).toContain(part);
  }
});

test('describe and get -o wide say what was put right last', async () => {
  await upFirst();
  const message = 'the machine vm-1 was found stopped, which nobody asked Landfall for; it was started again';
  broker.instances.get('first')!.status.lastRepair = { at: new Date().toISOString(), message };
  expect((await home.run('describe instance first')).out).toContain(`Last repair: ${message}`);
  expect((await home.run('get instances -o wide')).out).toContain(message);
});

test('plan shows where it would land, fails when it fits nowhere, and creates nothing', async () => {
  const ran = await home.run(['plan', '-f', join(examples, 'anywhere.yaml')]);
  expect(ran).toMatchObject({ code: 0, err: '' });
  expect(ran.out).toMatch(/^instance\/web lands on/);
  broker.decision = unplaceableDecision;
  expect((await home.run(['plan', '-f', join(examples, 'anywhere.yaml')])).code).toBe(1);
  expect(new Set(broker.asked)).toEqual(new Set(['POST /v1/projects/default/placements']));
});

test('explain shows the decision recorded for an instance', async () => {
  await upFirst();
  expect((await home.run('explain instance first')).out).toMatch(/^instance\/first lands on on-prem dc1/);
});

test('stop, start, reboot, resize and delete wait for their operations', async () => {
  await upFirst();
  for (const line of [
    'stop instance first --wait',
    'start vm first --wait',
    'reboot instance/first --wait',
  ]) {
    expect((await home.run(line)).code).toBe(0);
  }
  expect(await home.run('resize instance first --vcpus 2 --memory 1GiB --wait')).toMatchObject({
    code: 0,
    out: 'instance/first resizing\n',
  });
  expect(broker.requests.find(({ path }) => path.endsWith('/resize'))?.body).toEqual({
    vcpus: 2,
    memoryGiB: 1,
  });
  expect(await home.run('delete instance first --wait')).toMatchObject({
    code: 0,
    out: 'instance/first deleting\n',
  });
  expect((await home.run('get instance first')).code).toBe(3);
  expect((await home.run('delete instance first')).code).toBe(3);
  expect((await home.run('delete instance first --ignore-not-found')).code).toBe(0);
});

test('every POST has an idempotency key, and no two the same', async () => {
  await upFirst();
  await home.run('stop instance first');
  const keys = broker.requests
    .filter(({ method }) => method === 'POST')
    .map(({ headers }) => headers['idempotency-key']);
  expect(keys.every(Boolean)).toBe(true);
  expect(new Set(keys).size).toBe(keys.length);
});

describe('audit', () => {
  test('that fails says why once, and ends with 1', async () => {
    broker.auditReport = undefined as never;
    broker.nextError = { type: 'x', title: 'No site answered', status: 422, detail: 'the worker is away' };
    const ran = await home.run('audit');
    expect(ran.code).toBe(1);
    expect(ran.err.match(/the worker is away/g)).toHaveLength(1);
  });
  test('that is clean says so in its first line', async () => {
    const ran = await home.run('audit');
    expect(ran.code).toBe(0);
    expect(ran.out.split('\n')[0]).toBe('0 orphans, 0 missing, 0 doubled');
  });
  test('that finds something, or could not look everywhere, fails', async () => {
    broker.auditReport = {
      ...broker.auditReport,
      orphans: [{ site: 'aws', ref: 'i-1', message: 'nobody asked for it' }],
    };
    const ran = await home.run('audit');
    expect(ran.code).toBe(1);
    expect(ran.out).toMatch(/^1 orphans.*\n.*\nWHAT.*\norphan +aws +- +i-1 +- +nobody asked for it\n$/);
    broker.auditReport = {
      ...broker.auditReport,
      orphans: [],
      sites: [{ site: 'aws', complete: false, message: 'denied' }],
    };
    expect(await home.run('audit')).toMatchObject({
      code: 1,
      out: expect.stringContaining('not complete: aws: denied'),
    });
  });
});

describe('login', () => {
  test('checks the token, saves the context, and it is used from then on', async () => {
    const { url, token } = broker;
    home.env = { ...home.env, LANDFALL_URL: undefined, LANDFALL_TOKEN: undefined };
    const ran = await home.run(['login', url, '--name', 'here'], { stdin: `${token}\n` });
    expect(ran).toMatchObject({
      code: 0,
      out: expect.stringContaining('as admin (admin of default); context "here" is current'),
    });
    expect((await home.run('whoami')).out).toMatch(/context here/);
    const list = await home.run('context list -o json');
    expect(list.out).not.toContain(token);
    expect(JSON.parse(list.out).items).toEqual([{ name: 'here', current: true, url }]);
    await home.run('context use here --project shop');
    await home.run('get instances');
    expect(broker.asked.at(-1)).toBe('GET /v1/projects/shop/instances');
    expect((await home.run('context delete here')).code).toBe(0);
    expect((await home.run('whoami')).code).toBe(6);
  });
  test('saves nothing when the token is wrong', async () => {
    expect((await home.run(['login', broker.url, '--token', 'wrong'])).code).toBe(4);
    expect((await home.run('context list')).err).toMatch(/No contexts yet/);
  });
});

test('token create prints the secret and nothing else to standard output', async () => {
  broker.intercept = ({ method, path }) =>
    method === 'POST' && path === '/v1/tokens'
      ? { status: 201, body: { id: 'x', kind: 'Token', name: 'ci', role: 'operator', secret: 'lf_new' } }
      : undefined;
  const ran = await home.run('token create ci --role operator --expires-in 30d');
  expect(ran).toMatchObject({ code: 0, out: 'lf_new\n', err: expect.stringContaining('not shown again') });
  expect(broker.requests.at(-1)?.body).toEqual({ name: 'ci', role: 'operator', expiresIn: '30d' });
});

describe('policy', () => {
  const policy = (rule: string): string => {
    writeFileSync(
      join(home.folder, 'p.yaml'),
      `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: cheap}\nspec:\n  rules:\n  - {name: cap, require: ${rule}}\ntests:\n- {name: fits, request: {vcpus: 2, memoryGiB: 4}, expect: {placed: {}}}\n`,
    );
    return 'p.yaml';
  };
  test('validate and test need no broker', async () => {
    home.env = { ...home.env, LANDFALL_URL: undefined };
    expect(await home.run(['policy', 'validate', '-f', policy('offer.price < 0.5')])).toMatchObject({
      code: 0,
      out: '1 file valid\n',
    });
    const bad = await home.run(['policy', 'validate', '-f', policy('offer.prise < 0.5')]);
    expect(bad.code).toBe(1);
    expect(bad.out).toMatch(/^p\.yaml:6:\d+ error /);
    expect((await home.run(['policy', 'test', '-f', policy('offer.price < 0.5')])).out).toMatch(
      /passed cheap: fits\n1 passed, 0 failed\n$/,
    );
  });
  test('put is idempotent, and a file with errors reaches no broker', async () => {
    const file = policy('offer.price < 0.5');
    expect((await home.run(['policy', 'put', '-f', file])).out).toBe('policy/cheap created\n');
    expect((await home.run(['apply', '-f', file])).out).toBe('policy/cheap unchanged\n');
    broker.requests.length = 0;
    expect((await home.run(['policy', 'put', '-f', policy('offer.prise < 0.5')])).code).toBe(2);
    expect(broker.requests.filter(({ method }) => method === 'PUT')).toEqual([]);
  });
});

test('describe operation shows its steps, and all of them as JSON', async () => {
  await upFirst();
  const id = [...broker.operations.keys()].at(-1);
  broker.steps = [
    {
      ...{ step: 'ensure', resource: 'i', attempt: 1, try: 1, site: 'aws', compensation: false },
      ...{ startedAt: '2026-01-01T12:00:00Z', finishedAt: '2026-01-01T12:00:01Z', failed: null },
      ...{ calls: [], callsLeftOut: 0 },
    },
  ];
  const shown = await home.run(`describe operation ${id}`);
  expect(shown.out).toMatch(/Steps\n.*AFTER +STEP +PROVIDER\n.*ensure, 1\.00s +aws, attempt 1/);
  const json = await home.run(`describe operation ${id} -o json`);
  expect(JSON.parse(json.out)).toMatchObject({ id, steps: broker.steps, stepsLeftOut: 0 });
});

test('operation wait ends when the operation does, and fails with it', async () => {
  await home.run(['apply', '-f', join(examples, 'first.yaml')]);
  const [id] = [...broker.operations.keys()];
  expect((await home.run(`operation wait ${id}`)).code).toBe(0);
  expect((await home.run('operation wait 00000000-0000-0000-0000-000000000000')).code).toBe(3);
});

test('waiting outlasts a broker that restarts', async () => {
  let away = 1;
  broker.intercept = ({ path }) =>
    path.startsWith('/v1/operations/') && away-- > 0 ? problem(503, 'Starting') : undefined;
  const ran = await upFirst();
  expect(ran.code).toBe(0);
  expect(ran.err).toContain('the broker does not answer; trying on');
});

test('a connection that breaks in the middle is tried again with the same idempotency key', async () => {
  let breaks = 1;
  const keys: unknown[] = [];
  broker.intercept = (request) => {
    if (!request.path.endsWith('/instances') || request.method !== 'POST') return undefined;
    if (request.query.get('validateOnly') === 'true') return undefined;
    keys.push(request.headers['idempotency-key']);
    if (breaks-- > 0) broker.dropConnections();
    return undefined;
  };
  expect((await upFirst()).code).toBe(0);
  expect(keys).toHaveLength(2);
  expect(keys[0]).toBe(keys[1]);
});
