/** What a rule rejects, in full: behind its lens. */
import type { ParsedPolicy, PlacedOffer } from '@landfall/policies';
import type { OfferAttribute } from '@landfall/policies/cel/schema.ts';
import { type Bits, countBits, nextBit } from '@landfall/policies/cel/trivalue.ts';
import type { OfferTable } from '@landfall/policies/place/offers.ts';
import { resourceDiagnostics } from './diagnostics.ts';
import { type LandfallFile, textAt } from './file.ts';
import type { Placements } from './placements.ts';
import type { KeptInstance, RejectedGroup, RuleRejections, RuleTarget } from './protocol.ts';
import { type JudgedOffers, rejectedOffers } from './rule-counts.ts';
import type { Workspace } from './workspace.ts';

/** Offers that one answer names: nobody reads more of them. */
const MOST_OFFERS = 200;

/** What a rule of a file rejects; undefined where there is no such rule, or where it rejects no offer by what it is. */
export async function ruleRejections(
  { uri, policy: name, rule: named }: RuleTarget,
  workspace: Workspace,
  placements: Placements,
): Promise<RuleRejections | undefined> {
  const policy = workspace.anyFile(uri)?.policies.policies.find((one) => one.name === name);
  if (policy === undefined) return undefined;
  const judged = rejectedOffers(policy);
  const own = judged.rules.find(({ rule }) => rule === named);
  if (own === undefined) return undefined;
  const { table, base } = judged;
  const related = judged.rules
    .filter((other) => other !== own)
    .map(({ rule, line, rejected }) => ({ rule, line, both: countBits(both(rejected, own.rejected)) }))
    .filter(({ both }) => both > 0)
    .sort((a, b) => b.both - a.both);
  const files = workspace.all();
  // What is on disk alone was not looked at yet.
  for (const file of files)
    if (file.parts.some(({ kind }) => kind === 'Instance')) await resourceDiagnostics(file);
  return {
    uri,
    policy: name,
    rule: named,
    line: own.line,
    of: countBits(base),
    rejected: countBits(own.rejected),
    alone: countBits(own.alone),
    whereItApplies: own.whereItApplies,
    groups: {
      provider: grouped(table, base, own.rejected, 'provider'),
      region: grouped(table, base, own.rejected, 'region'),
      family: grouped(table, base, own.rejected, 'family'),
    },
    offers: offersOf(judged, own.alone),
    instances: files.flatMap((file) => keptInstances(file, policy, named, placements)),
    related,
    namesakes: files.flatMap((file) =>
      file.policies.policies
        .filter((other) => other.name !== name)
        .flatMap(({ name: of, rules }) =>
          rules
            .filter((rule) => rule.name === named)
            .map(({ line }) => ({ policy: of, uri: file.uri, line })),
        ),
    ),
  };
}

function both(a: Bits, b: Bits): Bits {
  return a.map((word, w) => word & b[w]!);
}

/** Offers by a value of theirs, within their provider; the value with the most rejected ones first. */
function grouped(table: OfferTable, base: Bits, rejected: Bits, attribute: OfferAttribute): RejectedGroup[] {
  const providers = table.column('provider');
  const { codes, values } = table.column(attribute);
  const groups = new Map<number, RejectedGroup>();
  for (let row = nextBit(base, 0); row >= 0; row = nextBit(base, row + 1)) {
    const key = providers.codes[row]! * values.length + codes[row]!;
    let group = groups.get(key);
    if (group === undefined) {
      const provider = String(providers.values[providers.codes[row]!]);
      group = { provider, name: String(values[codes[row]!] ?? ''), rejected: 0, of: 0 };
      groups.set(key, group);
    }
    group.of++;
    group.rejected += (rejected[row >>> 5]! >>> (row & 31)) & 1;
  }
  return [...groups.values()]
    .filter((group) => group.rejected > 0)
    .sort((a, b) => b.rejected - a.rejected || (a.name < b.name ? -1 : 1));
}

/** The cheapest of some offers, with the cheapest allowed one that is as large and what having the former instead would save. */
function offersOf({ table, compliant }: JudgedOffers, some: Bits): RuleRejections['offers'] {
  const found: RuleRejections['offers'] = [];
  for (let row = nextBit(some, 0); row >= 0 && found.length < MOST_OFFERS; row = nextBit(some, row + 1)) {
    const offer = table.offer(row);
    const allowed = cheapestLike(offer, table, compliant);
    found.push({
      offer,
      allowed,
      savingPerMonth: allowed === null ? null : allowed.pricePerMonth - offer.pricePerMonth,
    });
  }
  return found;
}

/** The cheapest of some offers that has what another has: rows are in the order of prices. */
function cheapestLike(like: PlacedOffer, table: OfferTable, some: Bits): PlacedOffer | null {
  const [vcpus, memoryGiB] = [table.numbers('vcpus'), table.numbers('memoryGiB')];
  for (let row = nextBit(some, 0); row >= 0; row = nextBit(some, row + 1)) {
    if (vcpus[row]! < like.vcpus || memoryGiB[row]! < like.memoryGiB) continue;
    const offer = table.offer(row);
    const isLike =
      offer.architecture === like.architecture &&
      offer.market === like.market &&
      offer.gpuName === like.gpuName &&
      offer.gpuCount >= like.gpuCount;
    if (isLike) return offer;
  }
  return null;
}

/** The instances of a file that a rule alone keeps from something better, or from any place. */
function keptInstances(
  file: LandfallFile,
  { name: policy }: ParsedPolicy,
  rule: string,
  placements: Placements,
): KeptInstance[] {
  return placements.of(file).flatMap(({ name, part, decision }) =>
    (decision.explanation?.counterfactuals ?? [])
      .filter((each) => each.policy === policy && each.rule === rule && (each.savingPerMonth ?? 1) >= 0.005)
      .map(({ offer, savingPerMonth }) => ({
        subject: `instance/${name}`,
        uri: file.uri,
        line: file.rangeOf(part, textAt(part, ['metadata', 'name'])!.node).start.line + 1,
        offer,
        savingPerMonth,
      })),
  );
}
