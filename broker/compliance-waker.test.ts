import { appendEvent, openStore, type Store } from '@landfall/store';
import { pino } from 'pino';
import { wakeCompliance } from './compliance-waker.ts';
import { type TestDatabase, testDatabase } from './testing/database.ts';

let database: TestDatabase;
let store: Store;
let closing: AbortController;
let stopped: Promise<void>;
/** Times of the wakes; while `away`, a wake fails. */
let woken: number[];
let away: boolean;

beforeAll(async () => {
  database = await testDatabase();
  store = await openStore({ databaseUrl: database.url });
}, 60_000);
afterAll(async () => {
  await store?.close();
  await database?.end();
}, 20_000);

beforeEach(() => {
  woken = [];
  away = false;
  closing = new AbortController();
  const engine = {
    async wakeCompliance() {
      if (away) throw new Error('the engine is away');
      woken.push(Date.now());
    },
  };
  stopped = wakeCompliance(store, engine, pino({ level: 'silent' }), closing.signal);
});
afterEach(async () => {
  closing.abort();
  await stopped;
});

const happens = () =>
  store.db.transaction().execute((tx) =>
    appendEvent(tx, {
      type: 'policy.updated',
      organization: 'default',
      actor: 'tester',
      message: 'something has changed',
    }),
  );

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function settled(): Promise<void> {
  for (let before = -1; before !== woken.length; ) {
    before = woken.length;
    await pause(1_300);
  }
}

test('it asks at its start, for what was missed, and then only when something happens', async () => {
  await settled();
  const before = woken.length;
  expect(before).toBeGreaterThanOrEqual(1);
  await pause(1_500);
  expect(woken).toHaveLength(before);
  await happens();
  await settled();
  expect(woken).toHaveLength(before + 1);
}, 20_000);

test('many events at once are one or two looks, a second apart', async () => {
  await settled();
  const before = woken.length;
  for (let i = 0; i < 200; i++) await happens();
  await settled();
  const looks = woken.slice(before);
  expect(looks.length).toBeGreaterThanOrEqual(1);
  for (let i = 1; i < looks.length; i++) expect(looks[i]! - looks[i - 1]!).toBeGreaterThanOrEqual(990);
}, 30_000);

test('what happens while the engine is away is asked for when it is back', async () => {
  await settled();
  away = true;
  const before = woken.length;
  await happens();
  await pause(500);
  expect(woken).toHaveLength(before);
  away = false;
  await pause(3_500);
  expect(woken).toHaveLength(before + 1);
}, 20_000);

test('it stops at once, also while nothing happens', async () => {
  await settled();
  const at = Date.now();
  closing.abort();
  await stopped;
  expect(Date.now() - at).toBeLessThan(500);
}, 20_000);
