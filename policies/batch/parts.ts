import { memo } from '../memo.ts';
import { requestProblems } from '../place/fit.ts';
import type { PlacementRequest } from '../place/types.ts';
import type { BatchInput } from './types.ts';

/** Requests that nothing tells apart: one of them, how many machines they are, and their places in the input. */
export interface Part {
  request: PlacementRequest;
  count: number;
  members: number[];
}

/** A request that makes no sense, or that a batch cannot look at, with why. */
export interface Unsound {
  /** Place in the input. */
  request: number;
  reasons: string[];
}

/** Requests that no rule and no price tells apart, together; `namesMatter`: some rule reads their names. */
export async function partsOf(
  requests: BatchInput['requests'],
  namesMatter: boolean,
  pause: () => Promise<void> | undefined,
): Promise<{ parts: Part[]; unsound: Unsound[] }> {
  const parts = new Map<string, Part>();
  const unsound: Unsound[] = [];
  for (const [i, { request, count }] of requests.entries()) {
    await pause();
    const reasons = requestProblems(request);
    if (!Number.isSafeInteger(count) || count < 1)
      reasons.push(`count must be a whole number of at least 1, not ${count}`);
    if (reasons.length > 0) {
      unsound.push({ request: i, reasons });
      continue;
    }
    const { name, ...rest } = request;
    const key = JSON.stringify(namesMatter ? request : rest);
    const part = memo(parts, key, () => ({ request, count: 0, members: [] }));
    part.members.push(i);
    part.count += count;
  }
  return { parts: [...parts.values()], unsound };
}
