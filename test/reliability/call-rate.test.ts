import { ProviderError } from '@landfall/adapters';
import type { Schemas } from '@landfall/model';
import { callsPerSecond, openStore, type Store, takeCallTurn } from '@landfall/store';
import { createAdapter, untilTurn } from '@landfall/workflows/site-workers.ts';
import { type TestDatabase, testDatabase } from '../../broker/testing/database.ts';
import { startAwsSimulator } from '../simulators/aws/index.ts';
import { type GcpSimulator, startGcpSimulator } from '../simulators/gcp/index.ts';

let database: TestDatabase;
/** One for each of two workers. */
let stores: Store[];
let simulator: GcpSimulator;

beforeAll(async () => {
  database = await testDatabase();
  stores = [
    await openStore({ databaseUrl: database.url, poolSize: 4 }),
    await openStore({ databaseUrl: database.url, poolSize: 4 }),
  ];
  simulator = await startGcpSimulator();
}, 60_000);

afterAll(async () => {
  for (const store of stores ?? []) await store.close();
  await database?.end();
  await simulator?.close();
});

/**
 * Asks an account 24 times at once, half of it by each of two workers, each for a site of its own; answers when each call
 * came, in milliseconds since they were asked for, the first first.
 */
async function timesOf24Calls(limit: number | undefined): Promise<number[]> {
  const spec = {
    provider: 'gcp' as const,
    regions: ['us-central1'],
    project: 'some-project',
    endpoint: simulator.endpoint,
    credentials: { source: 'environment' as const, prefix: 'X' },
    ...(limit === undefined ? {} : { callsPerSecond: limit }),
  };
  const adapters = await Promise.all(
    stores.map(({ db }, n) => {
      const beforeCall =
        limit === undefined ? undefined : (account: string) => untilTurn(db, account, callsPerSecond(spec)!);
      return createAdapter(`site-${n}`, spec, 1_000, { X_ACCESS_TOKEN: 't' }, beforeCall);
    }),
  );
  // The first call loads the SDK, which takes seconds.
  await Promise.all(adapters.map((adapter) => adapter.quota('us-central1')));
  const from = simulator.calls.length;
  const begun = Date.now();
  await Promise.all(
    adapters.flatMap((adapter) => Array.from({ length: 12 }, () => adapter.quota('us-central1'))),
  );
  const times = simulator.calls.slice(from).map(({ at }) => at - begun);
  expect(times).toHaveLength(24);
  return times.sort((one, other) => one - other);
}

test('two workers of two sites of one account ask it no more often than they say; without a limit they do', async () => {
  // A busy machine makes calls late, never early: the n-th of them comes when n turns have passed, or after.
  const early = (times: number[], perSecond: number) =>
    times.filter((at, n) => at < (n * 1_000) / perSecond - 20);
  expect(early(await timesOf24Calls(undefined), 3)).not.toEqual([]);
  expect(early(await timesOf24Calls(3), 3)).toEqual([]);
}, 60_000);

test('an AWS site whose keys do not name the account takes turns of the account that AWS names, asked once for a key', async () => {
  const aws = await startAwsSimulator();
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  try {
    const accountOf = async (key: string) => {
      const turns: string[] = [];
      const spec = {
        provider: 'aws' as const,
        regions: ['us-east-1'],
        endpoint: aws.endpoint,
        credentials: { source: 'environment' as const, prefix: 'X' },
      };
      const env = { X_ACCESS_KEY_ID: key, X_SECRET_ACCESS_KEY: 's' };
      const turn = async (account: string) => void turns.push(account);
      const adapter = await createAdapter(key, spec, 1_000, env, turn, warn);
      await adapter.quota('us-east-1');
      return turns[0];
    };
    const asked = () => aws.calls.filter(({ action }) => action === 'GetCallerIdentity');
    for (const key of ['AKIAONE', 'AKIATWO', 'AKIAONE'])
      expect(await accountOf(key)).toBe(`aws ${aws.endpoint} 123456789012`);
    expect(asked()).toHaveLength(2);
    expect(asked().flatMap(({ problems, misfits }) => [...problems, ...misfits])).toEqual([]);

    aws.faults.set({ kind: 'denied', action: 'GetCallerIdentity' });
    expect(await accountOf('AKIATHREE')).toMatch(/ key [0-9a-f]{16}$/);
    expect(warnings).toEqual([expect.stringMatching(/^AWS did not say whose .*\(Denied, /)]);
  } finally {
    await aws.close();
  }
}, 120_000);

test('sites of one subscription, project, account number or access key are of one account', async () => {
  /** Whose turn a call of such a site takes; nothing is sent. */
  const accountOf = async (spec: Omit<Schemas['SiteSpec'], 'regions'>, env: NodeJS.ProcessEnv) => {
    const credentials = { source: 'environment' as const, prefix: 'X' };
    let asked = '';
    const turn = (account: string) => {
      asked = account;
      return Promise.reject(new ProviderError('Unavailable', 'nothing is sent'));
    };
    const whole = { ...spec, regions: ['somewhere'], credentials };
    const adapter = await createAdapter('any', whole, 1_000, env, turn);
    await expect(adapter.quota('somewhere')).rejects.toThrow('nothing is sent');
    return asked;
  };
  const aws = (key: string, account?: string) =>
    accountOf(
      // Nobody answers there whose key it is.
      { provider: 'aws', endpoint: 'http://127.0.0.1:1' },
      { X_ACCESS_KEY_ID: key, X_SECRET_ACCESS_KEY: 's', ...(account ? { X_ACCOUNT_ID: account } : {}) },
    );
  expect(await aws('AKIA1')).toBe(await aws('AKIA1'));
  expect(await aws('AKIA1')).not.toBe(await aws('AKIA2'));
  expect(await aws('AKIA1')).not.toContain('AKIA1');
  expect(await aws('AKIA1', '123456789012')).toBe('aws http://127.0.0.1:1 123456789012');
  expect(await aws('AKIA2', '123456789012')).toBe('aws http://127.0.0.1:1 123456789012');
  const token = { X_ACCESS_TOKEN: 't' };
  expect(await accountOf({ provider: 'azure', subscription: 'AB-1' }, token)).toBe('azure  ab-1');
  expect(await accountOf({ provider: 'gcp', project: 'p' }, token)).toBe('gcp  p');
  const endpoint = 'http://127.0.0.1:1';
  expect(await accountOf({ provider: 'gcp', project: 'p', endpoint }, token)).toBe(`gcp ${endpoint} p`);
});

test('an account that was not asked for a while has saved no turns up, and takes none of another’s', async () => {
  const { db } = stores[0]!;
  /** Milliseconds that three calls at once are to wait, by one a second, and how much of the last's could have passed as it was told. */
  const turns = async (account: string) => {
    const begun = Date.now();
    const waits = await Promise.all([1, 2, 3].map(() => takeCallTurn(db, account, 1)));
    return { waits: waits.sort((a, b) => a - b), passed: Date.now() - begun + 5 };
  };
  const inTurn = ({ waits: [first, second, third], passed }: Awaited<ReturnType<typeof turns>>) => {
    expect(first).toBe(0);
    for (const [wait, due] of [
      [second!, 1_000],
      [third!, 2_000],
    ] as const) {
      expect(wait).toBeLessThanOrEqual(due);
      expect(wait).toBeGreaterThanOrEqual(due - passed);
    }
  };
  inTurn(await turns('one'));
  inTurn(await turns('other'));
  await db
    .updateTable('account_calls')
    .set({ next_at: new Date(Date.now() - 60_000) })
    .execute();
  inTurn(await turns('one'));
});
