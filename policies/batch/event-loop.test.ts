import { loadSnapshot } from '../catalogue/snapshot.ts';
import { parsePolicy } from '../file/parse.ts';
import { compilePolicies } from '../place/compiled.ts';
import { NEUTRAL_REQUEST, type SiteView } from '../place/types.ts';
import { placeBatch } from './place-batch.ts';
import type { BatchDecision } from './types.ts';

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

describe('placing a large batch', () => {
  it('lets the event loop turn all the while', async () => {
    const sizes = [1, 2, 4, 8].flatMap((vcpus) => [2, 4, 8].map((times) => [vcpus, vcpus * times] as const));
    const requests = Array.from({ length: 4000 }, (_, i) => {
      const [vcpus, memoryGiB] = sizes[i % sizes.length]!;
      const labels = { team: `team-${i % 331}` };
      return { request: { ...NEUTRAL_REQUEST, vcpus, memoryGiB, labels, name: `vm-${i}` }, count: 1 };
    });
    const input = {
      requests,
      catalogue: loadSnapshot(),
      sites: [cloud('aws-1', 'aws'), cloud('gcp-1', 'gcp'), cloud('azure-1', 'azure')],
      policies: compilePolicies(parsePolicy(RULES, 'busy.yaml').policies),
      setAside: [],
      includeUnconfigured: false,
    };
    // Of the processor, this thread's beside all threads': a busy machine holds up nobody here.
    const whole = process.cpuUsage();
    let last = process.threadCpuUsage();
    let longest = 0;
    const look = () => {
      const { user, system } = process.threadCpuUsage(last);
      longest = Math.max(longest, user + system);
      last = process.threadCpuUsage();
    };
    const turn = setInterval(look, 5);
    let first: BatchDecision | null = null;
    for await (const decision of placeBatch(input)) {
      first = decision;
      break;
    }
    clearInterval(turn);
    look();
    const { user, system } = process.cpuUsage(whole);
    expect(first!.classes).toBeGreaterThan(3900);
    // As parts of the whole, since machines differ: the linear programme alone is more than half of it.
    expect(longest).toBeLessThan((user + system) / 3);
  });
});
