import type { Clause } from '../file/policy.ts';
import { nextChange, windowOpen } from '../file/window.ts';
import type { PlacementRequest } from './types.ts';

/** A clause that the request and the time decide, whatever is on offer. */
export type AdmissionClause = Extract<Clause, { effect: 'labels' | 'ttl' | 'window' }>;

/** Why a request is refused, for a person; null: it is admitted. */
export function refusedBy(clause: AdmissionClause, request: PlacementRequest, now: Date): string | null {
  switch (clause.effect) {
    case 'labels':
      return labelRefusal(clause, request.labels);
    case 'ttl':
      return ttlRefusal(clause, request.ttlHours);
    case 'window': {
      const { window } = clause;
      if (windowOpen(window, now)) return null;
      const spans = `${window.spans.join(', ')} (${window.timeZone})`;
      const next = nextChange(window, now);
      const until = next === null ? '' : `; the next time is ${next.toISOString()}`;
      return `${window.kind === 'deny' ? 'closed during' : 'open only during'} ${spans}${until}`;
    }
  }
}

function labelRefusal(
  { required, allowed }: Extract<Clause, { effect: 'labels' }>,
  labels: Record<string, string>,
): string | null {
  const missing = required.filter((key) => !Object.hasOwn(labels, key));
  if (missing.length > 0)
    return `the request must have the label${missing.length > 1 ? 's' : ''} ${missing.join(', ')}`;
  for (const [key, values] of Object.entries(allowed))
    if (Object.hasOwn(labels, key) && !values.includes(labels[key]!))
      return `label ${key} must be ${values.join(' or ')}, not '${labels[key]}'`;
  return null;
}

function ttlRefusal(
  { maxHours, defaultHours }: Extract<Clause, { effect: 'ttl' }>,
  ttlHours: number,
): string | null {
  if (ttlHours === 0)
    return defaultHours === null ? `the request must name a ttl, of ${maxHours} h at most` : null;
  return ttlHours <= maxHours ? null : `a ttl of ${ttlHours} h is asked for, ${maxHours} h are allowed`;
}

/** Whether a request is admitted; as {@link refusedBy}, without the words. */
export function admits(clause: AdmissionClause, request: PlacementRequest, now: Date): boolean {
  return clause.effect === 'window'
    ? windowOpen(clause.window, now)
    : refusedBy(clause, request, now) === null;
}
