/** An operation's steps and their calls to the provider as rows of a timeline, for people. */
import type { Schemas } from './index.ts';
import { span } from './quantities.ts';

export interface StepRow {
  /** When it began, milliseconds of the clock. */
  at: number;
  /** Empty of a call. */
  step: string;
  /** Of a step where it was taken, of a call what was asked and how it ended. */
  provider: string;
}

/** A row for each step, and after it one for each of its calls. */
export function stepRows(steps: readonly Schemas['OperationStep'][]): StepRow[] {
  return steps.flatMap((taken) => {
    const { step, attempt, site, compensation, startedAt, finishedAt, failed, calls, callsLeftOut } = taken;
    const begun = Date.parse(startedAt);
    const words = [
      step,
      compensation ? ' (compensation)' : '',
      taken.try > 1 ? `, try ${taken.try}` : '',
      failed ? `: ${failed}` : '',
      `, ${duration(Date.parse(finishedAt) - begun)}`,
    ];
    return [
      { at: begun, step: words.join(''), provider: `${site}, attempt ${attempt}` },
      ...calls.map((call) => ({
        at: Date.parse(call.startedAt),
        step: '',
        provider: callWords(call, Date.parse(call.lastAt) - Date.parse(call.startedAt)),
      })),
      ...(callsLeftOut > 0
        ? [{ at: Date.parse(finishedAt), step: '', provider: `and ${callsLeftOut} more calls` }]
        : []),
    ];
  });
}

function callWords(
  { call, status, code, ms, retry, count }: Schemas['ProviderCall'],
  overMs: number,
): string {
  return [
    [call, status, code].filter((word) => word !== null).join(' '),
    duration(ms),
    retry > 0 ? `retry ${retry}` : '',
    count > 1 ? `${count} times over ${duration(overMs)}` : '',
  ]
    .filter(Boolean)
    .join(', ');
}

/** Milliseconds as `0.35s`, `42s`, `3m`. */
export function duration(milliseconds: number): string {
  return milliseconds < 10_000 ? `${(milliseconds / 1000).toFixed(2)}s` : span(milliseconds);
}
