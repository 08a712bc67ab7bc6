/** Sample answers for tests. */
import type { Decision, Offer } from '@landfall/model';

function offer(
  provider: Offer['provider'],
  region: string,
  instanceType: string,
  price: number,
  more: Partial<Offer> = {},
): Offer {
  return {
    site: null,
    provider,
    region,
    zone: null,
    host: null,
    instanceType,
    market: 'onDemand',
    vcpus: 2,
    memoryGiB: 4,
    architecture: 'x86_64',
    gpuCount: 0,
    pricePerHour: price,
    pricePerMonth: price * 730,
    currency: 'USD',
    ...more,
  };
}

/** A decision over all providers that a rule narrowed. */
export const sampleDecision: Decision = {
  id: '019a9c2e-6a4b-7c51-9d8e-2f1f6f0f6f10',
  outcome: 'placed',
  winner: offer('onprem', 'dc1', 'flex', 0.0208, { site: 'local', zone: 'dc1', host: 'kvm1' }),
  fallbacks: [
    offer('gcp', 'us-central1', 'e2-medium', 0.0335),
    offer('aws', 'us-east-1', 't3.medium', 0.0416),
    offer('azure', 'eastus', 'B2s', 0.0416),
  ],
  considered: 65215,
  compliant: 41874,
  funnel: [
    { stage: 'fits the size', remaining: 50000 },
    { stage: 'policies', remaining: 41874 },
  ],
  rules: [
    {
      policy: 'eu-data',
      policyVersion: 'sha256:abc',
      rule: 'residency',
      mode: 'enforce',
      effect: 'require',
      line: 12,
      applies: true,
      rejected: 8126,
      rejectedAlone: 7000,
      message: 'must stay in the EU',
    },
    {
      policy: 'eu-data',
      policyVersion: 'sha256:abc',
      rule: 'idle',
      mode: 'enforce',
      effect: 'deny',
      line: 14,
      applies: false,
      rejected: 0,
      rejectedAlone: 0,
    },
  ],
  reasons: ['on-prem is 38% cheaper than the next'],
  catalogue: {
    version: 'c1',
    date: '2025-03-27',
    sources: [{ name: 'snapshot', date: '2025-03-27', offers: 65000, notice: 'list prices of March 2025' }],
  },
  policies: [{ name: 'eu-data', version: 'sha256:abcdef0123456789' }],
  certificate: { method: 'exact', bound: 0.0208, gap: 0 },
};

/** The same request when nothing complies. */
export const unplaceableDecision: Decision = {
  ...sampleDecision,
  outcome: 'unplaceable',
  winner: null,
  fallbacks: [],
  compliant: 0,
  reasons: [
    'eu-data/residency rejects every offer that is large enough',
    'dropping eu-data/residency would let GCP us-central1 e2-medium through at $0.0335 an hour',
    'no site holds certification C5',
  ],
};
