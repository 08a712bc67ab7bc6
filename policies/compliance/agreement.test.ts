import { Catalogue } from '../catalogue/catalogue.ts';
import { compilePolicies } from '../place/compiled.ts';
import { tableOfOffers } from '../place/offers.ts';
import { placeAmong } from '../place/place.ts';
import { type EstateMachine, NEUTRAL_REQUEST } from '../place/types.ts';
import { policy } from '../testing/policies.ts';
import { RandomCases } from '../testing/random-cases.ts';
import { NOW, randomEstate, randomRule } from '../testing/random-worlds.ts';
import { judge } from './judge.ts';
import { type PlacedMachine, type Standing, standings } from './standing.ts';

/** A rule means for machines that exist what it means for a request that would come to stand where they are. */

const catalogue = Catalogue.fromRows([], { name: 'none', date: '2026-01-01' });
const judged = [
  'require',
  'deny',
  'maxPrice',
  'labels',
  'spread',
  'affinity',
  'antiAffinity',
  'budget',
  'quota',
];
const worlds = 1_500;

function placed(machine: EstateMachine): PlacedMachine {
  const { name, project, labels, vcpus, memoryGiB, diskGiB } = machine;
  const { site, provider, region, zone, host, instanceType, market, architecture, gpuName, gpuCount } =
    machine;
  const { pricePerHour } = machine;
  return {
    machine,
    request: { ...NEUTRAL_REQUEST, name, project, labels, vcpus, memoryGiB, diskGiB, market: 'any' },
    taken: {
      ...{
        site,
        provider,
        region,
        zone,
        host,
        instanceType,
        market,
        vcpus,
        memoryGiB,
        architecture,
        gpuName,
        gpuCount,
      },
      burstable: vcpus > 2,
      pricePerHour,
      pricePerMonth: pricePerHour * 730,
      currency: 'USD',
      jurisdiction: null,
    },
  };
}

test('a machine is found exactly when placement would reject its place, those that are found being out of the way', () => {
  const random = new RandomCases(20_261_120);
  const seen = new Map<string, { found: number; passed: number }>();
  for (let world = 0; world < worlds; world++) {
    const estate = randomEstate(random).map((machine, i) => ({
      ...machine,
      name: `vm-${i}`,
      createdAt: new Date(NOW.getTime() - (20 - i) * 36e5).toISOString(),
    }));
    const rule = randomRule(random);
    const clauses = rule.clauses.slice(0, 1);
    const { effect } = clauses[0]!;
    if (!judged.includes(effect)) continue;
    const policies = compilePolicies([policy('p', [{ ...rule, name: 'r', clauses, override: false }])]);
    const all = standings(estate.map(placed), catalogue, []);
    const judging = judge({ standings: all, estate, policies, sites: [], now: NOW });
    let step = judging.next();
    while (!step.done) step = judging.next();
    const found = new Set(step.value.map(({ machine }) => machine.id));

    const rejects = ({ request, offer }: Standing, others: EstateMachine[]): boolean =>
      placeAmong(
        {
          request,
          catalogue,
          sites: [],
          policies,
          setAside: [],
          includeUnconfigured: true,
          now: NOW,
          estate: others,
        },
        [tableOfOffers([offer])],
        () => null,
        [],
      ).rules.some(({ rejected }) => rejected > 0);
    all.forEach((standing, i) => {
      const { id } = standing.machine;
      const others = estate.filter((other) => other.id !== id);
      const rest = others.filter((other) => !found.has(other.id));
      const before = estate.slice(0, i).filter((other) => !found.has(other.id));
      const isFound = found.has(id);
      // Limits and spread hold in the order of making; affinity looks at all; of two that exclude each other one is found.
      const company =
        effect === 'affinity' ? others : effect === 'antiAffinity' ? (isFound ? others : rest) : before;
      expect({ world, effect, id, isFound }).toEqual({
        world,
        effect,
        id,
        isFound: rejects(standing, company),
      });
      const count = seen.get(effect) ?? { found: 0, passed: 0 };
      count[isFound ? 'found' : 'passed']++;
      seen.set(effect, count);
    });
  }
  for (const effect of judged)
    expect([effect, seen.get(effect)!.found > 20, seen.get(effect)!.passed > 20]).toEqual([
      effect,
      true,
      true,
    ]);
});
