/** Sample answers for tests. */
import type { Decision, Offer, Schemas } from '@landfall/model';

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

const residency = { policy: 'eu-data', rule: 'residency', file: 'eu.yaml', line: 12 };
const cheaper = offer('aws', 'us-east-1', 't4g.small', 0.0168);

/** The first decision, with all that rules can add to it. */
export const explainedDecision: Decision = {
  ...sampleDecision,
  approvals: [
    { policy: 'eu-data', rule: 'big', by: ['finops', 'cto'], expiresHours: 24, message: 'over 50' },
  ],
  ttlHours: 72,
  limits: [
    {
      policy: 'eu-data',
      rule: 'spend',
      effect: 'budget',
      key: 'project=shop',
      unit: 'USD/month',
      limit: 100,
      used: 40,
      takes: 15.184,
    },
  ],
  preferences: [{ policy: 'eu-data', rule: 'green', effect: 'prefer', met: false, addsPerHour: 0.001 }],
  exceptions: [
    {
      policy: 'eu-data',
      rule: 'no-spot',
      owner: 'ann',
      reason: 'migration',
      expires: '2026-12-01T00:00:00Z',
    },
  ],
  explanation: {
    runnerUp: sampleDecision.fallbacks[0]!,
    counterfactuals: [{ ...residency, offer: cheaper, savingPerMonth: 2.92 }],
    relaxations: [],
    thresholds: [
      {
        rule: { ...residency, rule: 'green', line: 14 },
        expression: 'offer.carbon < 200.0',
        subject: 'offer.carbon',
        operator: '<',
        value: 200,
        needed: 379,
        offer: cheaper,
        savingPerMonth: 2.92,
      },
      {
        rule: null,
        expression: 'at least 4 GiB of memory',
        subject: 'offer.memoryGiB',
        operator: '>=',
        value: 4,
        needed: 2,
        offer: cheaper,
        savingPerMonth: -1,
      },
    ],
    limits: [
      {
        ...residency,
        rule: 'gpus',
        line: 20,
        effect: 'quota',
        key: 'region=us-east-1',
        unit: 'vcpu',
        limit: 16,
        used: 15,
        takes: 2,
        short: 1,
        offer: cheaper,
        savingPerMonth: 2.92,
        oneMoreSavesPerMonth: 2.92,
      },
    ],
    capacity: [
      {
        offer: offer('onprem', 'dc1', 'flex', 0.01, { site: 'local', host: 'kvm2' }),
        reason: 'host kvm2 has 1 vCPUs, 4 GiB of memory and 9 GiB of disk free',
        short: { vcpus: 1, memoryGiB: 0, diskGiB: 1, gpus: 2 },
        savingPerMonth: 7.88,
      },
    ],
  },
};

/** Nothing complies, and what would let something. */
export const explainedUnplaceable: Decision = {
  ...unplaceableDecision,
  explanation: {
    runnerUp: null,
    counterfactuals: [],
    relaxations: [{ rules: [residency, { ...residency, rule: 'gold', line: 15 }], frees: 3, offer: cheaper }],
    thresholds: [],
    limits: [],
    capacity: [],
  },
};

/** Places all machines of a batch at the sample's fallback. */
export function sampleBatchDecision({
  requests,
}: Schemas['PlacementBatchInput']): Schemas['PlacementBatchDecision'] {
  const { catalogue, policies } = sampleDecision;
  const place = sampleDecision.fallbacks[0]!;
  const placements = requests.map(({ count = 1 }, request) => ({ request, count, offer: place }));
  const machines = placements.reduce((sum, placed) => sum + placed.count, 0);
  const total = place.pricePerHour * machines;
  return {
    method: 'lp',
    placements,
    unplaced: [],
    unplacedBound: 0,
    pricePerHour: total,
    pricePerMonth: total * 730,
    currency: 'USD',
    scorePerHour: total,
    bound: total,
    gap: 0,
    conflicts: [],
    shadowPrices: [],
    classes: 1,
    options: 40,
    notices: [],
    catalogue,
    policies,
  };
}

/** A machine outside what a rule requires. */
export const sampleViolation: Schemas['Violation'] = {
  id: '019a9c2e-6a4b-7c51-9d8e-2f1f6f0f6f20',
  kind: 'Violation',
  project: 'default',
  resource: {
    kind: 'Instance',
    id: '019a9c2e-6a4b-7c51-9d8e-2f1f6f0f6f10',
    name: 'first',
    project: 'default',
  },
  policy: 'eu',
  policyVersion: '4cc4a03a998f',
  rule: 'residency',
  line: 7,
  mode: 'enforce',
  effect: 'require',
  message: 'must stay in the EU',
  state: 'Open',
  exception: null,
  acknowledged: null,
  owner: 'dpo',
  action: 'stop',
  actionState: 'Requested',
  actionMessage: 'asked to stop it, as eu/residency says',
  operation: null,
  firstSeenAt: '2026-11-20T16:00:00.000Z',
  lastSeenAt: '2026-11-20T16:05:00.000Z',
  resolvedAt: null,
};
