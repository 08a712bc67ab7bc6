/** Deletes what the documents of a file name, as the command line does. */

import { notAdoptedWords } from '@landfall/mcp/changes.ts';
import type { Instance } from '@landfall/model';
import {
  type ApplySession,
  adoptedThing,
  ended,
  type Manifest,
  type Target,
  targetsOfManifests,
} from 'landfall/client.ts';
import type { BrokerConnection } from '../broker/connection.ts';
import { priceWords, type Question } from '../estate/actions.ts';
import { type Followed, failureOf, followOperations } from './progress.ts';

/** One thing that is there and would go. */
export interface Going {
  target: Target;
  item: object;
}

/** What of the documents is there, in the order in which it can go. */
export async function findGoing(session: ApplySession, manifests: readonly Manifest[]): Promise<Going[]> {
  const going: Going[] = [];
  for (const target of targetsOfManifests(session, manifests)) {
    const found = await target.kind.get!(target.broker, target.name);
    if (found === undefined) continue;
    const one = { target, item: found as object };
    if (instanceOf(one)?.status.state !== 'Deleted') going.push(one);
  }
  return going;
}

const instanceOf = ({ target, item }: Going): Instance | undefined =>
  target.kind.kind === 'Instance' ? (item as Instance) : undefined;

const subjectOf = ({ target }: Going): string => `${target.kind.singular}/${target.name}`;

/** What is asked before. */
export function deletionQuestion(
  what: string,
  { context }: BrokerConnection,
  going: readonly Going[],
): Question {
  const lines = going.map((each) => {
    const instance = instanceOf(each);
    const { status } = each.item as Partial<Pick<Instance, 'status'>>;
    const kept = status && notAdoptedWords({ status });
    if (kept) return `Deletes ${subjectOf(each)}. ${kept}`;
    const adopted = adoptedThing(each.item);
    if (instance === undefined)
      return `Deletes ${subjectOf(each)}${adopted ? `, which was adopted: ${adopted} itself goes` : ''}`;
    const what = adopted
      ? `which was adopted: the machine ${adopted} itself goes, with its disk`
      : 'its disk and all that was made for it';
    const price = priceWords(instance.status);
    return `Deletes ${subjectOf(each)}, ${what}.${price ? ` It costs ${price} now.` : ''}`;
  });
  return {
    message: `Delete ${what} at ${context.name}, project ${context.project}?`,
    detail: lines.join('\n'),
    button: 'Delete',
  };
}

/**
 * Deletes it. Where kinds differ, waits for the end of those before: a network goes only when nothing is in it. Answers the
 * operations that still go on; throws what the broker says, after which the rest stays.
 */
export async function deleteAll(
  going: readonly Going[],
  say: (subject: string) => void,
  stop: AbortSignal,
): Promise<Followed[]> {
  let open: Followed[] = [];
  for (const [index, each] of going.entries()) {
    const { kind, broker, name } = each.target;
    if (index > 0 && going[index - 1]!.target.kind !== kind) {
      await endOf(open, say, stop);
      open = [];
    }
    say(subjectOf(each));
    const result = await kind.remove!(broker, name, false);
    if (typeof result === 'object') open.push({ subject: subjectOf(each), broker, operation: result });
  }
  return open;
}

async function endOf(open: Followed[], say: (line: string) => void, stop: AbortSignal): Promise<void> {
  for (const each of await followOperations(open, say, stop)) {
    if (!ended(each.operation))
      throw new Error('Stopped waiting; what was asked for goes on, the rest was not deleted.');
    const failure = failureOf(each);
    if (failure !== undefined) throw new Error(failure);
  }
}
