import { openStore } from '@landfall/store';
import { sql } from 'kysely';
import { pino } from 'pino';
import { keepListening } from './listener.ts';
import { testDatabase } from './testing/database.ts';

test('a connection that is lost in the middle of a transaction fails the transaction, and not the process', async () => {
  const database = await testDatabase();
  const store = await openStore({ databaseUrl: database.url, poolSize: 2 });
  try {
    const lost = store.db.transaction().execute(async (tx) => {
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx);
      await sql`select pg_terminate_backend(${rows[0]!.pid})`.execute(store.db);
      // The connection's end arrives while nobody waits for an answer on it.
      await new Promise((resolve) => setTimeout(resolve, 200));
      await sql`select 1`.execute(tx);
    });
    await expect(lost).rejects.toThrow(/terminat|not queryable/i);
    expect((await sql<{ one: number }>`select 1 as one`.execute(store.db)).rows).toEqual([{ one: 1 }]);
  } finally {
    await store.close();
    await database.end();
  }
});

test('a listener that loses its connection again and again is one listener', async () => {
  const database = await testDatabase();
  const store = await openStore({ databaseUrl: database.url, poolSize: 2 });
  const closing = new AbortController();
  const listeners = async () =>
    (
      await sql<{
        pid: number;
      }>`select pid from pg_stat_activity where datname = current_database() and query like 'listen %'`.execute(
        store.db,
      )
    ).rows;
  const untilOne = async () => {
    for (let tries = 0; (await listeners()).length === 0 && tries < 100; tries++)
      await new Promise((resolve) => setTimeout(resolve, 50));
  };
  try {
    keepListening(store, 'news', () => undefined, pino({ level: 'silent' }), closing.signal);
    for (let loss = 0; loss < 3; loss++) {
      await untilOne();
      for (const { pid } of await listeners())
        await sql`select pg_terminate_backend(${pid})`.execute(store.db);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await untilOne();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await listeners()).toHaveLength(1);
  } finally {
    closing.abort();
    await store.close();
    await database.end();
  }
});

test('opening a database that does not answer says what it waits for, once, and ends with the reason', async () => {
  const said: string[] = [];
  const opened = openStore({
    databaseUrl: 'postgres://nobody@127.0.0.1:9/none',
    waitMs: 700,
    waiting: (reason) => said.push(reason.message),
  });
  await expect(opened).rejects.toThrow('ECONNREFUSED');
  expect(said).toEqual([expect.stringContaining('ECONNREFUSED')]);
});
