import type { Catalogue } from '../catalogue/catalogue.ts';
import type { ParsedRule } from '../file/policy.ts';
import { offerOf } from '../place/best.ts';
import type { CompiledPolicies } from '../place/compiled.ts';
import { requestProblems } from '../place/fit.ts';
import { cloudTable, HOURS_PER_MONTH, type OfferTable } from '../place/offers.ts';
import { onpremOffers } from '../place/onprem.ts';
import { type Evaluation, evaluateAmong, placeAmong } from '../place/place.ts';
import type { Decision, EstateMachine, PlacedOffer, PlacementRequest, SiteView } from '../place/types.ts';
import { approvalsOf } from '../place/winner.ts';
import { preferring, type RejectingRule, rejecting, whyOf } from './why.ts';

/** A request that was decided once. */
export interface RecordedRequest {
  /** The decision's id. */
  decision: string;
  /** The machine it was for; null = none. It does not stand in its own way when the request is replayed. */
  resource: string | null;
  request: PlacementRequest;
  /** Rules that came with it. */
  requestRules: readonly ParsedRule[];
  /** The time it was decided for: windows and exceptions are those of then. */
  now: Date;
}

/** What requests are replayed against: one set of sites, and policies and prices before and after. */
export interface WhatIfWorld {
  catalogue: Catalogue;
  /** The prices after; the same, when not given. */
  catalogueAfter?: Catalogue;
  sites: readonly SiteView[];
  estate: readonly EstateMachine[];
  before: CompiledPolicies;
  after: CompiledPolicies;
}

/** What a change of policies does to one request. `approval`: it stays, and now needs one. */
export type Change = 'unchanged' | 'moved' | 'rejected' | 'placed' | 'approval';

/** One request under both sets of policies. */
export interface Replayed {
  recorded: RecordedRequest;
  change: Change;
  /** Where it lands under the policies before; null = nowhere. */
  from: PlacedOffer | null;
  to: PlacedOffer | null;
  /** Rules whose approval it needs after and did not before, as `policy/rule`. */
  approvals: string[];
  /** Enforced rules of after that reject the place it has before; nothing is asked of a request that changes nothing. */
  rules: RejectingRule[];
  /** Enforced rules of before that rejected the place it has after, as `policy/rule`. */
  allows: string[];
  /** Why it changes, in a sentence; null: it does not. */
  why: string | null;
}

/**
 * Decides one request again, under both sets of policies. Each is decided by itself, as if it were the only one to be
 * placed anew: its own machine takes nothing of hosts and limits, all others do.
 */
export function replay(recorded: RecordedRequest, world: WhatIfWorld): Replayed {
  const nothing = { change: 'unchanged', approvals: [], rules: [], allows: [], why: null } as const;
  if (requestProblems(recorded.request).length > 0)
    return { ...nothing, recorded, from: null, to: null, approvals: [], rules: [], allows: [] };
  const evaluate = evaluatorOf(recorded, world);
  const { catalogue, catalogueAfter = catalogue } = world;
  const before = evaluate(catalogue, world.before);
  const after = evaluate(catalogueAfter, world.after);
  const [from, to] = [winnerOf(before), winnerOf(after)];
  const needed = new Set(approvalsIn(before));
  const approvals = approvalsIn(after).filter((name) => !needed.has(name));
  const change = changeOf(from, to, approvals);
  if (change === 'unchanged') return { ...nothing, recorded, from, to, approvals, rules: [], allows: [] };
  const otherPrices = catalogueAfter !== catalogue;
  // Verdicts are on offers of one catalogue: of another, the rules are asked again.
  const judging = otherPrices ? evaluate(catalogue, world.after) : after;
  const judged = otherPrices && change !== 'approval' ? evaluate(catalogueAfter, world.before) : before;
  const rules = rejecting(judging, before.best.winner);
  const still = new Set(rejecting(after, after.best.winner).map(ruleName));
  const allows = rejecting(judged, after.best.winner)
    .map(ruleName)
    .filter((name) => !still.has(name));
  const why = whyOf({
    change,
    from,
    to,
    rules: rules.map(ruleName),
    allows,
    approvals,
    otherPrices,
    preferred: () => (otherPrices ? undefined : preferring(before, after)),
  });
  return { recorded, change, from, to, approvals, rules, allows, why };
}

/** The whole decision on a request after the change, with its explanation. */
export function decisionAfter(recorded: RecordedRequest, world: WhatIfWorld): Decision {
  const { input, tables, refusal, notices } = settingOf(recorded, world);
  const { catalogue, catalogueAfter = catalogue, after: policies } = world;
  return placeAmong(
    { ...input, catalogue: catalogueAfter, policies },
    tables(catalogueAfter),
    refusal,
    notices,
  );
}

