import { loadSnapshot } from '../catalogue/snapshot.ts';
import { parsePolicy } from '../file/parse.ts';
import { compilePolicies } from '../place/compiled.ts';
import { NEUTRAL_REQUEST } from '../place/types.ts';
import { candidatesOf } from './candidates.ts';
import { conflictsNow, conflictsOf } from './explain.ts';
import { solveGreedy } from './solve.ts';
import type { BatchInput } from './types.ts';

const RULES = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: scarce}
spec:
  rules:
  - {name: no-gpu, when: request.gpuCount == 0, deny: offer.gpuCount > 0}
  - {name: region, quota: {group: [provider, region], resource: vcpu, limit: 2}}
  - {name: team, budget: {group: [labels.team], per: hour, limit: 0.3 USD}}
  - {name: apart, spread: {by: region, min: 2, maxShare: 0.6, group: [labels.team]}}
`;

const SIZES = [1, 2, 4, 8].flatMap((vcpus) => [2, 4, 8].map((times) => [vcpus, vcpus * times] as const));

const scarce: BatchInput = {
  requests: Array.from({ length: 290 }, (_, i) => {
    const [vcpus, memoryGiB] = SIZES[i % SIZES.length]!;
    const labels = { team: `team-${i % 29}` };
    return { request: { ...NEUTRAL_REQUEST, vcpus, memoryGiB, labels, name: `vm-${i}` }, count: 1 };
  }),
  catalogue: loadSnapshot(),
  sites: [],
  policies: compilePolicies(parsePolicy(RULES, 'scarce.yaml').policies),
  setAside: [],
  includeUnconfigured: true,
};

describe('what is in the way of 290 scarce kinds of machines', () => {
  it('is said after two seconds, and what was not proven by then says so', async () => {
    const now = new Date();
    const candidates = await candidatesOf(scarce, now);
    const answer = solveGreedy(candidates.batch);
    expect(candidates.batch.classes).toHaveLength(290);
    const began = performance.now();
    const found = await conflictsOf(scarce, now, candidates, answer, 1);
    // Without an end it takes more than a minute.
    expect(performance.now() - began).toBeLessThan(8_000);
    expect(found.flatMap(({ requests }) => requests)).toHaveLength(10);
    expect(found.every(({ because }) => because.length > 0)).toBe(true);
    expect(found.some(({ irreducible }) => !irreducible)).toBe(true);
    const atOnce = conflictsNow(scarce, now, candidates, answer);
    expect(atOnce.every(({ irreducible }) => !irreducible)).toBe(true);
  }, 60_000);

  it('is given up once nobody waits for it', async () => {
    const now = new Date();
    const candidates = await candidatesOf(scarce, now);
    const answer = solveGreedy(candidates.batch);
    const gone = new AbortController();
    const reason = new Error('hung up');
    setTimeout(() => gone.abort(reason), 50);
    await expect(conflictsOf(scarce, now, candidates, answer, 1, gone.signal)).rejects.toBe(reason);
  }, 60_000);

  it('is not gathered either once nobody waits for it', async () => {
    const gone = new AbortController();
    const reason = new Error('hung up');
    setTimeout(() => gone.abort(reason), 1);
    await expect(candidatesOf(scarce, new Date(), gone.signal)).rejects.toBe(reason);
  });
});
