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

/** Asks an account 60 times at once, half of it by each of two workers, each for a site of its own; answers the most calls that came within any second. */
async function mostInASecond(limit: number | undefined): Promise<number> {
  const spec = {
    provider: 'gcp' as const,
    regions: ['us-central1'],
    project: 'some-project',
    endpoint: simulator.endpoint,
    credentials: { source: 'environment' as const, prefix: 'X' },
    ...(limit === undefined ? {} : { callsPerSecond: limit }),
  };
  const from = simulator.calls.length;
  await Promise.all(
    stores.map(async ({ db }, n) => {
      const beforeCall =
        limit === undefined ? undefined : (account: string) => untilTurn(db, account, callsPerSecond(spec)!);
      const adapter = await createAdapter(`site-${n}`, spec, 1_000, { X_ACCESS_TOKEN: 't' }, beforeCall);
      await Promise.all(Array.from({ length: 30 }, () => adapter.quota('us-central1')));
    }),
  );
  const times = simulator.calls.slice(from).map(({ at }) => at);
  expect(times).toHaveLength(60);
  return Math.max(...times.map((begin) => times.filter((at) => at >= begin && at < begin + 1_000).length));
}

test('two workers of two sites of one account ask it no more often a second than they say; without a limit they do', async () => {
  expect(await mostInASecond(undefined)).toBeGreaterThan(40);
  // Timers are late by some milliseconds, so that a second may hold a few that were due in the one before.
  const most = await mostInASecond(20);
  expect(most).toBeGreaterThanOrEqual(15);
  expect(most).toBeLessThanOrEqual(24);
}, 120_000);

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
  const turns = (account: string) => Promise.all([1, 2, 3].map(() => takeCallTurn(db, account, 1)));
  expect(Math.max(...(await turns('one')))).toBeGreaterThan(1_800);
  expect(Math.max(...(await turns('other')))).toBeLessThanOrEqual(2_000);
  await db
    .updateTable('account_calls')
    .set({ next_at: new Date(Date.now() - 60_000) })
    .execute();
  expect((await turns('one')).sort((a, b) => a - b)).toEqual([
    0,
    expect.closeTo(1_000, -2),
    expect.closeTo(2_000, -2),
  ]);
});
