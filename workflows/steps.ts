import type { Kind, Observation, Removal, Target, WantRef } from '@landfall/adapters';

/**
 * What passes between an instance's workflow and the activity that decides for it. Small, JSON, and without specs: user
 * data never enters a workflow history.
 */
export type Step =
  /** Create or converge. Its undo is `remove` of the same target: the intent behind it was committed before this step was given. */
  | { do: 'ensure'; queue: string; want: WantRef; target: Target }
  /** The outcome of an earlier ensure is unknown: look up by stamp. */
  | { do: 'observe'; queue: string; want: WantRef; target: Target }
  | { do: 'remove'; queue: string; attempt: number; target: Target }
  /** Take our stamp off; what carried it goes on without us. */
  | { do: 'release'; queue: string; attempt: number; target: Target }
  /** Nothing to do for so long, or until a change is signalled. */
  | { do: 'wait'; ms: number }
  | { do: 'done' };

/** An error by A7, as it crosses from the activity. */
export interface Failure {
  code: string;
  message: string;
  providerCode?: string;
  field?: string;
}

export type Outcome =
  | { of: 'ensure' | 'observe'; attempt: number; generation: number; seen: Observation<Kind> }
  | { of: 'remove' | 'release'; attempt: number; removal: Removal }
  | {
      of: 'ensure' | 'observe' | 'remove' | 'release';
      attempt: number;
      generation?: number;
      failed: Failure;
    };

/** The task queue of workflows and of the activities beside the store and the catalogue. */
export const mainQueue = 'landfall';

/** The queue of a cloud site's worker, or of the agent on one host. */
export function siteQueue(site: string, host: string | null | undefined): string {
  return host ? `site/${site}/${host}` : `site/${site}`;
}
