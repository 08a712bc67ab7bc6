import { type Intent, setAside } from '@landfall/store';
import type { Turn } from './turn.ts';

/** How long an offer that refused is left out of placement. */
const capacityAsideMs = 10 * 60_000;
const hostAsideMs = 2 * 60_000;

/** Capacity is short of one offer in one zone, or of one host; a quota holds for the region. */
export async function asideFor(turn: Turn, intent: Intent, code: string, reason: string): Promise<void> {
  const isQuota = code === 'QuotaExceeded';
  await setAside(turn.tx, {
    site: intent.site,
    region: intent.region,
    zone: isQuota ? null : intent.offer.zone,
    host: intent.host,
    instance_type: intent.host || isQuota ? null : intent.offer.instanceType,
    market: intent.offer.market,
    reason,
    forMs: intent.host ? hostAsideMs : capacityAsideMs,
  });
}
