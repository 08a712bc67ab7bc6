/** Why a request lands elsewhere under changed policies, from the two evaluations that say so. */
import { pricePerMonth } from '@landfall/model/quantities.ts';
import { hasBit } from '../cel/trivalue.ts';
import type { Choice } from '../place/best.ts';
import type { Evaluation } from '../place/place.ts';
import { pricingRules } from '../place/surcharges.ts';
import type { PlacedOffer } from '../place/types.ts';

/** A rule with where it stands. */
export interface RejectingRule {
  policy: string;
  rule: string;
  file: string;
  line: number;
}

/** What changed for one request. */
export interface Changed {
  change: 'moved' | 'rejected' | 'placed' | 'approval';
  from: PlacedOffer | null;
  to: PlacedOffer | null;
  /** Rules of after that reject the place it has before, as `policy/rule`. */
  rules: readonly string[];
  /** Rules of before that rejected the place it has after, and reject it no more, as `policy/rule`. */
  allows: readonly string[];
  approvals: readonly string[];
  /** Whether the prices are others, too. */
  otherPrices: boolean;
  /** What preferences changed their mind, in words; asked only where nothing else says why. */
  preferred: () => string | undefined;
}

/** In a sentence without a full stop: `eu/residency rejects the old place`. */
export function whyOf(changed: Changed): string {
  const { change, rules, allows, approvals, otherPrices } = changed;
  switch (change) {
    case 'approval':
      return `${all(approvals)} ${verb(approvals, 'asks', 'ask')} for an approval`;
    case 'placed':
      return allows.length > 0 ? noLonger(allows, 'it') : 'at the other prices there is a place for it';
    case 'rejected':
      return rules.length > 0
        ? `${rejects(rules)}, and there is no other`
        : 'at the other prices there is no place for it';
    case 'moved': {
      if (rules.length > 0) return rejects(rules);
      const saves = savingOf(changed);
      const reason =
        allows.length > 0
          ? noLonger(allows, 'the new place')
          : otherPrices
            ? 'by the other prices'
            : changed.preferred();
      if (saves === undefined) return reason ?? 'better by what rules add to the prices';
      return reason === undefined ? saves : `${saves}: ${reason}`;
    }
  }
}

function savingOf({ from, to }: Changed): string | undefined {
  const saved = (from?.pricePerMonth ?? 0) - (to?.pricePerMonth ?? 0);
  return saved < 0.005 ? undefined : `cheaper by ${pricePerMonth(saved)} a month`;
}

const verb = (names: readonly string[], one: string, many: string): string =>
  names.length === 1 ? one : many;
const rejects = (rules: readonly string[]): string =>
  `${all(rules)} ${verb(rules, 'rejects', 'reject')} the old place`;
const noLonger = (rules: readonly string[], what: string): string =>
  `${all(rules)} no longer ${verb(rules, 'rejects', 'reject')} ${what}`;

function all(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

/** The enforced rules of an evaluation that reject a choice made among the same tables. */
export function rejecting({ tables, inForce }: Evaluation, choice: Choice | null): RejectingRule[] {
  if (choice === null) return [];
  const { verdicts } = tables.find(({ table }) => table === choice.candidates.table)!;
  const found = new Map<string, RejectingRule>();
  for (const [r, { policy, rule, file, line, mode }] of inForce.rules.entries())
    if (mode === 'enforce' && !hasBit(verdicts[r]!.passes, choice.row))
      found.set(`${policy}/${rule}`, { policy, rule, file, line });
  return [...found.values()];
}

/** Which preferences of after are met by the new place only, else which of before were met by the old one only and are gone. */
export function preferring(before: Evaluation, after: Evaluation): string | undefined {
  const [from, to] = [before.best.winner, after.best.winner];
  if (from === null || to === null) return undefined;
  const wins = meeting(after, to).filter((name) => !meeting(after, from).includes(name));
  if (wins.length > 0) return `${all(wins)} ${verb(wins, 'prefers', 'prefer')} the new place`;
  const held = meeting(before, from).filter((name) => !meeting(before, to).includes(name));
  const gone = held.filter((name) => !meeting(after, from).includes(name));
  return gone.length === 0
    ? undefined
    : `${all(gone)} no longer ${verb(gone, 'prefers', 'prefer')} the old place`;
}

/** Preferences of an evaluation that a choice among its tables meets. */
function meeting({ tables, inForce }: Evaluation, { candidates, row }: Choice): string[] {
  const evaluated = tables.find(({ table }) => table === candidates.table);
  const terms = evaluated?.classes.find(({ bits }) => hasBit(bits, row))?.terms ?? [];
  return pricingRules(inForce.rules).flatMap(({ policy, rule, effect }, r) =>
    effect === 'prefer' && terms[r]?.met ? [`${policy}/${rule}`] : [],
  );
}
