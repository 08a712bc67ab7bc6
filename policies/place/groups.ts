import type { OfferAttribute } from '../cel/schema.ts';
import type { Domain, GroupKey } from '../file/policy.ts';
import { memo } from '../memo.ts';
import { type Findings, foundIn, type Parts, partsOf } from './estate.ts';
import type { EstateMachine, PlacementRequest } from './types.ts';

/** Where a machine stands, or an offer is. Null: not known (a zone), or none (the host of a cloud's machine). */
export interface Place {
  provider: string;
  /** `''` for an offer of a provider without a site. */
  site: string;
  region: string;
  zone: string | null;
  host: string | null;
}

/** Attributes of an offer that are its {@link Place}. */
export const PLACE_ATTRIBUTES = ['provider', 'site', 'region', 'zone', 'host'] as const;

/**
 * The domain of a place, by a name that is the same for two places in one domain only. Null: not known. A cloud's
 * machines count as on hosts of their own (`alone`): no provider says which share one.
 */
export function domainOf(place: Place, by: Domain): string | { alone: true } | null {
  const { provider, site, region, zone, host } = place;
  // Providers' regions are the same places for all accounts; two on-prem sites may use one name for two places.
  const area = `${provider === 'onprem' ? site : provider}/${region}`;
  switch (by) {
    case 'provider':
      return provider;
    case 'site':
      return site;
    case 'region':
      return area;
    case 'zone':
      return zone === null ? null : `${area}/${zone}`;
    case 'host':
      return host === null ? { alone: true } : `${site}/${host}`;
  }
}

/** Group keys whose value follows from the request; the others depend on the offer. */
export function isRequestKey(key: GroupKey): boolean {
  return key === 'organization' || key === 'project' || key.startsWith('labels.');
}

/** The attributes of an offer that group keys read. */
export function offerKeys(keys: readonly GroupKey[]): OfferAttribute[] {
  return keys.filter((key) => !isRequestKey(key)) as OfferAttribute[];
}

/** A machine's value of a key; a label it does not have, and any other value it lacks, is `''`. */
export function machineValue(machine: EstateMachine, key: GroupKey): string {
  if (key.startsWith('labels.')) return machine.labels[key.slice('labels.'.length)] ?? '';
  return machine[key as Exclude<GroupKey, `labels.${string}`>] ?? '';
}

/** The value of a key for a machine the request asks for, at an offer whose attributes are given. */
export function candidateValue(
  request: PlacementRequest,
  offer: (attribute: OfferAttribute) => unknown,
  key: GroupKey,
): string {
  if (key.startsWith('labels.')) return request.labels[key.slice('labels.'.length)] ?? '';
  if (key === 'organization' || key === 'project') return request[key];
  return (offer(key as OfferAttribute) as string | undefined) ?? '';
}

/** The name of a group: equal for equal values only. */
export function groupName(values: readonly string[]): string {
  return JSON.stringify(values);
}

/** The machines of each group, by name. */
export class Grouping implements Findings {
  readonly nameOf: (machine: EstateMachine) => string;
  readonly #groups = new Map<string, EstateMachine[]>();

  constructor(machines: readonly EstateMachine[], nameOf: (machine: EstateMachine) => string) {
    const names = new WeakMap<EstateMachine, string>();
    this.nameOf = (machine) => memo(names, machine, () => nameOf(machine));
    for (const machine of machines) memo(this.#groups, this.nameOf(machine), () => []).push(machine);
  }

  /** A list that is not changed any more: what follows from it is kept by it. */
  get(name: string): readonly EstateMachine[] | undefined {
    return this.#groups.get(name);
  }

  entries(): Iterable<[string, readonly EstateMachine[]]> {
    return this.#groups;
  }

  change(gone: ReadonlySet<EstateMachine>, come: readonly EstateMachine[]): void {
    const touched = new Map<string, EstateMachine[]>();
    for (const machine of gone) touched.set(this.nameOf(machine), []);
    for (const machine of come) memo(touched, this.nameOf(machine), () => []).push(machine);
    for (const [name, more] of touched) {
      const left = [...(this.get(name) ?? []).filter((machine) => !gone.has(machine)), ...more];
      if (left.length === 0) this.#groups.delete(name);
      else this.#groups.set(name, left);
    }
  }
}

function grouping(standing: readonly EstateMachine[], keys: readonly GroupKey[]): Grouping {
  return foundIn(standing, `groups ${keys.join()}`, () => {
    return new Grouping(standing, (machine) => groupName(keys.map((key) => machineValue(machine, key))));
  });
}

const NOBODY: readonly EstateMachine[] = [];

/** The machines of a group. What follows from `standing` may be kept by it. */
export function groupIn(estate: readonly EstateMachine[], keys: readonly GroupKey[], name: string): Parts {
  const { standing, added } = partsOf(estate);
  const groups = grouping(standing, keys);
  return {
    standing: groups.get(name) ?? NOBODY,
    added: added.filter((machine) => groups.nameOf(machine) === name),
  };
}

/** The machines of each group, by {@link groupName}. */
export function machinesByGroup(
  estate: readonly EstateMachine[],
  keys: readonly GroupKey[],
): { get(name: string): readonly EstateMachine[] | undefined } {
  return {
    get(name) {
      const { standing, added } = groupIn(estate, keys, name);
      return added.length === 0 ? standing : [...standing, ...added];
    },
  };
}

/** The machines of a list that are the one the request is about: more than one while it moves. */
export function selvesIn(estate: readonly EstateMachine[], request: PlacementRequest): EstateMachine[] {
  const { standing, added } = partsOf(estate);
  const nameOf = ({ project, name }: Pick<EstateMachine, 'project' | 'name'>) => `${project}\0${name}`;
  const byName = foundIn(standing, 'names', () => new Grouping(standing, nameOf));
  return [...(byName.get(nameOf(request)) ?? []), ...added.filter((machine) => isSelf(machine, request))];
}

/** Whether a machine is the one the request is about: a re-placement is not held against where it stands now. */
export function isSelf(machine: EstateMachine, request: PlacementRequest): boolean {
  return machine.name === request.name && machine.project === request.project;
}
