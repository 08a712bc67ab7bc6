/**
 * How long one placement takes over a real catalogue with 12 rules, and over four times as many offers, beside other
 * ways of doing the same in the same run. Run it with: node test/bench/placement.ts [path to a folder with aws.csv
 * and gcp.csv]
 *
 * The catalogue (../shared/data/catalog by default) is not part of the project; without it the bench says so
 * and ends.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Catalogue,
  type CatalogueRow,
  type CompiledPolicies,
  choose,
  compilePolicies,
  type EstateMachine,
  importSkyPilotCsv,
  jurisdictionOf,
  loadSnapshot,
  NEUTRAL_REQUEST,
  type PlacementInput,
  type PlacementRequest,
  parsePolicy,
  place,
  type SiteView,
} from '@landfall/policies';
import { familyOf } from '@landfall/policies/catalogue/instance-types.ts';
import { interpret } from '@landfall/policies/cel/columnar.ts';
import { celRequest } from '@landfall/policies/cel/schema.ts';
import { StaircaseIndex } from './placement-staircases.ts';

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

/** Rules that rank offers, and rules that count machines. */
const RANKING = `  - {name: calm, prefer: '!offer.burstable', weight: 0.05}
  - {name: eu, prefer: 'offer.jurisdiction == "EU"', weight: 0.01 USD/h}
  - {name: data, gravity: {at: aws/eu-central-1, gibPerMonth: 50}}
`;
const COUNTING = `  - {name: ha, spread: {by: zone, min: 3, maxShare: 0.5, group: [project]}}
  - {name: spend, budget: {group: [project], per: month, limit: 2000000 USD}}
  - {name: fleet, quota: {group: [provider, region], resource: vcpu, limit: 20000}}
`;

/** A rule that none of the offers meets. */
const REFUSING = `  - {name: enormous, require: 'offer.memoryGiB > 1000000.0'}
`;

const folder =
  process.argv[2] ?? path.join(path.dirname(fileURLToPath(import.meta.url)), '../../../shared/data/catalog');

interface Source {
  name: string;
  date: string;
  rows: CatalogueRow[];
}

function load(): Source[] | null {
  const sources: Source[] = [{ name: 'snapshot', date: '2025-03-02', rows: [...loadSnapshot().rows()] }];
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
  return sources;
}

/** The rows again and again, in zones of other names and at prices up to a tenth apart. */
function multiplied(rows: readonly CatalogueRow[], wanted: number): CatalogueRow[] {
  return Array.from({ length: wanted }, (_, i) => {
    const row = rows[i % rows.length]!;
    const round = Math.floor(i / rows.length);
    const jitter = 1 + ((i * 2654435761) % 1000) / 10_000;
    return round === 0
      ? row
      : { ...row, zone: `${row.zone ?? row.region}-${round}`, pricePerHour: row.pricePerHour * jitter };
  });
}

const site = (name: string, provider: string): SiteView => ({
  name,
  provider,
  regions: [],
  certifications: ['iso27001'],
  labels: {},
  hosts: [],
});
const SITES = [site('aws-1', 'aws'), site('azure-1', 'azure'), site('gcp-1', 'gcp')];

/** A site of 50 hosts, a tenth of them full. */
const CELLAR: SiteView = {
  ...site('cellar', 'onprem'),
  jurisdiction: 'EU',
  pricing: { vcpuHour: 0.03, gibHour: 0.004, currency: 'USD' },
  hosts: Array.from({ length: 50 }, (_, i) => {
    const capacity = { vcpus: 64, memoryGiB: 256, diskGiB: 4000 };
    return {
      name: `host-${i}`,
      zone: `rack-${i % 5}`,
      region: 'cellar',
      architecture: 'x86_64',
      accel: 'kvm',
      free: i % 10 === 0 ? { vcpus: 0, memoryGiB: 0, diskGiB: 0 } : capacity,
      capacity,
      ready: true,
    };
  }),
};

const ESTATE: EstateMachine[] = Array.from({ length: 1000 }, (_, i) => ({
  id: `m-${i}`,
  name: `m-${i}`,
  project: i % 2 === 0 ? 'default' : 'other',
  organization: 'default',
  labels: {},
  state: 'Running',
  site: 'aws-1',
  provider: 'aws',
  region: ['us-east-1', 'eu-central-1', 'eu-west-1'][i % 3]!,
  zone: ['use1-az2', 'euc1-az1', 'euw1-az1'][i % 3]!,
  host: null,
  instanceType: 'm5.large',
  market: 'onDemand',
  architecture: 'x86_64',
  gpuName: null,
  gpuCount: 0,
  vcpus: 2,
  memoryGiB: 8,
  diskGiB: 10,
  pricePerHour: 0.1,
  publicAddress: false,
  createdAt: '2026-01-01T00:00:00Z',
}));

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

