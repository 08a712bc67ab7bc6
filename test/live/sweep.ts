import { setTimeout as sleep } from 'node:timers/promises';
import { context, listAll } from '@landfall/adapters/conformance/probe.ts';
import { sweepMinutes } from './spend.ts';
import { type LiveSubject, removalOrder } from './subject.ts';

/** What is left of a run. */
export interface Left {
  ref: string;
  /** The last refusal that named it, or why nothing is known. */
  reason: string;
}

/**
 * Removes all of the run, again and again until nothing is left for as long as something young may be invisible, or until the
 * limit: what was asked for just before the run ended may come to be only now.
 * @returns what could not be removed; empty when all is gone.
 */
export async function sweep(
  subject: LiveSubject,
  {
    limitMs = sweepMinutes * 60_000,
    say = () => {},
  }: { limitMs?: number; say?: (line: string) => void } = {},
): Promise<Left[]> {
  const adapter = await subject.adapter();
  const { visibilityGraceMs } = await adapter.describe();
  const until = Date.now() + limitMs;
  let emptySince: number | undefined;
  for (;;) {
    const refused: string[] = [];
    const attempt = async (what: string, work: () => Promise<unknown>) => {
      await work().catch((error: Error) => refused.push(`${what}: ${error.message}`));
    };
    await attempt('the list', async () => {
      const { items, complete } = await listAll(adapter, subject.broker);
      if (!complete) throw new Error('a part of the account could not be read');
      const targets = new Map(
        items.map(({ kind, stamp: { broker, project, resource }, location }) => [
          `${kind} ${resource}`,
          { kind, stamp: { broker, project, resource }, location },
        ]),
      );
      for (const kind of removalOrder)
        for (const [name, target] of targets)
          if (target.kind === kind) {
            say(`removing ${name}`);
            await attempt(name, () => adapter.remove(target, context()));
          }
    });
    await attempt('what was planted', async () => refused.push(...(await subject.uproot())));
    let remains: string[] | undefined;
    await attempt('the account', async () => {
      remains = await subject.remains();
    });
    emptySince = remains?.length === 0 ? (emptySince ?? Date.now()) : undefined;
    if (emptySince !== undefined && Date.now() - emptySince >= visibilityGraceMs) return [];
    if (Date.now() > until) {
      const reason = refused.join('; ') || 'it is still there';
      return (remains ?? [`unknown: whatever carries ${subject.broker}`]).map((ref) => ({ ref, reason }));
    }
    await sleep(Math.min(visibilityGraceMs, 5_000));
  }
}
