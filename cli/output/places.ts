/** Offers in words. */
import type { Offer } from '@landfall/model';

const providerNames: Record<string, string> = { aws: 'AWS', azure: 'Azure', gcp: 'GCP', onprem: 'on-prem' };

/** `AWS`, `on-prem`. */
export function providerName(provider: string): string {
  return providerNames[provider] ?? provider;
}

/** `AWS us-east-1`, `on-prem dc1 (host kvm1)`. */
export function offerPlace(offer: Offer): string {
  const zone = offer.zone && offer.zone !== offer.region ? ` ${offer.zone}` : '';
  return `${providerName(offer.provider)} ${offer.region}${zone}${offer.host ? `, host ${offer.host}` : ''}`;
}
