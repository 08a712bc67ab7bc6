import type { Effect } from '../file/policy.ts';
import type { HostSize, PlacedOffer } from '../place/types.ts';

/** Where a rule stands. */
export interface RuleReference {
  policy: string;
  rule: string;
  file: string;
  line: number;
}

/** An offer that something keeps out, and what having it instead of the winner would save. */
export interface Kept {
  offer: PlacedOffer;
  /** USD a month (730 hours), by the price: above 0 where it is cheaper than the winner. Null without a winner. */
  savingPerMonth: number | null;
}

/** What would win without one rule. */
export interface Counterfactual extends RuleReference, Kept {}

/** A set of rules without which something fits where nothing does now. */
export interface Relaxation {
  rules: RuleReference[];
  /** Offers it lets through and that can be had now. */
  frees: number;
  offer: PlacedOffer;
}

/** A number in a rule or in the request, and the nearest value that changes the answer for the better. */
export interface Threshold extends Kept {
  /** Null: the request itself asks it. */
  rule: RuleReference | null;
  /** The comparison as it is written, or the condition in words. */
  expression: string;
  /** What is compared. */
  subject: string;
  /** What an offer must satisfy to pass: `subject operator value`. */
  operator: '<' | '<=' | '>' | '>=';
  value: number;
  /** The first value that would do; with `<` and `>`, anything beyond it. */
  needed: number;
}

/** A budget or quota that keeps a better offer out. */
export interface LimitShortage extends RuleReference, Kept {
  effect: Effect & ('budget' | 'quota');
  /** Names the group of the best offer it keeps out. */
  key: string;
  unit: string;
  limit: number;
  used: number;
  takes: number;
  /** How much higher the limit must be for the best offer it keeps out. */
  short: number;
  /** What the limit would save if it were one unit higher; 0 where that is not enough, null without a winner. */
  oneMoreSavesPerMonth: number | null;
}

/** A better offer that every rule lets through and that cannot be had now. */
export interface CapacityShortage extends Kept {
  reason: string;
  /** How much more room its host needs; absent where room is not what is short. */
  short?: HostSize;
}

/** Why here and not cheaper, and what would change the answer. Every figure is exact: see `explain`. */
export interface Explanation {
  /** The next best offer that can be had now. */
  runnerUp: PlacedOffer | null;
  /** The enforced rules that alone decide the answer, the largest saving first. */
  counterfactuals: Counterfactual[];
  /** Without a winner: the smallest sets of at most {@link MOST_RULES} rules to drop, fewest rules first, then cheapest; the first {@link MOST_SETS}. */
  relaxations: Relaxation[];
  thresholds: Threshold[];
  limits: LimitShortage[];
  /** Best first; the first {@link MOST_PLACES}. */
  capacity: CapacityShortage[];
}

/** Larger sets of rules are not looked for: nobody drops four rules at once. */
export const MOST_RULES = 3;
/** Sets of rules that one explanation names. */
export const MOST_SETS = 10;
/** Offers without room that one explanation names. */
export const MOST_PLACES = 5;
