import { deliverOutbox, enqueue, newId, openStore, openWork, type Store } from '@landfall/store';
import { sql } from 'kysely';
import { type TestDatabase, testDatabase } from './testing/database.ts';

let database: TestDatabase;
let store: Store;

beforeAll(async () => {
  database = await testDatabase();
  store = await openStore({ databaseUrl: database.url, poolSize: 4 });
}, 60_000);

afterAll(async () => {
  await store?.close();
  await database?.end();
});

/** Rows that wait, oldest first, whose resources do not matter. */
const waiting = (project: string, rows: number) =>
  sql`insert into outbox (workflow, resource, project)
    select 'instance', gen_random_uuid(), ${project} from generate_series(1, ${rows}::int)`.execute(store.db);

/** Delivers one batch; answers the projects, as often as they had a turn. */
async function oneBatch(limit = 100): Promise<string[]> {
  const turns: string[] = [];
  await deliverOutbox(store.db, limit, async ({ project }) => void turns.push(project));
  return turns;
}

test('a project with 10,000 rows delays no first row of another', async () => {
  await waiting('noisy', 10_000);
  await waiting('quiet', 1);
  await store.db
    .transaction()
    .execute((tx) => enqueue(tx, { workflow: 'audit', resource: newId(), project: null }));
  const turns = await oneBatch();
  expect(turns).toHaveLength(100);
  expect(turns.filter((project) => project !== 'noisy').sort()).toEqual(['', 'quiet']);
  await sql`delete from outbox`.execute(store.db);
});

test('two projects with much waiting have the same number of turns, oldest first', async () => {
  await waiting('first', 300);
  await waiting('second', 300);
  const before = await store.db.selectFrom('outbox').select(['id', 'project']).orderBy('id').execute();
  const ids: number[] = [];
  await deliverOutbox(store.db, 100, async ({ id }) => void ids.push(id));
  const oldest = (project: string) =>
    before
      .filter((row) => row.project === project)
      .slice(0, 50)
      .map(({ id }) => id);
  expect(ids.sort((a, b) => a - b)).toEqual([...oldest('first'), ...oldest('second')]);
  await sql`delete from outbox`.execute(store.db);
});

test('where more projects wait than a batch has rows, the newest need not wait for the others’ backlogs', async () => {
  for (let n = 0; n < 10; n++) await waiting(`long-${n}`, 100);
  await waiting('newest', 1);
  let batches = 0;
  while (!(await oneBatch(5)).includes('newest')) batches++;
  // By age it is the last of 200 batches; by chance it comes in each with 5 of 11, and not in 60 with 1 of 10¹⁵.
  expect(batches).toBeLessThan(60);
  await sql`delete from outbox`.execute(store.db);
});

test('what another dispatcher has in hand is left to it', async () => {
  await waiting('one', 3);
  let letGo = () => {};
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const first = deliverOutbox(store.db, 2, () => held);
  while ((await sql`select from outbox where leased_until is not null`.execute(store.db)).rows.length < 2);
  expect(await oneBatch()).toEqual(['one']);
  letGo();
  expect(await first).toBe(2);
});

test('every open operation is looked at for its workflow, however many older ones are open', async () => {
  const ids = Array.from({ length: 5 }, () => newId());
  await store.db
    .insertInto('operations')
    .values(
      ids.map((id) => ({
        id,
        organization: 'default',
        verb: 'audit',
        state: 'Running' as const,
        requested_by: 'test',
      })),
    )
    .execute();
  const seen: string[] = [];
  let after: string | undefined;
  do {
    const { work, next } = await openWork(store.db, 0, 2, after);
    seen.push(...work.map(({ resource }) => resource));
    after = next;
  } while (after !== undefined);
  expect(seen.sort()).toEqual(ids.sort());
  await store.db.deleteFrom('operations').where('id', 'in', ids).execute();
});
