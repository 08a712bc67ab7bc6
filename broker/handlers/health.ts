import { currentRevision } from '@landfall/store';
import type { BrokerParts } from '../broker.ts';
import type { Handlers } from '../handler.ts';
import { within } from '../listener.ts';

/** A change that waits longer than this for its workflow means that nothing is being done. */
const longestLagMs = 30_000;
const answersWithinMs = 2_000;

async function checkDatabase({ db }: BrokerParts): Promise<string> {
  try {
    await currentRevision(db);
    return 'ok';
  } catch {
    return 'does not answer'; // the cause is in the log of whichever request met it
  }
}

async function checkEngine({ signals }: BrokerParts): Promise<string> {
  try {
    return (await within(answersWithinMs, signals.ready())) ? 'ok' : 'does not answer';
  } catch {
    return 'does not answer'; // not in time; what is wrong is in the dispatcher's log
  }
}

async function checkDispatcher({ dispatcher }: BrokerParts): Promise<string> {
  try {
    const { rows, oldestMs } = await dispatcher.depth();
    return oldestMs > longestLagMs
      ? `${rows} changes wait, the oldest for ${Math.round(oldestMs / 1_000)} s`
      : 'ok';
  } catch {
    return 'unknown without the database';
  }
}

export const healthHandlers = {
  async getHealth() {
    return { status: 200, body: { status: 'ok' } };
  },
  async getReadiness(_call, broker) {
    const [database, temporal, dispatcher] = await Promise.all([
      checkDatabase(broker),
      checkEngine(broker),
      checkDispatcher(broker),
    ]);
    const checks = { database, temporal, dispatcher };
    const ready = Object.values(checks).every((check) => check === 'ok');
    return ready
      ? { status: 200, body: { status: 'ok', checks } }
      : { status: 503, body: { status: 'notReady', checks } };
  },
} satisfies Partial<Handlers>;
