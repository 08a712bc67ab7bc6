/**
 * How long one placement takes over a real catalogue with 12 rules, beside two ways of doing the same by hand
 * in the same run. Run it with: node test/bench/placement.ts [path to a folder with aws.csv and gcp.csv]
 *
 * The catalogue (../shared/data/catalog by default) is not part of the project; without it the bench says so
 * and ends.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Catalogue,
  compilePolicies,
  importSkyPilotCsv,
  jurisdictionOf,
  NEUTRAL_REQUEST,
  type PlacementRequest,
  parsePolicy,
  place,
  type SiteView,
} from '@landfall/policies';
import { interpret } from '@landfall/policies/cel/columnar.ts';
import { celRequest } from '@landfall/policies/cel/schema.ts';

const RULES = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: bench}
spec:
  rules:
  - {name: residency, require: 'request.dataClass != "restricted" || offer.jurisdiction in ["EU", "CH"]'}
  - {name: providers, require: 'offer.provider in ["aws", "gcp"]'}
  - {name: no-government, deny: 'offer.region.startsWith("us-gov-")'}
  - {name: certified, require: 'request.dataClass == "" || offer.certifications.exists(c, c == "iso27001")'}
  - {name: no-burstable, when: 'request.labels.env == "prod"', deny: offer.burstable}
  - {name: no-old, deny: 'offer.family in ["m1", "m2", "m3", "c1", "c3", "t1", "n1"]'}
  - {name: price-cap, require: 'offer.pricePerHour * 730.0 <= 20000.0'}
  - {name: no-spot-prod, when: 'request.labels.env == "prod"', deny: 'offer.market == "spot"'}
  - {name: no-oversize, require: offer.vcpus <= request.vcpus * 4}
  - {name: no-gpu, when: request.gpuCount == 0, deny: offer.gpuCount > 0}
  - {name: memory-ratio, deny: 'offer.memoryGiB / double(offer.vcpus) > 16.0'}
  - {name: no-metal, deny: 'offer.instanceType.endsWith(".metal") || offer.instanceType.matches("metal-[0-9]+xl$")'}
`;

const folder =
  process.argv[2] ?? path.join(path.dirname(fileURLToPath(import.meta.url)), '../../../shared/data/catalog');

function load(): Catalogue | null {
  const sources = [];
  for (const provider of ['aws', 'gcp']) {
    const file = path.join(folder, `${provider}.csv`);
    if (!existsSync(file)) return null;
    const { rows } = importSkyPilotCsv(readFileSync(file, 'utf8'), {
      provider,
      file,
      date: '2026-08-01',
      source: provider,
    });
    sources.push({ name: provider, date: '2026-08-01', rows });
  }
  return Catalogue.merge(sources);
}

const site = (name: string, provider: string): SiteView => ({
  name,
  provider,
  regions: [],
  certifications: ['iso27001'],
  labels: {},
  hosts: [],
});
const SITES = [site('aws-1', 'aws'), site('gcp-1', 'gcp')];

function requestOf(i: number): PlacementRequest {
  return {
    ...NEUTRAL_REQUEST,
    labels: { env: i % 3 === 0 ? 'prod' : 'test' },
    dataClass: i % 2 === 0 ? 'restricted' : '',
    vcpus: [1, 2, 4, 8, 16, 32][i % 6]!,
    memoryGiB: [2, 4, 16, 32, 64][i % 5]!,
    architecture: (['any', 'x86_64', 'arm64'] as const)[i % 3]!,
    market: (['any', 'onDemand'] as const)[i % 2]!,
  };
}

function timed(name: string, rounds: number, run: (i: number) => unknown): number {
  const took: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    run(i);
    took.push(performance.now() - start);
  }
  took.sort((a, b) => a - b);
  const at = (q: number): number => took[Math.min(took.length - 1, Math.floor(took.length * q))]!;
  console.log(
    `${name.padEnd(52)} p50 ${at(0.5).toFixed(3)} ms   p99 ${at(0.99).toFixed(3)} ms   (${rounds} runs)`,
  );
  return at(0.5);
}

function main(): void {
  const started = performance.now();
  const catalogue = load();
  if (catalogue === null) {
    console.log(`skipped: no aws.csv and gcp.csv in ${folder}`);
    return;
  }
  console.log(
    `${catalogue.length} offers, 12 rules, Node ${process.version}; loaded in ${(performance.now() - started).toFixed(0)} ms`,
  );
  const compile = (text: string): ReturnType<typeof compilePolicies> =>
    compilePolicies(parsePolicy(text, 'bench.yaml').policies);
  const decide = (request: PlacementRequest, policies: ReturnType<typeof compilePolicies>) =>
    place({ request, catalogue, sites: SITES, policies, setAside: [], includeUnconfigured: false });

  const policies = compile(RULES);
  const cold = performance.now();
  decide(requestOf(0), policies);
  console.log(`first placement on this catalogue: ${(performance.now() - cold).toFixed(1)} ms`);
  for (let i = 0; i < 300; i++) decide(requestOf(i), policies);
  const warm = timed('place, with the decision record (30 request shapes)', 2000, (i) =>
    decide(requestOf(i), policies),
  );
  let salt = 0;
  const fresh = (i: number): PlacementRequest => ({
    ...requestOf(i),
    vcpus: 1 + (i % 61),
    name: `vm-${salt++}`,
  });
  timed('place, every request of another size', 1000, (i) => decide(fresh(i), policies));
  timed('compile the policy file', 30, (i) => compile(RULES.replace('20000.0', `${20000 + i}.0`)));
  timed('first placement after a policy change, without compile', 30, (i) => {
    decide(requestOf(i), recompiled[i]!);
  });

  const offers = [...catalogue.rows()].map((row) => ({
    ...row,
    site: row.provider === 'aws' ? 'aws-1' : 'gcp-1',
    family: row.instanceType.split(row.provider === 'aws' ? '.' : '-')[0]!,
    jurisdiction: jurisdictionOf(row.provider, row.region),
  }));
  const winners = new Map<number, string>();
  const objects = timed('by hand: filter and sort over objects', 30, (i) => {
    const q = requestOf(i);
    const best = offers.filter((o) => allowedByHand(q, o)).sort((a, b) => a.pricePerHour - b.pricePerHour)[0];
    winners.set(i, best === undefined ? 'none' : best.pricePerHour.toFixed(9));
  });
  const rules = parsePolicy(RULES, 'bench.yaml').policies[0]!.rules.flatMap((r) =>
    r.clauses.flatMap((clause) =>
      clause.effect === 'require' || clause.effect === 'deny'
        ? [
            {
              when: r.when === null ? null : interpret(r.when),
              verdict: interpret(clause.expression),
              wanted: clause.effect === 'require' ? 'true' : 'false',
            },
          ]
        : [],
    ),
  );
  const celOffers = offers.map((o) => {
    const { jurisdiction, zone, ...rest } = o;
    return {
      ...rest,
      ...(jurisdiction && { jurisdiction }),
      ...(zone && { zone }),
      gpuName: o.gpuName ?? '',
      price: o.pricePerHour,
      vcpus: BigInt(o.vcpus),
      gpuCount: BigInt(o.gpuCount),
      certifications: ['iso27001'],
    };
  });
  const interpreter = timed('the reference interpreter on every offer that fits', 5, (i) => {
    const q = requestOf(i);
    const cel = celRequest(q);
    return offers.filter(
      (o, k) =>
        fits(q, o) &&
        rules.every(
          (r) => r.when?.(cel, celOffers[k]!) === 'false' || r.verdict(cel, celOffers[k]!) === r.wanted,
        ),
    ).length;
  });
  const differing = [...winners].filter(
    ([i, price]) => price !== (decide(requestOf(i), policies).winner?.pricePerHour.toFixed(9) ?? 'none'),
  );
  console.log(
    `against the objects by hand ${(objects / warm).toFixed(0)}x, against the interpreter ${(interpreter / warm).toFixed(0)}x`,
  );
  console.log(`winning prices that differ from the ones by hand: ${differing.length} of ${winners.size}`);
  if (differing.length > 0) process.exitCode = 1;
}

/** Policies whose text differs, so that nothing is remembered from one to the next. */
const recompiled = Array.from({ length: 30 }, (_, i) =>
  compilePolicies(parsePolicy(RULES.replace('20000.0', `${30000 + i}.0`), 'bench.yaml').policies),
);

