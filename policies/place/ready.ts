import type { Bits } from '../cel/trivalue.ts';
import { memo } from '../memo.ts';
import type { Circumstances } from './circumstances.ts';
import type { CompiledRule } from './compiled.ts';
import { usableOffers } from './evaluate.ts';
import { type OfferSet, offerSet } from './fit.ts';
import type { Held } from './held.ts';
import type { OfferTable } from './offers.ts';
import { Recent } from './recent.ts';
import { type SurchargeClass, surchargeClasses } from './surcharges.ts';
import { errorsOf, none, ruleVerdict, trueOf } from './verdicts.ts';

/** The offers of a table that the rules let through whatever machines there are, before the request's own sizes. */
export interface Ready {
  classes: (SurchargeClass & OfferSet)[];
  /** For each of {@link Held}'s `machines`: the offers it has a say over; null = all. */
  says: (Bits | null)[];
}

/** What is kept for one table, in bytes and in sets: at 66,000 offers a set without preferences takes 8 KB. */
const MOST_BYTES = 32 * 1024 * 1024;
const MOST_SETS = 512;

const ready = new WeakMap<OfferTable, Recent<Ready>>();

/** The offers ready for a request, kept by table and by the signature of the rules. Shared, not to be changed. */
export function readyOffers(
  table: OfferTable,
  held: Held,
  context: Circumstances,
  includeUnconfigured: boolean,
): Ready {
  const known = memo(ready, table, () => new Recent<Ready>(MOST_BYTES, weightOf));
  const key = `${includeUnconfigured} ${held.signature}`;
  return known.get(key) ?? known.set(key, makeReady(table, held, context, includeUnconfigured));
}

function weightOf({ classes, says }: Ready): number {
  const bytes = [...classes.map((c) => c.bits), ...says].reduce(
    (sum, bits) => sum + (bits?.byteLength ?? 0),
    0,
  );
  return Math.max(bytes, MOST_BYTES / MOST_SETS);
}

function makeReady(
  table: OfferTable,
  { fixed, machines, pricing }: Held,
  context: Circumstances,
  includeUnconfigured: boolean,
): Ready {
  const bits = usableOffers(table, includeUnconfigured).slice();
  for (const rule of fixed) {
    const value = ruleVerdict(rule, table, bits, context);
    if (value.all === 'true') continue;
    const passes = trueOf(value, table);
    for (let w = 0; w < bits.length; w++) bits[w]! &= passes[w]!;
  }
  return {
    classes: surchargeClasses(table, bits, pricing, context).map((c) => ({ ...c, ...offerSet(c.bits) })),
    says: machines.map((rule) => saysOver(rule, table, context)),
  };
}

/** Where a gate has no value, the rule has its say unless it lets errors pass. */
function saysOver(rule: CompiledRule, table: OfferTable, { cel }: Circumstances): Bits | null {
  if (rule.gate === null) return null;
  const value = rule.gate.run(table, cel);
  if (value.all === 'true') return null;
  const open = trueOf(value, table);
  const unknown = rule.missing === 'pass' ? none(table) : errorsOf(value, table);
  return open.map((word, w) => word | unknown[w]!);
}
