import type { Pool } from 'pg';
import { sql as first } from './migrations/0001-first.ts';
import { sql as approvals } from './migrations/0002-approvals.ts';
import { sql as violations } from './migrations/0003-violations.ts';
import { sql as catalogues } from './migrations/0004-catalogues.ts';
import { sql as resources } from './migrations/0005-resources.ts';
import { sql as capabilities } from './migrations/0006-capabilities.ts';
import { sql as adopted } from './migrations/0007-adopted.ts';
import { sql as gpus } from './migrations/0008-gpus.ts';
import { sql as health } from './migrations/0009-health.ts';
import { sql as released } from './migrations/0010-released.ts';
import { sql as standingRules } from './migrations/0011-standing-rules.ts';
import { sql as turns } from './migrations/0012-turns.ts';
import { sql as replacements } from './migrations/0013-replacements.ts';
import { sql as turnsOfAccounts } from './migrations/0014-turns-of-accounts.ts';
import { sql as adoptedResources } from './migrations/0015-adopted-resources.ts';
import { sql as judgedResources } from './migrations/0017-judged-resources.ts';
import { sql as removingSince } from './migrations/0018-removing-since.ts';
import { sql as usage } from './migrations/0019-usage.ts';
import { sql as operationSteps } from './migrations/0020-operation-steps.ts';

/** In order, by number; a number that was applied is never run again. */
const migrations: { number: number; name: string; sql: string }[] = [
  { number: 1, name: 'first', sql: first },
  { number: 2, name: 'approvals', sql: approvals },
  { number: 3, name: 'violations', sql: violations },
  { number: 4, name: 'catalogues', sql: catalogues },
  { number: 5, name: 'resources', sql: resources },
  { number: 6, name: 'capabilities', sql: capabilities },
  { number: 7, name: 'adopted', sql: adopted },
  { number: 8, name: 'gpus', sql: gpus },
  { number: 9, name: 'health', sql: health },
  { number: 10, name: 'released', sql: released },
  { number: 11, name: 'standing-rules', sql: standingRules },
  { number: 12, name: 'turns', sql: turns },
  { number: 13, name: 'replacements', sql: replacements },
  { number: 14, name: 'turns-of-accounts', sql: turnsOfAccounts },
  { number: 15, name: 'adopted-resources', sql: adoptedResources },
  { number: 17, name: 'judged-resources', sql: judgedResources },
  { number: 18, name: 'removing-since', sql: removingSince },
  { number: 19, name: 'usage', sql: usage },
  { number: 20, name: 'operation-steps', sql: operationSteps },
];

/** Arbitrary but fixed: one process migrates at a time. */
const lockKey = 7_420_001;

/**
 * Brings the schema up to the newest migration, each in its own transaction. Safe to run from several processes at once.
 * Throws when the database is newer than this program, which would not know what it is writing to.
 */
export async function migrate(pool: Pool): Promise<number> {
  const client = await pool.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [lockKey]);
    await client.query(
      'create table if not exists migrations (number integer primary key, name text not null, applied_at timestamptz not null default now())',
    );
    const { rows } = await client.query<{ number: number | null }>(
      'select max(number) as number from migrations',
    );
    const applied = rows[0]?.number ?? 0;
    const newest = migrations.at(-1)!.number;
    if (applied > newest) {
      throw new Error(
        `the database has migration ${applied}, this program knows ${newest}: run a newer Landfall, or restore a backup made before the upgrade`,
      );
    }
    for (const migration of migrations.filter((m) => m.number > applied)) {
      await client.query('begin');
      try {
        await client.query(migration.sql);
        await client.query('insert into migrations (number, name) values ($1, $2)', [
          migration.number,
          migration.name,
        ]);
        await client.query('commit');
      } catch (error) {
        await client.query('rollback');
        throw new Error(
          `migration ${migration.number} (${migration.name}) failed: ${(error as Error).message}`,
          { cause: error },
        );
      }
    }
    return newest;
  } finally {
    await client.query('select pg_advisory_unlock($1)', [lockKey]).catch(() => undefined);
    client.release();
  }
}
