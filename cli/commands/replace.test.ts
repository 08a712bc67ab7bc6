import { FakeBroker, problem } from '../fake/broker.ts';
import { FakeHome } from '../fake/terminal.ts';

let broker: FakeBroker;
let home: FakeHome;
const path = '/v1/projects/default/instances/web/replace';

beforeEach(async () => {
  broker = await new FakeBroker().start();
  home = new FakeHome();
  home.env = { ...home.env, LANDFALL_URL: broker.url, LANDFALL_TOKEN: broker.token };
  broker.intercept = (request) => {
    if (request.path !== path) return undefined;
    if (request.query.get('validateOnly') === 'true') return { status: 204 };
    return { status: 202, body: { id: '1', verb: 'replace', state: 'Pending' } };
  };
});
afterEach(async () => {
  await broker.stop();
  home.remove();
});

/** Requests that are meant, and not only tried. */
const asked = () =>
  broker.requests.filter((request) => request.path === path && request.query.get('validateOnly') !== 'true');

test('replace says what is lost and goes on with a yes alone', async () => {
  const no = await home.run('replace instance web', { stdin: '\n', asked: true });
  expect(no.code).toBe(1);
  expect(no.err).toContain('What was on the boot disk of the lost one is gone for good');
  expect(no.err).toContain('instance/web was left as it is.');
  expect(asked()).toEqual([]);
  const yes = await home.run('replace instance web', { stdin: 'y\n', asked: true });
  expect(yes).toMatchObject({ code: 0, out: 'instance/web replacing\n' });
  expect(asked()).toHaveLength(1);
});

test('where nobody can be asked it needs --yes; image and keys are passed on', async () => {
  const refused = await home.run('replace instance web');
  expect(refused).toMatchObject({ code: 2, err: expect.stringContaining('Answer with --yes') });
  expect(asked()).toEqual([]);
  expect((await home.run('replace instance web --yes --image debian-12 --ssh-key a b')).code).toBe(0);
  expect(asked()[0]?.body).toEqual({ image: 'debian-12', sshKeys: ['a', 'b'] });
});

test('what is refused is refused before the question', async () => {
  broker.intercept = (request) =>
    request.path === path
      ? problem(409, 'conflict', 'instance web is Running: only a machine that is Lost is replaced')
      : undefined;
  const refused = await home.run('replace instance web', { stdin: 'y\n', asked: true });
  expect(refused.code).not.toBe(0);
  expect(refused.err).toContain('only a machine that is Lost is replaced');
  expect(refused.err).not.toContain('boot disk');
});