/** What a request is decided by again, whatever the policies and prices are. */
function settingOf({ request, requestRules, now, resource }: RecordedRequest, world: WhatIfWorld) {
  const own = world.estate.find((machine) => machine.id === resource && machine.host !== null);
  const sites = own === undefined ? world.sites : withRoomOf(own, world.sites);
  const { table, refusal, notices } = onpremOffers(request, sites);
  const asked = { request, requestRules, now, estate: world.estate, sites };
  return {
    input: { ...asked, setAside: [], includeUnconfigured: false },
    tables: (catalogue: Catalogue): OfferTable[] => [cloudTable(catalogue, sites), table],
    refusal,
    notices,
  };
}

function evaluatorOf(recorded: RecordedRequest, world: WhatIfWorld) {
  const { input, tables, refusal } = settingOf(recorded, world);
  return (catalogue: Catalogue, policies: CompiledPolicies): Evaluation =>
    evaluateAmong({ ...input, catalogue, policies, fallbacks: 0 }, tables(catalogue), refusal);
}

function winnerOf({ best, priced }: Evaluation): PlacedOffer | null {
  return best.winner === null ? null : offerOf(best.winner, priced);
}

function approvalsIn({ best, inForce, context }: Evaluation): string[] {
  return best.winner === null ? [] : approvalsOf(inForce.rules, best.winner, context).map(ruleName);
}

function ruleName({ policy, rule }: { policy: string; rule: string }): string {
  return `${policy}/${rule}`;
}

function changeOf(from: PlacedOffer | null, to: PlacedOffer | null, approvals: string[]): Change {
  if (from === null) return to === null ? 'unchanged' : 'placed';
  if (to === null) return 'rejected';
  if (!samePlace(from, to)) return 'moved';
  return approvals.length > 0 ? 'approval' : 'unchanged';
}

function samePlace(a: PlacedOffer, b: PlacedOffer): boolean {
  const parts = ['site', 'provider', 'region', 'zone', 'host', 'instanceType', 'market'] as const;
  return parts.every((part) => a[part] === b[part]);
}

function withRoomOf(machine: EstateMachine, sites: readonly SiteView[]): SiteView[] {
  return sites.map((site) =>
    site.name !== machine.site
      ? site
      : {
          ...site,
          hosts: site.hosts.map((host) =>
            host.name !== machine.host
              ? host
              : {
                  ...host,
                  free: {
                    vcpus: host.free.vcpus + machine.vcpus,
                    memoryGiB: host.free.memoryGiB + machine.memoryGiB,
                    diskGiB: host.free.diskGiB + machine.diskGiB,
                    gpus: (host.free.gpus ?? 0) + machine.gpuCount,
                  },
                },
          ),
        },
  );
}

/** The sums over all replayed requests. Money is USD a month (730 hours), at the prices of the catalogue. */
export interface WhatIfSums {
  requests: number;
  unchanged: number;
  moved: number;
  rejected: number;
  placed: number;
  /** Requests that newly need an approval, moved ones included. */
  approvals: number;
  monthlyBefore: number;
  monthlyAfter: number;
  /** The part of before that is only saved because requests are rejected. */
  monthlyRejected: number;
  /** Rules of after by how many requests' places they reject, most first. */
  rules: (RejectingRule & { requests: number })[];
}

/** Sums up. */
export function sumUp(replayed: readonly Replayed[]): WhatIfSums {
  const sums: WhatIfSums = {
    requests: replayed.length,
    unchanged: 0,
    moved: 0,
    rejected: 0,
    placed: 0,
    approvals: 0,
    monthlyBefore: 0,
    monthlyAfter: 0,
    monthlyRejected: 0,
    rules: [],
  };
  const rules = new Map<string, WhatIfSums['rules'][number]>();
  for (const { recorded, change, from, to, approvals, rules: rejecting } of replayed) {
    if (change === 'approval') sums.unchanged++;
    else sums[change]++;
    if (approvals.length > 0) sums.approvals++;
    sums.monthlyBefore += monthly(from, recorded);
    sums.monthlyAfter += monthly(to, recorded);
    if (change === 'rejected') sums.monthlyRejected += monthly(from, recorded);
    for (const rule of rejecting) {
      const key = ruleName(rule);
      const known = rules.get(key) ?? { ...rule, requests: 0 };
      known.requests++;
      rules.set(key, known);
    }
  }
  sums.rules = [...rules.values()].sort((a, b) => b.requests - a.requests);
  return sums;
}

function monthly(offer: PlacedOffer | null, { request }: RecordedRequest): number {
  return offer === null ? 0 : offer.pricePerHour * HOURS_PER_MONTH * request.count;
}
