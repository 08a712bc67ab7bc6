import type { Catalogue } from '../catalogue/catalogue.ts';
import { parsePolicy } from '../file/parse.ts';
import { type CompiledPolicies, compilePolicies } from '../place/compiled.ts';
import { NEUTRAL_REQUEST, type PlacementRequest, type SiteView } from '../place/types.ts';
import { bestBatch } from './place-batch.ts';
import { keepOne } from './solver.ts';

/** Every kind of limit, a spread, and rules that some requests alone are under: what batches are made of. */
const RULES = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: warm-up}
spec:
  rules:
  - {name: large, deny: offer.vcpus > 64}
  - {name: steady, when: 'request.labels.env == "prod"', deny: offer.burstable}
  - {name: regions, quota: {group: [provider, region], resource: vcpu, limit: 1500}}
  - {name: money, budget: {group: [project], per: month, limit: 60000 USD}}
  - {name: apart, when: has(request.labels.app), spread: {by: region, min: 2, maxShare: 0.6, group: [project, labels.app]}}
`;

/** Enough kinds that the batch is a large one (see `solve.ts`). */
const REQUESTS = 3000;

/** Enough to meet every rule in force, few enough not to matter where they find no place. */
const FEW = 200;

const SIZES = [1, 2, 4, 8].flatMap((vcpus) => [2, 4].map((times) => [vcpus, vcpus * times] as const));

/**
 * Places a batch that nobody asked for over the prices and sites that batches will be placed over, so that the first that somebody
 * waits for takes no longer than those after it: has the solver loaded, and in its thread and here compiled what runs
 * often; then a few requests under the policies that batches will be under, whose rules are evaluated over the prices once. It takes two seconds
 * of processor, beside which the event loop turns; aborting ends it. One solver's thread is kept from here on.
 */
export async function warmUp(
  catalogue: Catalogue,
  sites: readonly SiteView[],
  policies: CompiledPolicies,
  signal: AbortSignal,
): Promise<void> {
  keepOne();
  const batch = (length: number, among: readonly SiteView[], under: CompiledPolicies) => ({
    requests: Array.from({ length }, (_, i) => ({ request: requestOf(i), count: 1 })),
    catalogue,
    sites: among,
    policies: under,
    setAside: [],
    includeUnconfigured: true,
  });
  const clouds = sites.filter(({ provider }) => provider !== 'onprem');
  const own = compilePolicies(parsePolicy(RULES, 'warm-up.yaml').policies);
  await bestBatch(batch(REQUESTS, [...clouds, CELLAR], own), { signal });
  await bestBatch(batch(FEW, sites, policies), { signal });
}

function requestOf(i: number): PlacementRequest {
  const [vcpus, memoryGiB] = SIZES[i % SIZES.length]!;
  return {
    ...NEUTRAL_REQUEST,
    name: `warm-up-${i}`,
    project: `project-${i % 9}`,
    labels: { env: i % 5 < 2 ? 'prod' : 'test', ...(i % 7 < 2 && { app: `app-${i % 11}` }) },
    vcpus,
    memoryGiB,
    diskGiB: 10 + (i % 13),
    architecture: i % 2 === 0 ? 'any' : 'x86_64',
  };
}

/** More hosts than are looked at one by one (see `pools.ts`). */
const CELLAR: SiteView = {
  name: 'warm-up',
  provider: 'onprem',
  regions: [],
  certifications: [],
  labels: {},
  jurisdiction: 'EU',
  pricing: { vcpuHour: 0.006, gibHour: 0.0009, currency: 'USD' },
  hosts: Array.from({ length: 40 }, (_, i) => {
    const capacity = { vcpus: 16 + 8 * (i % 3), memoryGiB: 64, diskGiB: 4000 };
    return {
      name: `host-${i}`,
      region: 'warm-up',
      zone: `zone-${i % 4}`,
      architecture: 'x86_64',
      accel: 'kvm',
      free: capacity,
      capacity,
      ready: true,
    };
  }),
};
