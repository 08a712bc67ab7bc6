import { openStore } from '@landfall/store';
import { sql } from 'kysely';
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
