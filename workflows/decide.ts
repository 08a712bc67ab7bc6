import type { Db, Tx } from '@landfall/store';
import { sql } from 'kysely';
import { nextStep } from './next-step.ts';
import { recordOutcome } from './outcome.ts';
import { ClaimLost, type Placer } from './place.ts';
import type { Outcome, Step } from './steps.ts';
import { Turn } from './turn.ts';
import { TurnWrites } from './turn-writes.ts';

export interface Decisions {
  /**
   * Records the outcome of the last step and decides the next, in one transaction: status, operations, events, claims and
   * intents change together or not at all. Safe to repeat with the same outcome.
   */
  decide(input: { instance: string; outcome?: Outcome }): Promise<Step>;
}

/** Placements that lose the race for capacity look again this often before Temporal retries the activity. */
const maxCollisions = 50;
/** So many first decisions share one transaction at most; each takes a few milliseconds, and the API waits for its rows. */
const mostTogether = 32;

/**
 * The decisions over one store. `placer` chooses places; see place.ts. Without an outcome there is most often something to
 * place, and placements want the same rows of the ledger. Those that come while others are decided wait, and are then decided
 * in one transaction: they read sites, policies and machines once, and do not race each other.
 */
export function decisions(db: Db, broker: string, placer: Placer): Decisions {
  const run = (instances: readonly string[], outcome?: Outcome) =>
    untilClaimed(db, async (tx) => {
      const steps = new Map<string, Step>(instances.map((instance) => [instance, { do: 'done' }]));
      const writes = new TurnWrites();
      for (const turn of await Turn.begin(tx, broker, instances, writes)) {
        const told = outcome && (await recordOutcome(turn, outcome));
        steps.set(turn.row.id, told ?? (await nextStep(turn, placer)));
      }
      await placer.settle(tx);
      await writes.flush(tx);
      return steps;
    });
  const together = new Together(mostTogether, run);
  return {
    async decide({ instance, outcome }) {
      const step = outcome ? null : await together.join(instance);
      return step ?? (await run([instance], outcome)).get(instance)!;
    },
  };
}

/** In a transaction; again when a claim was lost. Those that lost take turns, so that one of them wins. */
async function untilClaimed<T>(db: Db, run: (tx: Tx) => Promise<T>): Promise<T> {
  for (let collision = 0; ; collision++) {
    try {
      return await db.transaction().execute(async (tx) => {
        if (collision > 0) await sql`select pg_advisory_xact_lock(${losersLock})`.execute(tx);
        return run(tx);
      });
    } catch (error) {
      if (!(error instanceof ClaimLost) || collision >= maxCollisions) throw error;
    }
  }
}

/** Arbitrary but fixed. */
const losersLock = 7_420_002;

/** Collects what comes while a run is under way, for the next run. */
class Together {
  readonly #most: number;
  readonly #run: (instances: readonly string[]) => Promise<Map<string, Step>>;
  #waiting = new Map<string, ((step: Step | null) => void)[]>();
  #running = false;

  constructor(most: number, run: (instances: readonly string[]) => Promise<Map<string, Step>>) {
    this.#most = most;
    this.#run = run;
  }

  /** The step of an instance; null where the run it was in failed, so that it is to be decided alone. */
  join(instance: string): Promise<Step | null> {
    return new Promise((resolve) => {
      this.#waiting.set(instance, [...(this.#waiting.get(instance) ?? []), resolve]);
      void this.#work();
    });
  }

  async #work(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    while (this.#waiting.size > 0) {
      const now = [...this.#waiting].slice(0, this.#most);
      for (const [instance] of now) this.#waiting.delete(instance);
      const steps = await this.#run(now.map(([instance]) => instance)).catch(() => null);
      for (const [instance, waiters] of now)
        for (const resolve of waiters) resolve(steps?.get(instance) ?? null);
    }
    this.#running = false;
  }
}
