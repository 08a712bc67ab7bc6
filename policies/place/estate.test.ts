import { Catalogue } from '../catalogue/catalogue.ts';
import { RandomCases } from '../testing/random-cases.ts';
import { NOW, randomEstate, randomPolicies, randomSetAsides } from '../testing/random-worlds.ts';
import { compilePolicies } from './compiled.ts';
import { takesPlaceOf, withMachine } from './estate.ts';
import { place } from './place.ts';
import type { EstateMachine } from './types.ts';

const WORLDS = 300;
const STEPS = 8;

test('machines that come and go one by one are counted as if all were counted anew', () => {
  const random = new RandomCases(7);
  const seen = { limits: 0, rejections: 0, came: 0, went: 0, after: 0 };
  for (let w = 0; w < WORLDS; w++) {
    const catalogue = Catalogue.fromRows(random.rows(25), { name: 'test', date: '2025-01-01' });
    const policies = compilePolicies(randomPolicies(random));
    const sites = random.sites();
    const reserve = randomEstate(random).map((machine, n) => ({ ...machine, id: `m${n}` }));
    let read: readonly EstateMachine[] = reserve.splice(0, 4);
    let estate = read;
    for (let step = 0; step < STEPS; step++) {
      const next = reserve.pop();
      if (next && random.chance(0.5)) {
        // A placement of the same transaction.
        estate = withMachine(estate, next);
        seen.after++;
      } else {
        // The machines are read on: some are new, some are gone, and some have changed.
        const gone = read.filter(() => random.chance(0.3));
        const come = [
          ...gone.filter(() => random.chance(0.5)).map((m) => ({ ...m, labels: { app: 'web' }, zone: 'zz' })),
          ...estate.slice(read.length),
        ];
        const newer = [...read.filter((machine) => !gone.includes(machine)), ...come];
        takesPlaceOf(newer, read, gone, come);
        seen.came += come.length;
        seen.went += gone.length;
        read = newer;
        estate = newer;
      }
      // Most requests come more than once, and some are about a machine that stands.
      const [self] = random.chance(0.2) ? estate : [];
      const request = { ...random.request(), ...(self && { name: self.name, project: self.project }) };
      const setAside = randomSetAsides(random);
      const input = { request, sites, setAside, includeUnconfigured: true, catalogue, policies, now: NOW };
      const decision = place({ ...input, estate });
      expect(rounded(decision)).toEqual(rounded(place({ ...input, estate: [...estate] })));
      seen.limits += decision.limits?.length ?? 0;
      seen.rejections += decision.rules.filter((r) => isOfMachines(r.effect) && r.rejected > 0).length;
    }
  }
  for (const [what, times] of Object.entries(seen)) expect([what, times > 20]).toEqual([what, true]);
}, 120_000);

const isOfMachines = (effect: string): boolean =>
  ['spread', 'affinity', 'antiAffinity', 'budget', 'quota'].includes(effect);

/** Sums are not made in one order: their last digits may differ. */
function rounded(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, inner) =>
      typeof inner === 'number' ? Number(inner.toPrecision(12)) : inner,
    ),
  );
}
