import type { Offer, Schemas } from '@landfall/model';
import { type Db, ledgerHosts } from '@landfall/store';
import { catalogueInForce } from './catalogue.ts';
import { siteViews } from './place-input.ts';

/** A machine that exists, as far as its price and its rules depend on it. */
export interface StandingMachine {
  site: string;
  provider: Schemas['Provider'];
  region: string;
  zone: string | null;
  host: string | null;
  instanceType: string;
  market: Offer['market'];
  vcpus: number;
  memoryGiB: number;
  architecture: Offer['architecture'];
}

/**
 * The offer that a machine stands for: what the catalogue in force says of its instance type where it is, or on-prem the site's
 * own rates. Without a price where neither knows one: then none is shown, and rules about prices count it as 0.
 */
export async function knownOffer(
  db: Db,
  organization: string,
  machine: StandingMachine,
): Promise<Offer & { site: string }> {
  const site = (await siteViews(db, organization, await ledgerHosts(db))).find(
    ({ name }) => name === machine.site,
  );
  const known = {
    ...machine,
    gpuName: null,
    gpuCount: 0,
    currency: 'USD',
    jurisdiction: site?.jurisdiction ?? null,
  };
  const priced = (pricePerHour: number) => ({ pricePerHour, pricePerMonth: pricePerHour * 730 });
  if (machine.provider === 'onprem') {
    const { pricing } = site ?? {};
    if (!pricing) return unpriced(known);
    return { ...known, ...priced(pricing.vcpuHour * machine.vcpus + pricing.gibHour * machine.memoryGiB) };
  }
  for (const row of (await catalogueInForce(db, organization)).rows()) {
    const isIt =
      row.instanceType === machine.instanceType &&
      row.provider === machine.provider &&
      row.region === machine.region &&
      row.market === machine.market &&
      (row.zone === null || row.zone === machine.zone);
    if (!isIt) continue;
    const { gpuName, gpuCount, burstable } = row;
    return { ...known, gpuName, gpuCount, burstable, ...priced(row.pricePerHour) };
  }
  return unpriced(known);
}

/** Every offer of a placement has a price; one of a machine that exists need not, and none is made up. */
function unpriced(known: Omit<Offer, 'pricePerHour' | 'pricePerMonth'>): Offer & { site: string } {
  return known as Offer & { site: string };
}