/** Microseconds; `cpu`: of the processor, where it was looked at. */
interface Took {
  p50: number;
  p99: number;
  cpu: { p50: number; p99: number } | null;
}

/** Times in microseconds. Where there are few and long ones, also the processor's, which others at work do not add to. */
function timed(name: string, rounds: number, run: (i: number) => unknown): Took {
  const took: number[] = [];
  const worked: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    const before = rounds <= 1000 ? process.threadCpuUsage() : null;
    run(i);
    if (before) worked.push(sum(process.threadCpuUsage(before)));
    took.push((performance.now() - start) * 1000);
  }
  const at = (of: number[], q: number): number =>
    of.sort((a, b) => a - b)[Math.min(of.length - 1, Math.floor(of.length * q))]!;
  const [p50, p99] = [at(took, 0.5), at(took, 0.99)];
  const cpu = worked.length > 0 ? { p50: at(worked, 0.5), p99: at(worked, 0.99) } : null;
  const processor = cpu ? `, processor p50 ${micros(cpu.p50).trim()} p99 ${micros(cpu.p99).trim()}` : '';
  console.log(`  ${name.padEnd(58)} p50 ${micros(p50)}   p99 ${micros(p99)}   (${rounds} runs${processor})`);
  return { p50, p99, cpu };
}

const sum = ({ user, system }: NodeJS.CpuUsage): number => user + system;

function micros(us: number): string {
  return us < 1000 ? `${us.toFixed(1).padStart(6)} µs` : `${(us / 1000).toFixed(2).padStart(6)} ms`;
}

function compile(text: string): CompiledPolicies {
  const { policies, problems } = parsePolicy(text, 'bench.yaml');
  const error = problems.find((p) => p.severity === 'error');
  if (error) throw new Error(`line ${error.line}: ${error.message}`);
  return compilePolicies(policies);
}

/** A policy that is as good as the first and differs from all before it in one rule. */
const changed = (k: number): CompiledPolicies => compile(RULES.replace('20000.0', `${30000 + k}.0`));

/** One that differs in all that it asks of offers, but for `offer.burstable`: what is shared with others helps it nothing. */
const allNew = (k: number): CompiledPolicies =>
  compile(
    RULES.replaceAll('"]', `", "n${k}"]`)
      .replace('"us-gov-"', `"us-gov-${k}"`)
      .replace('"iso27001"', `"iso27001" || c == "n${k}"`)
      .replace('20000.0', `${20000 + k}.5`)
      .replace('"spot"', `"spot" || offer.market == "n${k}"`)
      .replace('* 4', `* ${4 + k}`)
      .replace('gpuCount > 0', `gpuCount > ${k}`)
      .replace('> 16.0', `> 16.0${k}`)
      .replace('".metal"', `".metal${k}"`)
      .replace('-[0-9]+xl$', `-[0-9]+xl${k}$`),
  );

/** The figures that have aims. */
interface Figures {
  choose: Took;
  place: Took;
  changed: Took;
}

