import { accountFromNow } from '@landfall/store/migrations/0019-usage.ts';
import { instanceInput, TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
const tokens: Record<string, string> = {};

beforeAll(async () => {
  broker = await TestBroker.start();
  await broker.call('POST', '/v1/projects', { body: { name: 'web' } });
  await broker.call('POST', '/v1/organizations', { body: { name: 'other' } });
  tokens.viewer = (await broker.token('viewer')).secret;
  tokens.webViewer = (await broker.token('viewer', { project: 'web' })).secret;
  tokens.other = (await broker.token('admin', { organization: 'other' })).secret;
}, 60_000);
afterAll(() => broker?.stop(), 20_000);
beforeEach(() => query('delete from usage_intervals'));

// Rows of the tests' own tables, whose shape each test knows.
const query = async (text: string, values: unknown[] = []): Promise<ReturnType<typeof JSON.parse>[]> =>
  (await broker.store.pool.query(text, values)).rows;

async function make(name: string, project = 'default'): Promise<string> {
  const made = await broker.call('POST', `/v1/projects/${project}/instances`, { body: instanceInput(name) });
  expect(made.status).toBe(202);
  return made.body.resource.id;
}

const place = {
  site: 'local',
  provider: 'onprem',
  region: 'local',
  instanceType: 'kvm-1-1',
  pricePerHour: 0.1,
  currency: 'USD',
};
const running = { ...place, externalReference: 'vm-1' };

/** As a workflow writes what it has observed. */
const write = (id: string, state: string, status: object = {}) =>
  query(`update instances set state = $2, status = status || $3::jsonb where id = $1`, [
    id,
    state,
    JSON.stringify({ state, ...status }),
  ]);

/** Of one instance, in order: what was paid, and whether it is still. */
const intervals = async (id: string) =>
  (
    await query(
      `select site, instance_type, price_per_hour::float8 as price, currency, ended_at is null as open
         from usage_intervals where instance = $1 order by started_at, id`,
      [id],
    )
  ).map(
    ({ site, instance_type, price, currency, open }) =>
      `${site} ${instance_type} ${price} ${currency}${open ? ' …' : ''}`,
  );

/** An interval of the past, in hours before now; `until` null: it runs. */
const spent = (
  id: string,
  project: string,
  price: string,
  since: number,
  until: number | null,
  more: object = {},
) => {
  const { site, provider, currency } = { ...place, ...more };
  return query(
    `insert into usage_intervals
       (instance, project, site, provider, region, instance_type, price_per_hour, currency, started_at, ended_at)
     values ($1, $2, $3, $4, 'r', 't', $5, $6, now() - $7 * interval '1 hour', now() - $8::float8 * interval '1 hour')`,
    [id, project, site, provider, price, currency, since, until],
  );
};

const hoursAgo = (hours: number): string => new Date(Date.now() - hours * 3_600_000).toISOString();
const read = (parameters: Record<string, string>, token?: string) =>
  broker.call('GET', `/v1/spend?${new URLSearchParams(parameters)}`, token ? { token } : {});

describe('the account of a machine', () => {
  test('begins when it exists, and ends when it stops; from its start on it costs again', async () => {
    const id = await make('lives');
    await write(id, 'Provisioning', place);
    expect(await intervals(id)).toEqual([]);
    await write(id, 'Provisioning', running);
    await write(id, 'Running', { addresses: [] });
    await write(id, 'Rebooting');
    await write(id, 'Running');
    expect(await intervals(id)).toEqual(['local kvm-1-1 0.1 USD …']);
    await write(id, 'Stopping');
    expect(await intervals(id)).toEqual(['local kvm-1-1 0.1 USD …']);
    await write(id, 'Stopped');
    expect(await intervals(id)).toEqual(['local kvm-1-1 0.1 USD']);
    await write(id, 'Starting');
    await write(id, 'Running');
    expect(await intervals(id)).toEqual(['local kvm-1-1 0.1 USD', 'local kvm-1-1 0.1 USD …']);
    await write(id, 'Deleting');
    await write(id, 'Deleted');
    expect(await intervals(id)).toEqual(['local kvm-1-1 0.1 USD', 'local kvm-1-1 0.1 USD']);
  });

  test('goes on at another price from when that is paid, without a gap', async () => {
    const id = await make('grows');
    await write(id, 'Running', running);
    await write(id, 'Resizing');
    await write(id, 'Resizing', { instanceType: 'kvm-2-2', pricePerHour: 0.2 });
    await write(id, 'Running');
    expect(await intervals(id)).toEqual(['local kvm-1-1 0.1 USD', 'local kvm-2-2 0.2 USD …']);
    expect(
      await query(
        `select a.ended_at = b.started_at as joined from usage_intervals a, usage_intervals b
          where a.instance = $1 and b.instance = $1 and a.id < b.id`,
        [id],
      ),
    ).toEqual([{ joined: true }]);
  });

  test('of one that is stopped stays still while it is resized, released or deleted', async () => {
    const id = await make('rests');
    await write(id, 'Stopped', running);
    for (const state of ['Resizing', 'Stopped', 'Releasing', 'Deleting', 'Deleted']) await write(id, state);
    expect(await intervals(id)).toEqual([]);
  });

  test('of one that is lost ended when it was first not seen, and asking for it does not open another', async () => {
    const id = await make('lost');
    await write(id, 'Running', running);
    await query(`update usage_intervals set started_at = now() - interval '2 hours' where instance = $1`, [
      id,
    ]);
    await query(`update instances set absent_since = now() - interval '30 minutes' where id = $1`, [id]);
    expect(await intervals(id)).toEqual(['local kvm-1-1 0.1 USD …']);
    await write(id, 'Lost');
    expect(
      await query(
        'select u.ended_at = i.absent_since as same from usage_intervals u join instances i on i.id = u.instance where i.id = $1',
        [id],
      ),
    ).toEqual([{ same: true }]);
    await write(id, 'Starting');
    await write(id, 'Deleting');
    expect(await intervals(id)).toEqual(['local kvm-1-1 0.1 USD']);
  });

  test('has no interval while no price is known, and begins when one is', async () => {
    const id = await make('adopted');
    const { pricePerHour: _, ...unpriced } = running;
    await write(id, 'Adopting', unpriced);
    await write(id, 'Running');
    expect(await intervals(id)).toEqual([]);
    await write(id, 'Running', { pricePerHour: 0 });
    expect(await intervals(id)).toEqual(['local kvm-1-1 0 USD …']);
  });

  test('ends with an instance that is gone, whatever its state says', async () => {
    const id = await make('forgotten');
    await write(id, 'Running', running);
    await query('update instances set gone_at = now() where id = $1', [id]);
    expect(await intervals(id)).toEqual(['local kvm-1-1 0.1 USD']);
  });

  test('is of one that was written as running from the start', async () => {
    const [{ id }] = await query(
      `insert into instances (id, project, name, spec, status, state)
       values (gen_random_uuid(), 'default', 'written', '{}', $1, 'Running') returning id`,
      [JSON.stringify({ ...running, state: 'Running' })],
    );
    expect(await intervals(id)).toEqual(['local kvm-1-1 0.1 USD …']);
    await query(`delete from instances where id = $1`, [id]);
    expect(await intervals(id)).toEqual([]);
  });

  test('goes with the change that it is of: what is rolled back leaves nothing', async () => {
    const id = await make('unsure');
    await expect(
      broker.store.db.transaction().execute(async (tx) => {
        await tx
          .updateTable('instances')
          .set({
            state: 'Running',
            status: JSON.stringify({ state: 'Running', ...running, observedGeneration: 1 }),
          })
          .where('id', '=', id)
          .execute();
        expect(await tx.selectFrom('usage_intervals').select('instance').execute()).toEqual([
          { instance: id },
        ]);
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await intervals(id)).toEqual([]);
  });

  test('begins, for machines that ran before there was one, when it was made: nothing is made up', async () => {
    const [runs, rests, leaves] = [await make('ran'), await make('rested'), await make('leaving')];
    await write(runs, 'Running', running);
    await write(rests, 'Stopped', running);
    await write(leaves, 'Deleting', running);
    await query('delete from usage_intervals');
    const [{ now }] = await query('select now()');
    await query(accountFromNow);
    expect([await intervals(runs), await intervals(rests), await intervals(leaves)]).toEqual([
      ['local kvm-1-1 0.1 USD …'],
      [],
      ['local kvm-1-1 0.1 USD …'],
    ]);
    const [{ started_at }] = await query('select started_at from usage_intervals where instance = $1', [
      runs,
    ]);
    expect(started_at.getTime()).toBeGreaterThanOrEqual(now.getTime());
  });
});

describe('what was spent', () => {
  let web: string;
  let db: string;
  beforeAll(async () => {
    web = await make('front', 'web');
    db = await make('db');
  });

  test('is summed by project, for the time asked for, with the rate of what still runs', async () => {
    await spent(db, 'default', '0.3', 10, 4); // 6 hours, of which 2 are asked for
    await spent(db, 'default', '0.5', 4, 1);
    await spent(web, 'web', '0.0104', 3, null);
    const { status, body } = await read({ from: hoursAgo(6) });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      by: 'project',
      totals: [{ currency: 'USD', pricePerHour: 0.0104, running: 1 }],
      items: [
        { name: 'default', currency: 'USD', pricePerHour: 0, running: 0 },
        { name: 'web', currency: 'USD', pricePerHour: 0.0104, running: 1 },
      ],
    });
    const [first, second] = body.items;
    expect(first.amount).toBeCloseTo(2 * 0.3 + 3 * 0.5, 3);
    expect(first.hours).toBeCloseTo(5, 2);
    expect(second.amount).toBeCloseTo(3 * 0.0104, 4);
    expect(body.totals[0].amount).toBeCloseTo(first.amount + second.amount, 5);
    expect(body.totals[0].hours).toBeCloseTo(8, 2);
    expect(Date.parse(body.accountFrom)).toBeLessThanOrEqual(Date.now());
  });

  test('is exact over many small amounts, and rounded once', async () => {
    await query(
      `insert into usage_intervals
         (instance, project, site, provider, region, instance_type, price_per_hour, currency, started_at, ended_at)
       select $1, 'default', 'local', 'onprem', 'r', 't', 0.1, 'USD', now() - n * interval '2 seconds',
              now() - n * interval '2 seconds' + interval '1 second'
         from generate_series(1, 1001) n`,
      [db],
    );
    const { totals } = (await read({ from: hoursAgo(5) })).body;
    // 1,001 times a tenth of a cent's 36th: each rounded by itself they would be 0.028028.
    expect(totals).toMatchObject([{ amount: 0.027806, hours: 0.278056 }]);
  });

  test('is of the last midnight UTC on, unless a beginning is named', async () => {
    await spent(db, 'default', '1', 100, 90);
    const { from, to, items } = (await read({})).body;
    expect(from).toMatch(/T00:00:00\.000Z$/);
    expect(Date.parse(to) - Date.parse(from)).toBeLessThanOrEqual(86_400_000);
    expect(items).toEqual([]);
  });

  test('takes times of other zones, and counts nothing that is still to come', async () => {
    await spent(db, 'default', '1', 30, null);
    const seconds = Math.floor(Date.now() / 1_000) * 1_000 - 20 * 3_600_000;
    const from = `${new Date(seconds + 5.5 * 3_600_000).toISOString().slice(0, 19)}+05:30`;
    const { body } = await read({ from, to: hoursAgo(-48) });
    expect(body.from).toBe(new Date(seconds).toISOString());
    expect(Date.parse(body.to)).toBeLessThanOrEqual(Date.now() + 1_000);
    expect(body.totals[0].hours).toBeCloseTo(20, 2);
  });

  test('keeps currencies apart', async () => {
    await spent(db, 'default', '1', 2, 1, { currency: 'EUR' });
    await spent(db, 'default', '2', 2, 1);
    const { totals, items } = (await read({ from: hoursAgo(3) })).body;
    expect(totals).toMatchObject([
      { currency: 'USD', amount: 2 },
      { currency: 'EUR', amount: 1 },
    ]);
    expect(items).toMatchObject([
      { name: 'default', currency: 'USD' },
      { name: 'default', currency: 'EUR' },
    ]);
  });

  test('is told by site, provider or instance too, page by page, the most expensive first', async () => {
    await spent(db, 'default', '3', 2, 1, { site: 'aws-1', provider: 'aws' });
    await spent(web, 'web', '1', 2, 1, { site: 'aws-2', provider: 'aws' });
    await spent(web, 'web', '1', 3, 2);
    const from = hoursAgo(5);
    const names = async (by: string) =>
      (await read({ from, by })).body.items.map(({ name, amount }: { name: string; amount: number }) => [
        name,
        amount,
      ]);
    expect(await names('site')).toEqual([
      ['aws-1', 3],
      ['aws-2', 1],
      ['local', 1],
    ]);
    expect(await names('provider')).toEqual([
      ['aws', 4],
      ['onprem', 1],
    ]);
    const first = (await read({ from, by: 'instance', pageSize: '1' })).body;
    expect(first.items).toMatchObject([
      { name: 'db', instance: { kind: 'Instance', id: db, name: 'db', project: 'default' }, amount: 3 },
    ]);
    // What happens between the pages does not change what they are about.
    await spent(db, 'default', '9', 0.001, null);
    const pageToken = first.nextPageToken;
    const second = (await read({ from, by: 'instance', pageSize: '1', pageToken })).body;
    expect(second.items).toMatchObject([{ name: 'front', amount: 2 }]);
    expect(second.to).toBe(first.to);
    expect(second.nextPageToken).toBeUndefined();
    expect((await read({ from, by: 'site', pageToken })).body.errors).toMatchObject([
      { parameter: 'pageToken' },
    ]);
  });

  test('is shown to a token of one project for that project alone, and to none of another organization', async () => {
    await spent(db, 'default', '1', 2, 1);
    await spent(web, 'web', '2', 2, 1);
    const seen = async (token: string) => (await read({ from: hoursAgo(3) }, token)).body;
    expect(await seen(tokens.viewer!)).toMatchObject({ totals: [{ amount: 3 }] });
    expect(await seen(tokens.webViewer!)).toMatchObject({
      totals: [{ amount: 2 }],
      items: [{ name: 'web' }],
    });
    expect(await seen(tokens.other!)).toMatchObject({ totals: [], items: [] });
    expect((await read({}, broker.agentToken)).status).toBe(403);
    expect((await broker.call('GET', '/v1/spend', { token: null })).status).toBe(401);
  });

  test('of a deleted instance stays with its project, and goes with it', async () => {
    await broker.call('POST', '/v1/projects', { body: { name: 'passing' } });
    const id = await make('gone', 'passing');
    await write(id, 'Running', running);
    await query(`update instances set state = 'Deleted', gone_at = now(), deleted_at = now() where id = $1`, [
      id,
    ]);
    const names = async () =>
      (await read({ from: hoursAgo(1), by: 'instance' })).body.items.map(
        ({ name }: { name: string }) => name,
      );
    expect(await names()).toContain('gone');
    const deleted = await broker.call('DELETE', '/v1/projects/passing', { headers: { 'if-match': '*' } });
    expect(deleted.status).toBe(204);
    expect(await names()).not.toContain('gone');
  });

  test('says what is wrong with times that cannot be', async () => {
    const wrong = async (parameters: Record<string, string>) => {
      const { status, body } = await read(parameters);
      return [status, body.errors?.[0]?.parameter, body.errors?.[0]?.message];
    };
    expect(await wrong({ from: hoursAgo(-1) })).toEqual([
      400,
      'from',
      expect.stringMatching(/^is in the future: it is 20/),
    ]);
    expect(await wrong({ from: hoursAgo(1), to: hoursAgo(2) })).toEqual([
      400,
      'from',
      expect.stringMatching(/^must not be after `to`, which is 20/),
    ]);
    expect(await wrong({ from: hoursAgo(24 * 367) })).toEqual([
      400,
      'from',
      'must be at most 366 days before `to`: ask for a part at a time',
    ]);
    expect(await wrong({ from: 'yesterday' })).toEqual([400, 'from', expect.stringContaining('date-time')]);
    expect(await wrong({ to: '2016-12-31T23:59:60Z' })).toEqual([
      400,
      'to',
      expect.stringContaining('2026-11-21T00:00:00Z'),
    ]);
    expect(await wrong({ by: 'region' })).toEqual([400, 'by', expect.stringContaining('instance')]);
  });
});
