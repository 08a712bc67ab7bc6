import { AsyncLocalStorage } from 'node:async_hooks';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Kind } from '../contract.ts';
import type { Fault } from './subject.ts';

/** Names a folder: every rule then leaves its entry there, a JSON line each, for `npm run conformance:matrix`. */
export const journalVariable = 'LANDFALL_CONFORMANCE_JOURNAL';

/** One test of the suites, as it was registered and as it ended. */
export interface Entry {
  /** The provider's name in the suite, e.g. `simulated AWS`. */
  suite: string;
  kind: Kind;
  /** Rules of docs/architecture.md, e.g. `A1`; none for what the suite asks beyond them. */
  rules: string[];
  title: string;
  /** Absent until it ended: a test that ran out of time, or whose subject could not be made, never does. */
  outcome?: 'passed' | 'failed';
  /** Whether anything was asserted: a test may find that the provider can do nothing of it. */
  checked?: boolean;
  /** The knobs that the test asked for, in its order; `unsupported` is the provider's reason where it cannot have one. */
  knobs?: { knob: string; unsupported?: string }[];
  /** What `describe()` refused, with its reason. */
  refused?: { verb: string; reason: string }[];
}

/** Every entry of this process, in the order of registering. */
export const journal: Entry[] = [];

/** The test whose code runs: one that ran out of time goes on beside the next, and must not write into its entry. */
const running = new AsyncLocalStorage<Entry>();

/**
 * Registers a test of the contract and keeps what becomes of it.
 * @param title with the ids of its rules in front where it has some: `A1, A3: made once`.
 */
export function checkRule(
  { suite, kind, title: full }: { suite: string; kind: Kind; title: string },
  check: () => Promise<void>,
  limitMs: number,
): void {
  const [, ids, rest] = /^(A\d+(?:, A\d+)*): (.*)$/.exec(full) ?? [];
  const entry: Entry = { suite, kind, rules: ids?.split(', ') ?? [], title: rest ?? full };
  journal.push(entry);
  write(entry);
  test(
    kind === 'Instance' ? full : `${kind}: ${full}`,
    async () => {
      Object.assign(entry, { knobs: [], refused: [] });
      const before = expect.getState().assertionCalls;
      try {
        await running.run(entry, check);
        entry.outcome = 'passed';
      } catch (error) {
        entry.outcome = 'failed';
        throw error;
      } finally {
        entry.checked = expect.getState().assertionCalls > before;
        write(entry);
      }
    },
    // While the document is made, a busy machine must not look like a rule that does not hold.
    process.env[journalVariable] ? limitMs * 5 : limitMs,
  );
}

/** Keeps that the running test asked for a knob, and the reason where there is none. */
export function noteKnob(fault: Fault, unsupported?: string): void {
  const knob = knobOf(fault);
  const knobs = running.getStore()?.knobs;
  if (knobs?.some((noted) => noted.knob === knob)) return;
  knobs?.push({ knob, ...(unsupported === undefined ? {} : { unsupported }) });
}

/** Keeps that the running test left something out, for a reason of `describe()`. */
export function noteRefused(verb: string, reason: string): void {
  const refused = running.getStore()?.refused;
  if (!refused?.some((noted) => noted.verb === verb)) refused?.push({ verb, reason });
}

/** The fault as one knob: what differs in kind and not in degree is another one. */
function knobOf(fault: Fault): string {
  if (fault.kind === 'failChild') return `failChild ${fault.n}`;
  if (fault.kind === 'throttle' && fault.retryAfterMs === undefined) return 'throttle without Retry-After';
  return fault.kind;
}

function write(entry: Entry): void {
  const folder = process.env[journalVariable];
  if (folder) appendFileSync(join(folder, `${process.pid}.jsonl`), `${JSON.stringify(entry)}\n`);
}
