/**
 * The workflow of a resource of any kind but Instance: `resource/<id>`. The only writer of its state; the same loop as an
 * instance's.
 *
 *   step            | done by                                      | undone by
 *   ----------------|----------------------------------------------|----------------------------------------------------------
 *   decideResource  | finds the place, writes the intent           | closing the intent (with `remove`)
 *   ensure          | the site's adapter                           | `remove` by stamp; known from the intent before ensure is called
 *     (of what is to be adopted: it is only stamped)                 | `release`: it may be somebody's work, and is never removed
 *   observe         | the site's adapter                           | not needed: it changes nothing
 *   remove          | the site's adapter                           | not undone: repeated until absence is confirmed
 *   release         | the site's adapter                           | not undone: repeated until nothing carries our stamp
 */

import { continueAsNew, proxyActivities } from '@temporalio/workflow';
import type { ResourceDecisions } from './resource-decisions.ts';
import { mainQueue, type Outcome } from './steps.ts';
import { deciding, untilAgreed } from './until-agreed.ts';

const { decideResource } = proxyActivities<ResourceDecisions>({ taskQueue: mainQueue, ...deciding });

export async function resource(input: { id: string; outcome?: Outcome }): Promise<void> {
  const more = await untilAgreed((outcome) => decideResource({ resource: input.id, outcome }), input.outcome);
  if (more) await continueAsNew<typeof resource>({ id: input.id, outcome: more.goOnWith });
}
