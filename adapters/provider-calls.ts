import { AsyncLocalStorage } from 'node:async_hooks';
import type { Schemas } from '@landfall/model';

/** How a call ended: the HTTP status of the answer, and of a failure the provider's code, or why there was no answer. */
export interface CallOutcome {
  status?: number;
  code?: string;
}

/** So many rows of calls are kept of a step at most. */
const mostCalls = 200;
/** A call that looks like one of so many before it is counted to that one: polls take turns with what they wait beside. */
const foldedWithin = 3;
const longestName = 120;

/**
 * The calls that a step asks its provider, in the order they end in. Of a call there is its name and how it ended, and nothing of what
 * was sent or answered: no body, no header, no query.
 */
export class CallRecord {
  readonly #begun = performance.now();
  readonly #calls: Schemas['CallRecord'][] = [];
  readonly #underWay = new Set<{ name: string; from: number }>();
  #leftOut = 0;

  /** What is called while this runs, whoever calls it, is kept here. */
  during<T>(work: () => Promise<T>): Promise<T> {
    return running.run(this, work);
  }

  /** A call is sent; answers what is to be told of its end. */
  begin(name: string): (outcome: CallOutcome) => void {
    const call = { name: name.slice(0, longestName).replaceAll(/[^\w.:/ -]/g, '_'), from: performance.now() };
    this.#underWay.add(call);
    return (outcome) => {
      this.#underWay.delete(call);
      this.#add(call, outcome);
    };
  }

  #add({ name: call, from }: { name: string; from: number }, { status, code }: CallOutcome): void {
    const afterMs = from - this.#begun;
    const ms = performance.now() - from;
    const like = this.#calls.slice(-foldedWithin).findLast((before) => before.call === call);
    if (like && like.status === status && like.code === code) {
      like.count += 1;
      like.ms += ms;
      like.lastAfterMs = Math.max(like.lastAfterMs, afterMs);
    } else if (this.#calls.length === mostCalls) this.#leftOut += 1;
    else this.#calls.push({ call, afterMs, ms, status, code, count: 1, lastAfterMs: afterMs });
  }

  /** What is kept, by when the calls began: also of those whose end the step did not wait for, because another had failed. */
  end(): Pick<Schemas['StepRecord'], 'ms' | 'calls' | 'callsLeftOut'> {
    for (const call of this.#underWay) this.#add(call, { code: 'notAwaited' });
    this.#underWay.clear();
    return {
      ms: Math.round(performance.now() - this.#begun),
      calls: this.#calls
        .toSorted((one, other) => one.afterMs - other.afterMs)
        .map((call) => ({
          ...call,
          afterMs: Math.round(call.afterMs),
          ms: Math.round(call.ms),
          lastAfterMs: Math.round(call.lastAfterMs),
        })),
      callsLeftOut: this.#leftOut,
    };
  }
}

/** The step whose code runs. */
const running = new AsyncLocalStorage<CallRecord>();

/**
 * Sends a request, and keeps it with the step that it is for, if it is for one.
 * @param name what a person knows the call by: `ec2:RunInstances`, `PUT virtualMachines`.
 * @param outcomeOf reads how it ended. Not asked, as the name is not, where nothing is kept.
 */
export async function keepingCall<T>(
  name: () => string,
  send: () => Promise<T>,
  outcomeOf: {
    answer: (answer: T) => CallOutcome | Promise<CallOutcome>;
    error: (error: unknown) => CallOutcome;
  },
): Promise<T> {
  const record = running.getStore();
  if (!record) return send();
  const ended = record.begin(name());
  try {
    const answer = await send();
    ended(await outcomeOf.answer(answer));
    return answer;
  } catch (error) {
    ended(outcomeOf.error(error));
    throw error;
  }
}

/** Providers' codes are words; what is anything else was put there by something between. */
const codeForm = /^[\w.:-]{1,100}$/;

/** The first of these that has the form of a code. */
export function codeAmong(...candidates: unknown[]): string | undefined {
  return candidates.find(
    (candidate): candidate is string => typeof candidate === 'string' && codeForm.test(candidate),
  );
}

/** Why there was no answer, by the words of the connection: `ECONNRESET`, `TimeoutError`. */
export function noAnswer(error: unknown): CallOutcome {
  const { code, name, cause } = (error ?? {}) as {
    code?: unknown;
    name?: unknown;
    cause?: { code?: unknown };
  };
  return { code: codeAmong(code, cause?.code, name) ?? 'noAnswer' };
}

/** The provider's code in the body of a refusal, as Azure and Google write it; undefined where it has none. */
export function codeInBody(body: string | null | undefined): string | undefined {
  let told: { error?: { code?: unknown; errors?: { reason?: unknown }[] } } | null;
  try {
    told = JSON.parse(body ?? '');
  } catch {
    return undefined; // of a proxy between
  }
  return codeAmong(told?.error?.errors?.[0]?.reason, told?.error?.code);
}
