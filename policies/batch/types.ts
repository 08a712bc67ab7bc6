import type { Catalogue } from '../catalogue/catalogue.ts';
import type { CompiledPolicies } from '../place/compiled.ts';
import type { EstateMachine, PlacedOffer, PlacementRequest, SetAside, SiteView } from '../place/types.ts';

/** What many placements are decided on at once. */
export interface BatchInput {
  /** `count` machines of each. Rules may read `request.count`; it is as given. */
  requests: readonly { request: PlacementRequest; count: number }[];
  catalogue: Catalogue;
  /** Hosts with what is free of them; where machines of the batch stand already (a re-placement), as if they were gone. */
  sites: readonly SiteView[];
  policies: CompiledPolicies;
  setAside: readonly SetAside[];
  /** Also consider providers without a site: for a plan. */
  includeUnconfigured: boolean;
  /** The time of the decision; now, when not given. */
  now?: Date;
  /** Machines that exist; those with the name and project of a request of the batch are the ones it re-places. */
  estate?: readonly EstateMachine[];
}

export interface BatchOptions {
  /** Stop when the score is proven to be within this part of the least; 0.001 when not given. */
  gap?: number;
  /** Branch-and-bound nodes per programme; 2000 when not given. */
  nodeLimit?: number;
  /** Equal inputs and seeds give equal answers; 1 when not given. */
  seed?: number;
  /** Ends the search; the iteration throws its reason. */
  signal?: AbortSignal;
}

/** Machines of one request at one offer. */
export interface BatchPlacement {
  /** Place of the request in the input. */
  request: number;
  count: number;
  /** For a host: the host's own. */
  offer: PlacedOffer;
}

/** Machines without a place, and what stands in their way. */
export interface Unplaced {
  request: number;
  count: number;
}

/**
 * Why machines find no place: everything named here must hold for it to be so, and without any one of it at least
 * one more machine would find one.
 */
export interface Conflict {
  /** Places of the requests in the input that have no place because of it. */
  requests: number[];
  /** Each for a person: a rule of a policy with its group and figures, or a pool of hosts with its room. */
  because: string[];
  /**
   * False: not all of it may be needed. Where nothing was proven (a large batch, whole machines that do not fit, or no time), what is
   * full or in reach is named.
   */
  irreducible: boolean;
}

/** What one more unit of something scarce would save. */
export interface ShadowPrice {
  /** For a person. */
  words: string;
  /** `USD` for a budget's limit, otherwise what a quota or a host counts. */
  unit: 'instance' | 'vCPU' | 'GiB' | 'GiB of disk' | 'GPU' | 'USD/hour';
  savesPerMonth: number;
}

/** The answer for a batch. */
export interface BatchDecision {
  method: 'greedy' | 'lp' | 'milp';
  placements: BatchPlacement[];
  unplaced: Unplaced[];
  /** At least so many machines find no place, whatever one does. */
  unplacedBound: number;
  /** Sums over all placements. */
  pricePerHour: number;
  pricePerMonth: number;
  /** The price with preferences and egress priced in: what is made small. */
  scorePerHour: number;
  /** No answer that leaves as few unplaced has a lower score. */
  bound: number;
  /** (scorePerHour - bound) / scorePerHour. */
  gap: number;
  conflicts: Conflict[];
  /** What is scarce, dearest first; empty for the greedy answer. */
  shadowPrices: ShadowPrice[];
  /** Kinds of machines after joining equal requests, and options that are worth looking at. */
  classes: number;
  options: number;
  notices: string[];
  catalogue: { version: string; date: string };
  policies: { name: string; version: string }[];
}
