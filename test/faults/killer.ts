import type { Part, Stack } from '@landfall/tools/stack.ts';
import pg from 'pg';
import type { SeededRandom } from './random.ts';

/** Steps of a life, by the event that shows it was reached. A kill follows the event by up to `jitterMs`. */
const steps = [
  { name: 'accepted', event: 'instance.createRequested', jitterMs: 60 },
  { name: 'placed', event: 'instance.placed', jitterMs: 60 },
  { name: 'being made', event: 'instance.placed', jitterMs: 3_000 },
  { name: 'made', event: 'instance.running', jitterMs: 60 },
  { name: 'deletion accepted', event: 'instance.deleteRequested', jitterMs: 60 },
  { name: 'being removed', event: 'instance.deleteRequested', jitterMs: 1_500 },
  { name: 'removed', event: 'instance.removed', jitterMs: 60 },
] as const;

export interface Kill {
  part: Part;
  step: string;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Kills (SIGKILL) every part at every step in a seeded order, again and again, until `kills` are done. */
export async function killParts(options: {
  stack: Stack;
  parts: readonly Part[];
  kills: number;
  random: SeededRandom;
  log(line: string): void;
}): Promise<Kill[]> {
  const { stack, random } = options;
  const done: Kill[] = [];
  let plan: { part: Part; step: (typeof steps)[number] }[] = [];
  while (done.length < options.kills) {
    if (plan.length === 0)
      plan = random.shuffled(options.parts.flatMap((part) => steps.map((step) => ({ part, step }))));
    const { part, step } = plan.pop()!;
    const seen = await waitForEvent(stack.databaseUrl, step.event, 20_000);
    await pause(random.next() * step.jitterMs);
    if (!stack.kill(part, 'SIGKILL')) continue;
    done.push({ part, step: seen ? step.name : 'any time' });
    options.log(`kill ${done.length}/${options.kills}: ${part}, ${seen ? step.name : 'any time'}`);
    await stack.ready(part, 60_000);
  }
  return done;
}

/** Waits for a new event of the type; false when none came in time. Reads the table: the broker may be what is dead. */
async function waitForEvent(databaseUrl: string, type: string, limitMs: number): Promise<boolean> {
  const deadline = Date.now() + limitMs;
  let since: Date | undefined;
  while (Date.now() < deadline) {
    const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 2_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      since ??= (await client.query<{ now: Date }>('select clock_timestamp() as now')).rows[0]!.now;
      while (Date.now() < deadline) {
        const { rowCount } = await client.query(
          'select 1 from events where type = $1 and time > $2 limit 1',
          [type, since],
        );
        if (rowCount) return true;
        await pause(15);
      }
    } catch {
      await pause(100); // PostgreSQL is what was killed: look again when it is back
    } finally {
      await client.end().catch(() => undefined);
    }
  }
  return false;
}
