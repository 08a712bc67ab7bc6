import { type Requested, WorkedBroker } from '@landfall/test/worked-broker.ts';
import { BrokerConnection } from '../broker/connection.ts';
import { Spending } from './spending.ts';

const minute = 60_000;
/** The account is read as if it were noon: minutes later it is the same day. */
const noon = new Date().setHours(12, 0, 0, 0);
const midnight = new Date(noon).setHours(0, 0, 0, 0);

let broker: WorkedBroker;
let connection: BrokerConnection;
let spending: Spending;
/** How often the broker was asked. */
let asked: number;
let token: string;
let news: () => void;

beforeAll(async () => {
  broker = await WorkedBroker.start();
  for (const name of ['shop', 'lab']) await broker.api.call('POST', '/v1/projects', { body: { name } });
}, 60_000);
afterAll(() => broker?.stop(), 20_000);
beforeEach(async () => {
  await broker.api.store.pool.query('delete from usage_intervals');
  asked = 0;
  token = broker.api.adminToken;
  connection = new BrokerConnection(
    { name: 'test', url: broker.api.url, project: 'default', from: 'settings' },
    {
      token: async () => {
        asked++;
        return token;
      },
      refused: () => news(),
    },
  );
  spending = new Spending(connection, () => news());
});
afterEach(() => connection.close());

/** Until it has been read. */
const after = (what: () => void): Promise<void> =>
  new Promise((resolve) => {
    news = resolve;
    what();
  });

/** Of the first millisecond of the day. */
const spentToday = ({ id, project }: Requested, amount: number, currency = 'USD') =>
  broker.api.store.pool.query(
    `insert into usage_intervals
       (instance, project, site, provider, region, instance_type, price_per_hour, currency, started_at, ended_at)
     values ($1, $2, 'local', 'onprem', 'local', 'kvm', $3::numeric * 3600000, $4, $5, $5::timestamptz + interval '1 millisecond')`,
    [id, project, amount, currency, new Date(midnight)],
  );

const runs = (of: Requested, perHour: number) =>
  broker.report(of, {
    state: 'Running',
    externalReference: of.name,
    ...{ site: 'local', provider: 'onprem', region: 'local', instanceType: 'kvm' },
    ...{ pricePerHour: perHour, currency: 'USD' },
  });

test('what was spent since midnight here is told, by project, with what still runs', async () => {
  const [web, job] = [await broker.request('web', 'shop'), await broker.request('job', 'lab')];
  await spentToday(web, 12.5);
  await spentToday(job, 2);
  expect(spending.words(noon)).toBeUndefined();
  await after(() => spending.tick(noon));
  expect(spending.words(noon)).toEqual({
    today: '$14.50 today',
    lines: ['$14.50 spent on machines since midnight', 'shop: $12.50', 'lab: $2.00'],
  });
  await spentToday(job, 3, 'EUR');
  await after(() => spending.changed(noon + minute));
  expect(spending.words(noon + minute)?.today).toBe('$14.50 + 3.00 EUR today');
});

test('what runs adds up between the readings', async () => {
  const db = await broker.request('db', 'shop');
  await spentToday(db, 10);
  await runs(db, 60);
  await after(() => spending.tick(noon));
  const at = (time: number) => Number(/^\$([0-9.]+) today$/.exec(spending.words(time)!.today)![1]);
  expect(at(noon + 6 * minute) - at(noon)).toBeCloseTo(6, 1);
  expect(spending.words(noon)?.lines[1]).toBe('1 machine at $60.0000 an hour now');
});

test('the broker is asked at most once a minute, and without a reason every ten', async () => {
  await after(() => spending.tick(noon));
  for (let second = 1; second < 60; second++) spending.changed(noon + second * 1_000);
  expect(asked).toBe(1);
  await after(() => spending.tick(noon + minute));
  expect(asked).toBe(2);
  for (let next = 2; next < 11; next++) spending.tick(noon + next * minute);
  expect(asked).toBe(2);
  await after(() => spending.tick(noon + 11 * minute));
  expect(asked).toBe(3);
});

test('a day that begins is read at once, and the one before is not told as today', async () => {
  const yesterday = new Date(noon).setDate(new Date(noon).getDate() - 1);
  await after(() => spending.tick(yesterday));
  expect(spending.words(yesterday)?.today).toBe('$0.00 today');
  expect(spending.words(noon)).toBeUndefined();
  await after(() => spending.tick(noon));
  expect(spending.words(noon)).toBeDefined();
});

test('what failed is tried again, and what was known stays', async () => {
  await after(() => spending.tick(noon));
  token = 'lf_wrong';
  await after(() => spending.changed(noon + minute));
  expect(spending.words(noon + minute)?.today).toBe('$0.00 today');
  token = broker.api.adminToken;
  await spentToday(await broker.request('late'), 5);
  // The refusal is told before it has been noted.
  const trying = setInterval(() => spending.tick(noon + 2 * minute), 10);
  await after(() => undefined);
  clearInterval(trying);
  expect(spending.words(noon + 2 * minute)?.today).toBe('$5.00 today');
  expect(asked).toBe(3);
});
