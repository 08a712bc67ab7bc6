import { Kysely, PostgresDialect, type Transaction } from 'kysely';
import pg from 'pg';
import type { Database } from './database.ts';
import { migrate } from './migrate.ts';

export type Db = Kysely<Database>;
export type Tx = Transaction<Database>;
/** What a query needs: the database, or a transaction under way. */
export type Queryable = Db | Tx;

// bigint columns (generations, revisions, identities) stay far below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

export interface Store {
  db: Db;
  pool: pg.Pool;
  /** A connection of its own for LISTEN; the caller ends it. */
  listen(
    channel: string,
    heard: (payload: string) => void,
    lost: (error: Error) => void,
  ): Promise<{ end(): Promise<void> }>;
  close(): Promise<void>;
}

/**
 * Opens the database and brings its schema up to date. Retries for `waitMs` while the server is starting or away,
 * and says so once to `waiting`.
 * The pool survives a server restart: broken connections are dropped, the next query gets a new one.
 */
export async function openStore(options: {
  databaseUrl: string;
  poolSize?: number;
  waitMs?: number;
  migrate?: boolean;
  waiting?: (reason: Error) => void;
}): Promise<Store> {
  const pool = new pg.Pool({
    connectionString: options.databaseUrl,
    max: options.poolSize ?? 10,
    // A machine with too much to do takes seconds for sixty new connections at once; a server that is away refuses them at once.
    connectionTimeoutMillis: 15_000,
    keepAlive: true,
  });
  // Without a listener an idle connection's error (the server was killed) would end the process.
  pool.on('error', () => undefined);
  // Nor may that of a connection in use: whoever uses it is told by its next query.
  pool.on('connect', (client) => client.on('error', () => undefined));
  const deadline = Date.now() + (options.waitMs ?? 30_000);
  for (let tries = 0; ; tries++) {
    try {
      if (options.migrate === false) await pool.query('select 1');
      else await migrate(pool);
      break;
    } catch (error) {
      if (!isConnectionError(error) || Date.now() > deadline) {
        await pool.end();
        throw error;
      }
      if (tries === 0) options.waiting?.(error as Error);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
  return {
    db,
    pool,
    async listen(channel, heard, lost) {
      const client = new pg.Client({ connectionString: options.databaseUrl, keepAlive: true });
      let ended = false;
      let listening = false;
      // A lost connection tells of an error and of its end: whoever listens is told once, or its listeners double each time.
      const loss = (error: Error) => {
        if (ended || !listening) return;
        ended = true;
        lost(error);
      };
      client.on('notification', (message) => heard(message.payload ?? ''));
      client.on('error', loss);
      client.on('end', () => loss(new Error('the database closed the connection')));
      try {
        await client.connect();
        await client.query(`listen ${pg.escapeIdentifier(channel)}`);
        listening = true;
      } catch (error) {
        await client.end().catch(() => undefined);
        throw error;
      }
      return {
        async end() {
          ended = true;
          await client.end().catch(() => undefined);
        },
      };
    },
    async close() {
      await db.destroy();
    },
  };
}

/** True for what goes away by itself when the server is back: refused, reset, shutting down, starting up. */
export function isConnectionError(error: unknown): boolean {
  const code = (error as { code?: string }).code ?? '';
  const message = (error as Error).message ?? '';
  return (
    [
      'ECONNREFUSED',
      'ECONNRESET',
      'EPIPE',
      'ETIMEDOUT',
      'ENOENT',
      'ENOTFOUND',
      '57P01',
      '57P02',
      '57P03',
      '08006',
      '08001',
      '08003',
      '53300',
    ].includes(code) ||
    /terminat|timeout exceeded when trying to connect|Connection ended|not queryable/i.test(message)
  );
}
