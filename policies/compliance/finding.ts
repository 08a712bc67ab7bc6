import type { Circumstances } from '../place/circumstances.ts';
import type { EstateMachine, PlacementRequest } from '../place/types.ts';

/**
 * Rules about several machines at once. Each machine is held against those made before it, as if all were placed anew in
 * the order in which they were made, and one that does not pass is not counted for the later ones: so those that are found
 * are those whose going would leave the rest as the rule wants it.
 */
export interface Together {
  /** Every machine that counts, the oldest first. */
  inOrder: readonly EstateMachine[];
  /** The request of a machine that the rule is for; undefined for the others, which are counted and not judged. */
  requestOf: (machine: EstateMachine) => PlacementRequest | undefined;
  now: Date;
  sites: Circumstances['sites'];
}

/** What the rule says of a machine: what is wrong, or `error` where a value it needs is not known. */
export type Found = Map<string, { error: boolean; detail: string }>;

/** For a machine whose own domain is not known. */
export function unknownDomain(by: string): { error: boolean; detail: string } {
  return { error: true, detail: `its ${by} is not known` };
}