type Offer = ReturnType<Catalogue['row']> & { family: string; jurisdiction: string | null };

function fits(q: PlacementRequest, o: Offer): boolean {
  return (
    o.vcpus >= q.vcpus &&
    o.memoryGiB >= q.memoryGiB &&
    (q.architecture === 'any' || o.architecture === q.architecture) &&
    (q.market === 'any' || o.market === q.market)
  );
}

const OLD = new Set(['m1', 'm2', 'm3', 'c1', 'c3', 't1', 'n1']);

function allowedByHand(q: PlacementRequest, o: Offer): boolean {
  const prod = q.labels.env === 'prod';
  return (
    fits(q, o) &&
    (q.dataClass !== 'restricted' || o.jurisdiction === 'EU' || o.jurisdiction === 'CH') &&
    (o.provider === 'aws' || o.provider === 'gcp') &&
    !o.region.startsWith('us-gov-') &&
    !(prod && o.burstable) &&
    !OLD.has(o.family) &&
    o.pricePerHour * 730 <= 20000 &&
    !(prod && o.market === 'spot') &&
    o.vcpus <= q.vcpus * 4 &&
    o.gpuCount === 0 &&
    o.memoryGiB / o.vcpus <= 16 &&
    !o.instanceType.endsWith('.metal') &&
    !/metal-[0-9]+xl$/.test(o.instanceType)
  );
}

main();