function measure(catalogue: Catalogue): Figures {
  const policies = compile(RULES);
  const input = (i: number, more: Partial<PlacementInput> = {}): PlacementInput => ({
    request: requestOf(i),
    catalogue,
    sites: SITES,
    policies,
    setAside: [],
    includeUnconfigured: false,
    ...more,
  });
  const cold = performance.now();
  choose(input(0));
  console.log(`  first placement on this catalogue: ${(performance.now() - cold).toFixed(1)} ms`);
  const warm = (more: Partial<PlacementInput> = {}): void => {
    for (let i = 0; i < 3000; i++) choose(input(i, more));
  };
  warm();
  const quick = timed('choose: the winner and 3 fallbacks (30 request shapes)', 20_000, (i) =>
    choose(input(i)),
  );
  timed('choose: the winner alone', 20_000, (i) => choose(input(i), 0));
  const named = (i: number): PlacementRequest => ({
    ...requestOf(i),
    name: `vm-${i}`,
    labels: { env: i % 3 === 0 ? 'prod' : 'test', owner: `o-${i}` },
    memoryGiB: 1 + (i % 997) / 10,
  });
  timed('choose: no two requests alike', 5000, (i) => choose(input(i, { request: named(i) })));
  const onprem = { sites: [...SITES, CELLAR] };
  warm(onprem);
  timed('choose: with an on-prem site of 50 hosts', 5000, (i) => choose(input(i, onprem)));
  const ranked = { policies: compile(RULES + RANKING) };
  warm(ranked);
  timed('choose: with 2 preferences and egress prices', 5000, (i) => choose(input(i, ranked)));
  const counted = { policies: compile(RULES + COUNTING), estate: ESTATE };
  warm(counted);
  timed('choose: with spread, budget, quota over 1,000 machines', 5000, (i) => choose(input(i, counted)));
  for (let i = 0; i < 60; i++) place(input(i));
  // What answers POST …/placements, and what every placement is recorded with.
  const full = timed('place: with the whole record and its explanation', 600, (i) => place(input(i)));
  const nothingLeft = { policies: compile(RULES + REFUSING) };
  for (const [words, more] of [
    ['no two requests alike', (i: number) => ({ request: named(i) })],
    ['2 preferences and egress prices', () => ranked],
    ['spread, budget, quota over 1,000 machines', () => counted],
    ['and nothing is left', () => nothingLeft],
  ] as const) {
    for (let i = 0; i < 60; i++) place(input(i, more(i)));
    timed(`place: ${words}`, 300, (i) => place(input(60 + i, more(60 + i))));
  }
  const again = Array.from({ length: 30 }, (_, k) => changed(k));
  const changing = timed('choose: the first after a change of one rule', 30, (i) =>
    choose(input(i, { policies: again[i]! })),
  );
  const fresh = Array.from({ length: 30 }, (_, k) => allNew(k));
  timed('choose: the first under rules that are all new', 30, (i) =>
    choose(input(i, { policies: fresh[i]! })),
  );
  timed('compile the policy file', 30, (i) => changed(100 + i));
  const index = new StaircaseIndex(catalogue, policies, SITES, requestOf);
  timed('grouped Pareto lists: the winner alone', 20_000, (i) => index.cheapest(i % 30));
  const differing = Array.from({ length: 30 }, (_, i) => i).filter(
    (i) => index.cheapest(i) !== (choose(input(i)).winner?.pricePerHour ?? null),
  );
  if (differing.length > 0) throw new Error(`the Pareto lists find other prices for ${differing.join()}`);
  console.log(`  ${index.described()}`);
  return { choose: quick, place: full, changed: changing };
}

/** The same in the ways one would write it without an engine, over the first catalogue. */
function byHand(catalogue: Catalogue): { objects: number; interpreter: number; differing: number } {
  const policies = compile(RULES);
  const offers = [...catalogue.rows()].map((row) => ({
    ...row,
    site: `${row.provider}-1`,
    family: familyOf(row.provider, row.instanceType),
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
  const input = { catalogue, sites: SITES, policies, setAside: [], includeUnconfigured: false };
  const differing = [...winners].filter(
    ([i, price]) =>
      price !== (choose({ ...input, request: requestOf(i) }).winner?.pricePerHour.toFixed(9) ?? 'none'),
  );
  return { objects: objects.p50, interpreter: interpreter.p50, differing: differing.length };
}

function main(): void {
  const sources = load();
  if (sources === null) {
    console.log(`skipped: no aws.csv and gcp.csv in ${folder}`);
    return;
  }
  const catalogue = Catalogue.merge(sources);
  console.log(`${catalogue.length} offers, 12 rules, Node ${process.version}`);
  const real = measure(catalogue);
  const hand = byHand(catalogue);
  const large = Catalogue.fromRows(multiplied([...catalogue.rows()], 270_000), {
    name: 'multiplied',
    date: '2026-08-01',
  });
  console.log(`${large.length} offers: the same rows at prices up to a tenth apart`);
  const many = measure(large);
  const told = ({ p50, p99, cpu }: Took): string =>
    `p50 ${micros(p50).trim()} p99 ${micros(p99).trim()}${cpu ? ` (of processor ${micros(cpu.p50).trim()}, ${micros(cpu.p99).trim()})` : ''}`;
  const both = (of: (figures: Figures) => Took): string => `${told(of(real))} and ${told(of(many))}`;
  console.log(
    `placement, over ${catalogue.length} and ${large.length} offers: choose ${both((f) => f.choose)} (aims p50 20 µs, p99 200 µs); ` +
      `place with explanation ${both((f) => f.place)} (aim p99 5 ms); ` +
      `the first after a change of policy ${both((f) => f.changed)} (aim 10 ms); ` +
      `choose is ${Math.round(hand.objects / real.choose.p50)} times as quick as filter and sort, ` +
      `${Math.round(hand.interpreter / real.choose.p50)} times as the interpreter; ` +
      `winners unlike by hand: ${hand.differing} of 30`,
  );
  if (hand.differing > 0) process.exitCode = 1;
}

type Offer = CatalogueRow & { family: string; jurisdiction: string | null };

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
