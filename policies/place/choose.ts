import { hasBit } from '../cel/trivalue.ts';
import { hostRefusal, isSetAside, type Refusal } from './available.ts';
import { type Candidates, offerOf, takeBest } from './best.ts';
import type { Circumstances, RowVerdict } from './circumstances.ts';
import { compileRequestRules } from './compiled.ts';
import { fittingOffers, requestProblems } from './fit.ts';
import { type Held, heldAlso, heldTo } from './held.ts';
import { cloudTable, type OfferTable } from './offers.ts';
import { onpremOffers } from './onprem.ts';
import { circumstancesOf, type PlacementInput } from './place.ts';
import { readyOffers } from './ready.ts';
import { scan } from './scan.ts';
import { ownRulesAgainst } from './standing-rules.ts';
import type { PlacedOffer, SetAside } from './types.ts';
import { machinesVerdict } from './verdicts.ts';

/** What {@link choose} decides. */
export interface Chosen {
  /** Null: nothing can be placed; `place` says why. */
  winner: PlacedOffer | null;
  fallbacks: PlacedOffer[];
}

/**
 * The winner and the fallbacks that `place` would name, without the record: for many machines at once, and for finding
 * out what a change would do. What the rules let through is kept as bits in the order of prices, for requests that are
 * alike in what the rules read of them; so are the offers that fit. Other machines, the room on hosts and what is set
 * aside are looked at while scanning the two, so nothing of them is remembered from one placement to the next.
 *
 * Measured by test/bench/placement.ts over 70,500 and 270,000 offers with 12 rules, 2 busy cores: 11 µs for the winner
 * and 3 fallbacks over both; 8 µs for the winner alone. Pareto lists, grouped by what rules can tell apart, find the
 * winner alone in 2 µs; but they leave out the offers that fallbacks, limits, full hosts and set-asides need, and would
 * have to be kept beside these bits. Kept for a table of n offers: at most 512 sets or 32 MiB of rules' bits, and 256
 * requests' and 128 conditions' of n/8 bytes each (13 MB at 270,000).
 */
export function choose(input: PlacementInput, fallbacks: number = input.fallbacks ?? 3): Chosen {
  const { request, sites, catalogue } = input;
  if (requestProblems(request).length > 0) return { winner: null, fallbacks: [] };
  const context = circumstancesOf(input);
  const held = heldAlso(
    heldTo(input.policies, compileRequestRules(input.requestRules ?? []), context),
    ownRulesAgainst(context),
  );
  const onprem = onpremOffers(request, sites);
  const candidates = [cloudTable(catalogue, sites), onprem.table].flatMap((table) =>
    candidatesIn(table, held, context, input, onprem.refusal),
  );
  const best = takeBest(candidates, fallbacks);
  return {
    winner: best.winner === null ? null : offerOf(best.winner, held.priced),
    fallbacks: best.fallbacks.map((each) => offerOf(each, held.priced)),
  };
}

function candidatesIn(
  table: OfferTable,
  held: Held,
  context: Circumstances,
  { includeUnconfigured, setAside }: PlacementInput,
  refusal: Refusal,
): Candidates[] {
  if (table.length === 0) return [];
  const { classes, says } = readyOffers(table, held, context, includeUnconfigured);
  if (classes.length === 0) return [];
  const tests = [...machineTests(table, held, says, context), ...availabilityTests(table, setAside, refusal)];
  const allows = tests.length === 0 ? null : (row: number) => tests.every((test) => test(row));
  const fitting = fittingOffers(table, context.request);
  return classes.map((of) => ({ table, of, next: scan(of, fitting, allows) }));
}

type RowTest = (row: number) => boolean;

function machineTests(
  table: OfferTable,
  { machines }: Held,
  says: ReturnType<typeof readyOffers>['says'],
  context: Circumstances,
): RowTest[] {
  return machines.map((rule, r) => {
    const over = says[r]!;
    let verdict: RowVerdict | undefined;
    return (row) => {
      if (over !== null && !hasBit(over, row)) return true;
      verdict ??= machinesVerdict(rule, table, context)!.at;
      const value = verdict(row);
      return value === 'true' || (value === 'error' && rule.missing === 'pass');
    };
  });
}

function availabilityTests(table: OfferTable, setAside: readonly SetAside[], refusal: Refusal): RowTest[] {
  const asides = setAside.flatMap((aside) => isSetAside(table, aside) ?? []);
  const refused = hostRefusal(table, refusal);
  return [
    ...asides.map(
      (matches): RowTest =>
        (row) =>
          !matches(row),
    ),
    ...(refused === null ? [] : [(row: number) => refused(row) === null]),
  ];
}
