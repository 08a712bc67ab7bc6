/**
 * A batch as numbers: what is wanted, what may be chosen, and what all choices share. `candidates.ts` makes it
 * from requests, prices and policies; everything else in this folder works on it alone.
 */
import type { Countable } from '../file/policy.ts';

/** Room on a host, or what one machine takes of it. */
export const ROOM = ['vcpus', 'memoryGiB', 'diskGiB', 'gpus'] as const;

/** vCPUs, GiB of memory, GiB of disk, GPUs; in the order of {@link ROOM}. */
export type Room = readonly [number, number, number, number];

/** Machines that are alike to every rule and price. */
export interface MachineClass {
  /** How many are wanted. */
  count: number;
  /** What one takes of an on-prem host, and its disk for quotas. */
  size: Room;
  options: Options;
  /** The rules of {@link Batch.apart} that concern it. */
  apart: SetsOf;
  /** The rules of {@link Batch.together} that concern it. */
  together: SetsOf;
  /** The spread groups its machines are counted in wherever they go; each is `sure`. */
  spreads: readonly number[];
  /** Its machines may be counted in other spread groups, too, depending on where they go. */
  loose: boolean;
}

/** By rule, the set of a class's machines: where the rule has a say over their place, and where not; -1 = none. */
export type SetsOf = ReadonlyMap<number, readonly [held: number, free: number]>;

/** Where the machines of one class may go, lowest score first. Classes may share the arrays. */
export interface Options {
  length: number;
  /** What is made small, USD per hour: the price, with preferences and egress priced in. */
  score: ArrayLike<number>;
  /** USD per hour, what budgets count. */
  price: ArrayLike<number>;
  vcpus: ArrayLike<number>;
  memoryGiB: ArrayLike<number>;
  gpuCount: ArrayLike<number>;
  /** What the option is to the caller, such as the row of a table. */
  offer: ArrayLike<number>;
  /** What it means to the shared limits, as a place in `cells`. */
  meaning: ArrayLike<number>;
  cells: readonly Cell[];
  /** The pool of each option's cell. */
  pool: ArrayLike<number>;
}

export function cellOf({ meaning, cells }: Options, option: number): Cell {
  return cells[meaning[option]!]!;
}

/** What an option means to the shared limits; options of many classes share one. */
export interface Cell {
  /** On-prem: the pool whose hosts it may go to. -1 = a cloud, which has room for any number. */
  pool: number;
  limits: readonly number[];
  spreads: readonly { group: number; domain: number }[];
  apart: readonly Neighbourhood[];
  together: readonly Neighbourhood[];
}

/** Where a cell is to a rule about other machines. */
export interface Neighbourhood {
  rule: number;
  domain: number;
  /** The rule has a say over machines there. */
  held: boolean;
}

/** The domain of a cell in a pool of several hosts, where the domain is the host itself. */
export const THE_HOST = -1;

/** The domain of a machine that is in one of its own, as a cloud's is where domains are hosts. */
export const ALONE = -2;

/** The domain, to rules of affinity, of a machine whose own is not known: it is beside nobody. */
export const UNKNOWN = -3;

/** A budget or a quota for one group of machines. */
export interface Limit {
  /** For a person: rule, policy and group. */
  words: string;
  counts: Countable | 'price';
  /** It counts the machines of all requests alike, and not of one project or label. */
  shared: boolean;
  /** What the new machines may still take together: the rule's limit without what is used. */
  left: number;
}

/** A spread rule for one group of machines. */
export interface SpreadGroup {
  words: string;
  /** At least this many domains. */
  min: number;
  /** In (0, 1]: no domain has more than this share of the group, rounded up. */
  maxShare: number;
  /** Machines of the group there are already, by domain. */
  existing: ReadonlyMap<number, number>;
  /** Machines of the group there are already that are each in a domain of their own. */
  existingAlone: number;
  /** Which machines are counted does not depend on where they go. */
  sure: boolean;
}

