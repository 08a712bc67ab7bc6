import type { Schemas } from '@landfall/model';
import { FakeBroker, problem } from '../fake/broker.ts';
import { FakeHome } from '../fake/terminal.ts';

type Spend = Schemas['Spend'];

let broker: FakeBroker;
let home: FakeHome;
/** What the broker answers, page by page. */
let answers: Partial<Spend>[];

beforeEach(async () => {
  broker = await new FakeBroker().start();
  home = new FakeHome();
  home.env = { ...home.env, LANDFALL_URL: broker.url, LANDFALL_TOKEN: broker.token };
  answers = [];
  broker.intercept = ({ path, query }) => {
    if (path !== '/v1/spend') return undefined;
    const by = (query.get('by') ?? 'project') as Spend['by'];
    const from = query.get('from')!;
    const whole = { from, to: from, by, accountFrom: '2026-01-01T00:00:00.000Z', totals: [], items: [] };
    return { status: 200, body: { ...whole, ...answers.shift() } };
  };
});
afterEach(async () => {
  await broker.stop();
  home.remove();
});

const sum = (amount: number, more: object = {}) => ({
  currency: 'USD',
  amount,
  hours: 12.5,
  pricePerHour: 0.0104,
  running: 1,
  ...more,
});
const asked = () => broker.requests.map(({ query }) => Object.fromEntries(query));
const since = () => new Date(asked()[0]!.from!);

test('what was spent is a table with its total in the last line', async () => {
  answers = [
    {
      items: [
        { name: 'web', ...sum(12.345) },
        { name: 'db', ...sum(0.0042) },
      ],
      totals: [sum(12.3492, { running: 2 })],
    },
  ];
  const { code, out, err } = await home.run('spend --since 30d');
  expect([code, err]).toEqual([0, '']);
  expect(out).toBe(
    [
      'PROJECT     SPENT   HOURS   RUNNING     NOW/H',
      'web        $12.35    12.5         1   $0.0104',
      'db        $0.0042    12.5         1   $0.0104',
      'total      $12.35    12.5         2   $0.0104',
      '',
    ].join('\n'),
  );
});

test('each currency has a total of its own', async () => {
  const euros = sum(2, { currency: 'EUR' });
  answers = [
    {
      items: [
        { name: 'a', ...euros },
        { name: 'a', ...sum(1) },
      ],
      totals: [euros, sum(1)],
    },
  ];
  expect((await home.run('spend')).out).toMatch(/total +2\.00 EUR.*\ntotal +\$1\.00/);
});

test('all pages are one answer, and the totals are those of the first', async () => {
  const instance = { kind: 'Instance', id: 'b3c5', name: 'web', project: 'shop' };
  answers = [
    { items: [{ name: 'web', instance, ...sum(2) }], totals: [sum(3)], nextPageToken: 'more' },
    { items: [{ name: 'db', instance: { ...instance, name: 'db' }, ...sum(1) }], totals: [sum(4)] },
  ];
  const { out } = await home.run('spend --by instance -o json');
  expect(JSON.parse(out)).toMatchObject({
    by: 'instance',
    totals: [{ amount: 3 }],
    items: [{ name: 'web', instance: { project: 'shop' } }, { name: 'db' }],
  });
  expect(JSON.parse(out).nextPageToken).toBeUndefined();
  const [first, second] = asked();
  expect(second).toEqual({ ...first, pageToken: 'more' });
  answers = [{ items: [{ name: 'web', instance, ...sum(2) }], totals: [sum(2)] }];
  expect((await home.run('spend --by instance -o wide')).out).toMatch(
    /INSTANCE +PROJECT .* ID\nweb +shop .* b3c5\n/,
  );
});

test('it begins with the day here, or when it is told to', async () => {
  await home.run('spend');
  const midnight = since();
  expect([midnight.getHours(), midnight.getMinutes(), midnight.getMilliseconds()]).toEqual([0, 0, 0]);
  expect(Date.now() - midnight.getTime()).toBeLessThan(25 * 3_600_000);
  const told = async (word: string) => {
    broker.requests.length = 0;
    expect((await home.run(['spend', '--since', word])).code).toBe(0);
    return since();
  };
  expect((await told('month')).getDate()).toBe(1);
  expect(await told('2026-11-21T09:00:00+01:00')).toEqual(new Date('2026-11-21T08:00:00Z'));
  expect(await told('2026-11-21')).toEqual(new Date(2026, 10, 21));
  const before = Date.now();
  const back = (await told('24h')).getTime() + 24 * 3_600_000;
  expect(back).toBeGreaterThanOrEqual(before);
  expect(back).toBeLessThanOrEqual(Date.now());
});

test('what cannot be is said before anybody is asked', async () => {
  const wrong = await home.run('spend --since yesterday');
  expect([wrong.code, wrong.err]).toEqual([
    2,
    expect.stringMatching(/--since yesterday: must be today, month, /),
  ]);
  expect((await home.run('spend --since 2026-13-45')).code).toBe(2);
  const key = await home.run('spend --by region');
  expect([key.code, key.err]).toEqual([2, expect.stringContaining('project, site, provider, instance')]);
  expect(broker.requests).toEqual([]);
});

test('nothing spent, and an account that is younger than what was asked for, are said', async () => {
  answers = [{ accountFrom: '2026-11-20T10:00:00.000Z' }];
  const { code, out, err } = await home.run('spend --since 2026-11-01T00:00:00Z');
  expect([code, out]).toEqual([0, '']);
  expect(err).toBe(
    'Nothing was spent since 2026-11-01T00:00:00.000Z.\nThe account begins at 2026-11-20T10:00:00.000Z: nothing before that is counted.\n',
  );
});

test('what the broker refuses is told', async () => {
  broker.intercept = () => problem(400, 'Query parameter `from` must be at most 366 days before `to`');
  const { code, err } = await home.run('spend --since 400d');
  expect(code).not.toBe(0);
  expect(err).toContain('at most 366 days');
});
