import type { Location } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, finding } from './clients.ts';

/** The last part of one of Google's links. */
export function lastOf(link: string | null | undefined): string {
  return link ? link.slice(link.lastIndexOf('/') + 1) : '';
}

export function regionOf(zone: string): string {
  return zone.replace(/-[a-z]+$/, '');
}

/** The zones of a region, in their order. @throws ProviderError `Invalid` when there is no such region. */
export async function zonesOf(account: Account, region: string): Promise<string[]> {
  const project = await account.project();
  const found = await finding(account.clients.regions.get({ project, region }, account.call));
  if (!found)
    throw new ProviderError('Invalid', `Google Cloud has no region ${region}`, { field: '/location/region' });
  return (found.zones ?? []).map(lastOf).sort();
}

/** The zone to create in: the one wanted, else the region's first, which is the same for every call. */
export async function zoneFor(account: Account, location: Location): Promise<string> {
  const zones = await zonesOf(account, location.region);
  const zone = location.zone ?? zones[0];
  if (!zone || !zones.includes(zone))
    throw new ProviderError('Invalid', `the region ${location.region} has no zone ${zone ?? ''}`, {
      field: '/location/zone',
    });
  return zone;
}
