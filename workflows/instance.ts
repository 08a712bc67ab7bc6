/**
 * The workflow of one instance: `instance/<id>`. The only writer of its state; level-triggered: it asks what is wanted and
 * what is there, takes one step, and asks again, until the two agree. Then it ends; the next change starts it again.
 *
 *   step      | done by                          | undone by
 *   ----------|----------------------------------|---------------------------------------------------------------
 *   decide    | claims capacity, writes intent   | closing the intent gives the claim back (with `remove`)
 *   ensure    | the site's adapter               | `remove` by stamp; known from the intent before ensure is called
 *     (of what is to be adopted: only stamped)     | `release`: it may be somebody's work, and is never removed
 *   observe   | the site's adapter               | not needed: it changes nothing
 *   remove    | the site's adapter               | not undone: repeated until absence is confirmed
 *   release   | the site's adapter               | not undone: repeated until nothing carries our stamp
 */

import { continueAsNew, proxyActivities } from '@temporalio/workflow';
import type { Decisions } from './decide.ts';
import { mainQueue, type Outcome } from './steps.ts';
import { deciding, untilAgreed } from './until-agreed.ts';

const { decide } = proxyActivities<Decisions>({ taskQueue: mainQueue, ...deciding });

export async function instance(input: { id: string; outcome?: Outcome }): Promise<void> {
  const more = await untilAgreed((outcome) => decide({ instance: input.id, outcome }), input.outcome);
  if (more) await continueAsNew<typeof instance>({ id: input.id, outcome: more.goOnWith });
}
