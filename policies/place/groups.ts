import type { OfferAttribute } from '../cel/schema.ts';
import type { Domain, GroupKey } from '../file/policy.ts';
import { memo } from '../memo.ts';
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

const grouped = new WeakMap<readonly EstateMachine[], Map<string, Map<string, EstateMachine[]>>>();

/** The machines of each group, by {@link groupName}. Kept by the list of machines, which is not changed once given. */
export function machinesByGroup(
  estate: readonly EstateMachine[],
  keys: readonly GroupKey[],
): Map<string, EstateMachine[]> {
  const known = memo(grouped, estate, () => new Map<string, Map<string, EstateMachine[]>>());
  return memo(known, keys.join(), () => {
    const groups = new Map<string, EstateMachine[]>();
    for (const machine of estate) {
      const name = groupName(keys.map((key) => machineValue(machine, key)));
      memo(groups, name, () => [] as EstateMachine[]).push(machine);
    }
    return groups;
  });
}

/** Whether a machine is the one the request is about: a re-placement is not held against where it stands now. */
export function isSelf(machine: EstateMachine, request: PlacementRequest): boolean {
  return machine.name === request.name && machine.project === request.project;
}
