import { loadSnapshot } from '../catalogue/snapshot.ts';
import { parsePolicy } from '../file/parse.ts';
import { compilePolicies } from '../place/compiled.ts';
import { NEUTRAL_REQUEST, type SiteView } from '../place/types.ts';
import { placeBatch, placeGreedy } from './place-batch.ts';
import type { BatchDecision, BatchInput } from './types.ts';

const RULES = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: busy}
spec:
  rules:
  - {name: no-gpu, when: request.gpuCount == 0, deny: offer.gpuCount > 0}
  - {name: region, quota: {group: [provider, region], resource: vcpu, limit: 900}}
  - {name: team, budget: {group: [labels.team], per: hour, limit: 12 USD}}
  - {name: apart, spread: {by: region, min: 2, maxShare: 0.6, group: [labels.team]}}
`;

const cloud = (name: string, provider: string): SiteView => ({
  name,
  provider,
  regions: [],
  certifications: [],
  labels: {},
  hosts: [],
});

/** What this thread took of the processor while something was done, as a part of what all threads took: in one go at most, and in all. */
async function shareOf(work: () => Promise<void>): Promise<{ longest: number; all: number }> {
  // Of the processor, this thread's beside all threads': a busy machine holds up nobody here.
  const whole = process.cpuUsage();
  const before = process.threadCpuUsage();
  let last = before;
  let longest = 0;
  const look = () => {
    const { user, system } = process.threadCpuUsage(last);
    longest = Math.max(longest, user + system);
    last = process.threadCpuUsage();
  };
  const turn = setInterval(look, 5);
  await work();
  clearInterval(turn);
  look();
  const { user, system } = process.cpuUsage(whole);
  const own = process.threadCpuUsage(before);
  return { longest: longest / (user + system), all: (own.user + own.system) / (user + system) };
}

const SIZES = [1, 2, 4, 8].flatMap((vcpus) => [2, 4, 8].map((times) => [vcpus, vcpus * times] as const));

function batchOf(requests: number, teams: number, rules: string): BatchInput {
  return {
    requests: Array.from({ length: requests }, (_, i) => {
      const [vcpus, memoryGiB] = SIZES[i % SIZES.length]!;
      const labels = { team: `team-${i % teams}` };
      return { request: { ...NEUTRAL_REQUEST, vcpus, memoryGiB, labels, name: `vm-${i}` }, count: 1 };
    }),
    catalogue: loadSnapshot(),
    sites: [cloud('aws-1', 'aws'), cloud('gcp-1', 'gcp'), cloud('azure-1', 'azure')],
    policies: compilePolicies(parsePolicy(rules, 'busy.yaml').policies),
    setAside: [],
    includeUnconfigured: false,
  };
}

describe('placing a large batch', () => {
  it('lets the event loop turn all the while', async () => {
    let first: BatchDecision | null = null;
    const { longest } = await shareOf(async () => {
      for await (const decision of placeBatch(batchOf(4000, 331, RULES))) {
        first = decision;
        break;
      }
    });
    expect(first!.classes).toBeGreaterThan(3900);
    // As parts of the whole, since machines differ: the linear programme alone is more than half of it.
    expect(longest).toBeLessThan(1 / 3);
  });

  it('leaves the linear programmes of what conflicts to another thread', async () => {
    // Few, so that one is found long before the two seconds that an explanation may take, on a busy machine as well.
    const tight = RULES.replace('limit: 900', 'limit: 2').replace('limit: 12 USD', 'limit: 0.3 USD');
    let found: BatchDecision | null = null;
    const { all } = await shareOf(async () => {
      found = await placeGreedy(batchOf(12, 2, tight));
    });
    expect(found!.conflicts.some(({ irreducible }) => irreducible)).toBe(true);
    expect(all).toBeLessThan(1 / 3);
  });
});