/** An anti-affinity rule. Machines of a set of `alone` share no domain with each other; of two sets in `pairs`, none with the other's. */
export interface ApartRule {
  words: string;
  alone: ReadonlySet<number>;
  pairs: readonly (readonly [number, number])[];
}

/**
 * An affinity rule that some machines follow beside others of the batch. Each stands in a domain with one that it is to be
 * with, and the answer can be made machine by machine: see `together.ts`.
 */
export interface TogetherRule {
  words: string;
  sets: readonly TogetherSet[];
}

/** Machines that are alike to an affinity rule, and to those who are to be with them. */
export interface TogetherSet {
  /** The sets that it is to be with a machine of; its own is among them where it may be with its like. Null: the rule has no say over it. */
  beside: readonly number[] | null;
  /** Domains with machines that it is to be with and that exist. */
  existing: ReadonlySet<number>;
  /** It may be the first of those that it is to be with: it is one itself, and none exists. */
  mayBeFirst: boolean;
}

/** An on-prem host that is ready, with what is free of it. */
export interface BatchHost {
  name: string;
  pool: number;
  free: Room;
}

/** Hosts that nothing but their room tells apart. */
export interface Pool {
  words: string;
  hosts: readonly number[];
}

/** All of it is plain data, which a thread can be sent. */
export interface Batch {
  classes: readonly MachineClass[];
  limits: readonly Limit[];
  spreads: readonly SpreadGroup[];
  apart: readonly ApartRule[];
  together: readonly TogetherRule[];
  hosts: readonly BatchHost[];
  pools: readonly Pool[];
}

/** Some machines of a class at one option; `host` is -1 in a cloud. */
export interface Placed {
  class: number;
  option: number;
  host: number;
  count: number;
}

/** The same, wherever on-prem. */
export type Share = Omit<Placed, 'host'>;

/** Slack for sums of prices and sizes, which are not exact in binary. */
export const EPSILON = 1e-9;

/** What may be taken of a limit, its slack included. */
export function within(limit: Limit): number {
  return limit.left + EPSILON * Math.max(1, Math.abs(limit.left));
}

/** What one machine at an option takes of a limit. */
export function takes(limit: Limit, machines: MachineClass, option: number): number {
  const { options } = machines;
  switch (limit.counts) {
    case 'instances':
      return 1;
    case 'vcpu':
      return options.vcpus[option]!;
    case 'memoryGiB':
      return options.memoryGiB[option]!;
    case 'gpu':
      return options.gpuCount[option]!;
    case 'diskGiB':
      return machines.size[2];
    case 'price':
      return options.price[option]!;
  }
}

/** How many of a size fit into a room, each by itself. */
export function fitsTimes(free: Room, size: Room): number {
  let most = Number.POSITIVE_INFINITY;
  for (let d = 0; d < ROOM.length; d++)
    if (size[d]! > 0) most = Math.min(most, Math.floor((free[d]! + EPSILON) / size[d]!));
  return Math.max(0, most);
}

/** The most machines of a group of `n` that one domain may have: its share, rounded up. */
export function shareOf(maxShare: number, n: number): number {
  return Math.max(1, Math.ceil(maxShare * n - EPSILON));
}

/** What all machines placed cost, by what is made small. */
export function scoreOf(batch: Batch, placed: readonly Placed[]): number {
  return placed.reduce((t, p) => t + batch.classes[p.class]!.options.score[p.option]! * p.count, 0);
}

/** Machines of a spread group that were there before, and the domains they are in. */
export function standing(group: SpreadGroup): { machines: number; domains: number } {
  const counts = [...group.existing.values()].filter((n) => n > 0);
  return {
    machines: counts.reduce((t, n) => t + n, group.existingAlone),
    domains: counts.length + group.existingAlone,
  };
}

/** The domain a machine of a cell is in, on its host. */
export function domainOf(domain: number, host: number): number {
  return domain === THE_HOST ? host : domain;
}
