import type { Db } from '@landfall/store';
import { nextStep } from './next-step.ts';
import { recordOutcome } from './outcome.ts';
import { ClaimLost, type Placer } from './place.ts';
import type { Outcome, Step } from './steps.ts';
import { Turn } from './turn.ts';

export interface Decisions {
  /**
   * Records the outcome of the last step and decides the next, in one transaction: status, operations, events, claims and
   * intents change together or not at all. Safe to repeat with the same outcome.
   */
  decide(input: { instance: string; outcome?: Outcome }): Promise<Step>;
}

/** Placements that lose the race for capacity look again this often before Temporal retries the activity. */
const maxCollisions = 50;

/** The decisions over one store. `placer` chooses places; see place.ts. */
export function decisions(db: Db, broker: string, placer: Placer): Decisions {
  return {
    async decide({ instance, outcome }) {
      for (let collision = 0; ; collision++) {
        try {
          return await db.transaction().execute(async (tx): Promise<Step> => {
            const turn = await Turn.begin(tx, broker, instance);
            if (!turn) return { do: 'done' };
            return (outcome && (await recordOutcome(turn, outcome))) ?? (await nextStep(turn, placer));
          });
        } catch (error) {
          if (!(error instanceof ClaimLost) || collision >= maxCollisions) throw error;
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 10 * (collision + 1)));
        }
      }
    },
  };
}
