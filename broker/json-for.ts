import { namesOthers, withoutOthers } from '@landfall/policies';
import type { Principal } from './principal.ts';

/** Fields of answers that hold sentences, of which those about rules may name machines. */
const told = new Set(['message', 'detail', 'reasons']);

/**
 * An answer as JSON for whoever asks. A token of one project is not told which machines of others stand in its way: what a rule
 * of the organization says of them stands in decisions, operations, statuses, violations and events.
 */
export function jsonFor(principal: Principal | null, body: unknown): string {
  const json = JSON.stringify(body);
  const project = principal?.project ?? null;
  if (project === null || !namesOthers(json, project)) return json;
  const hidden = (value: unknown) => (typeof value === 'string' ? withoutOthers(value, project) : value);
  return JSON.stringify(body, (key, value: unknown) => {
    if (!told.has(key)) return value;
    return Array.isArray(value) ? value.map(hidden) : hidden(value);
  });
}
