/**
 * How long 10,000 requests with quotas, budgets, spread and 200 on-prem hosts take to place at once over a real
 * catalogue, and how far from the best the answer is, beside placing them one after the other in the same run.
 * Run it with: node test/bench/batch.ts [path to a folder with aws.csv and gcp.csv]
 *
 * The catalogue (../shared/data/catalog by default) is not part of the project; without it the bench says so
 * and ends.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type BatchDecision,
  type BatchInput,
  Catalogue,
  compilePolicies,
  importSkyPilotCsv,
  loadSnapshot,
  NEUTRAL_REQUEST,
  type PlacementRequest,
  parsePolicy,
  placeBatch,
  placeGreedy,
  type SiteView,
  warmUpBatches,
} from '@landfall/policies';
import { seeded } from '@landfall/policies/testing/random-cases.ts';

const RULES = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: bench}
spec:
  rules:
  - {name: residency, require: 'request.dataClass != "restricted" || offer.jurisdiction in ["EU", "CH"]'}
  - {name: no-government, deny: 'offer.region.startsWith("us-gov-")'}
  - {name: no-burstable, when: 'request.labels.env == "prod"', deny: offer.burstable}
  - {name: no-spot-prod, when: 'request.labels.env == "prod"', deny: 'offer.market == "spot"'}
  - {name: no-gpu, when: request.gpuCount == 0, deny: offer.gpuCount > 0}
  - {name: green, prefer: 'offer.provider == "gcp"', weight: 0.01}
  - {name: region-quota, quota: {group: [provider, region], resource: vcpu, limit: 4000}}
  - {name: project-zone, quota: {group: [project, zone], resource: instances, limit: 150}}
  - {name: money, budget: {group: [project], per: month, limit: 100000 USD}}
  - {name: ha, when: 'has(request.labels.app)', spread: {by: region, min: 2, maxShare: 0.6, group: [project, labels.app]}}
`;

/** The same with teams, each to be in one region, and budgets that have room for it. */
const TOGETHER = `${RULES.replace('limit: 100000 USD', 'limit: 200000 USD')}  - {name: near, when: 'has(request.labels.team)', affinity: {to: 'has(resource.labels.team) && resource.labels.team == request.labels.team', by: region}}
`;

const folder =
  process.argv[2] ?? path.join(path.dirname(fileURLToPath(import.meta.url)), '../../../shared/data/catalog');

function load(): Catalogue | null {
  const sources = [];
  for (const provider of ['aws', 'gcp']) {
    const file = path.join(folder, `${provider}.csv`);
    if (!existsSync(file)) return null;
    const text = readFileSync(file, 'utf8');
    const date = '2026-08-01';
    sources.push({
      name: provider,
      date,
      rows: importSkyPilotCsv(text, { provider, file, date, source: provider }).rows,
    });
  }
  const azure = [...loadSnapshot().rows()].filter((row) => row.provider === 'azure');
  return Catalogue.merge([{ name: 'snapshot', date: '2025-03-02', rows: azure }, ...sources]);
}

function sitesOf(hosts: number, next: () => number): SiteView[] {
  const cloud = (name: string, provider: string): SiteView => ({
    name,
    provider,
    regions: [],
    certifications: [],
    labels: {},
    hosts: [],
  });
  const cellars = ['cellar', 'attic'].map(
    (name, s): SiteView => ({
      ...cloud(name, 'onprem'),
      jurisdiction: s === 0 ? 'EU' : 'US',
      pricing: { vcpuHour: 0.006, gibHour: 0.0009, currency: 'USD' },
      hosts: Array.from({ length: hosts / 2 }, (_, i) => {
        const capacity = { vcpus: [48, 64, 96][i % 3]!, memoryGiB: [128, 256, 384][i % 3]!, diskGiB: 4000 };
        const part = 0.3 + 0.7 * next();
        const free = {
          vcpus: Math.floor(capacity.vcpus * part),
          memoryGiB: Math.floor(capacity.memoryGiB * part),
          diskGiB: 3000,
        };
        return {
          name: `${name}-${i}`,
          region: name,
          zone: `rack-${i % 4}`,
          architecture: 'x86_64',
          accel: 'kvm' as const,
          free,
          capacity,
          ready: true,
        };
      }),
    }),
  );
  return [cloud('aws-1', 'aws'), cloud('azure-1', 'azure'), cloud('gcp-1', 'gcp'), ...cellars];
}

/** Shapes repeat, as in a real estate: 8 sizes, 10 projects, some of their machines in apps that are spread. */
function requestsOf(n: number, next: () => number): BatchInput['requests'] {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)]!;
  const sizes = [
    [1, 2],
    [2, 4],
    [2, 8],
    [4, 8],
    [4, 16],
    [8, 32],
    [8, 64],
    [16, 64],
  ] as const;
  return Array.from({ length: n }, (_, i) => {
    const [vcpus, memoryGiB] = pick(sizes);
    const app: Record<string, string> = next() < 0.3 ? { app: `app-${Math.floor(next() * 8)}` } : {};
    const request: PlacementRequest = {
      ...NEUTRAL_REQUEST,
      name: `vm-${i}`,
      project: `project-${Math.floor(next() * 10)}`,
      labels: { env: pick(['prod', 'test', 'test']), ...app },
      dataClass: pick(['', '', 'restricted']),
      vcpus,
      memoryGiB,
      diskGiB: vcpus * 10,
      architecture: pick(['any', 'x86_64']),
      market: pick(['onDemand', 'onDemand', 'any']),
    };
    return { count: 1, request };
  });
}

/** Half of those that are in no app in 60 teams. */
function inTeams(requests: BatchInput['requests']): BatchInput['requests'] {
  return requests.map(({ request, count }, i) => {
    const { labels } = request;
    const team: Record<string, string> =
      i % 2 === 0 && labels.app === undefined ? { team: `team-${(i / 2) % 60}` } : {};
    return { count, request: { ...request, labels: { ...labels, ...team } } };
  });
}

/** Since it was made: time by the clock, and by the processor, all threads together; ms. Others at work do not lengthen the second as much. */
function stopwatch(): () => { ms: number; cpu: number } {
  const started = performance.now();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return { ms: performance.now() - started, cpu: (user + system) / 1000 };
  };
}

function line(name: string, { ms, cpu }: { ms: number; cpu: number }, d: BatchDecision): void {
  const unplaced = d.unplaced.reduce((t, u) => t + u.count, 0);
  const cost = `${Math.round(d.pricePerMonth).toLocaleString('en')} USD a month`;
  const gap = `${(d.gap * 100).toFixed(4)}%`;
  console.log(
    `${name.padEnd(16)} ${ms.toFixed(0).padStart(6)} ms (${cpu.toFixed(0).padStart(5)} of processor)   ${cost.padStart(24)}   gap ${gap.padStart(9)}   unplaced ${unplaced}   (${d.method})`,
  );
}

async function main(): Promise<void> {
  const catalogue = load();
  if (catalogue === null) {
    console.log(`skipped: no aws.csv and gcp.csv in ${folder}`);
    return;
  }
  const next = seeded(7);
  const sites = sitesOf(200, next);
  const requests = requestsOf(10_000, next);
  const policies = compilePolicies(parsePolicy(RULES, 'bench.yaml').policies);
  const input: BatchInput = {
    requests,
    catalogue,
    sites,
    policies,
    setAside: [],
    includeUnconfigured: false,
  };
  console.log(`${catalogue.length} offers, ${requests.length} requests, 200 hosts, Node ${process.version}`);
  let taken = stopwatch();
  // As a broker does when it has started: over its catalogue and sites and under its policies, with batches of its own making.
  await warmUpBatches(catalogue, sites, policies, new AbortController().signal);
  const warmed = taken();
  console.log(
    `warmed up        ${warmed.ms.toFixed(0).padStart(6)} ms (${warmed.cpu.toFixed(0).padStart(5)} of processor)   as a broker after its start`,
  );
  let last: BatchDecision | null = null;
  let took = { ms: 0, cpu: 0 };
  let firstTook = took;
  for (const name of ['first answer', 'the next batch']) {
    taken = stopwatch();
    let first: BatchDecision | null = null;
    for await (const decision of placeBatch(input)) {
      took = taken();
      line(first === null ? name : 'better', took, decision);
      if (last === null) firstTook = took;
      first ??= decision;
      last = decision;
    }
  }
  taken = stopwatch();
  const together = compilePolicies(parsePolicy(TOGETHER, 'together.yaml').policies);
  for await (const decision of placeBatch({ ...input, requests: inTeams(requests), policies: together }))
    line('with affinity', taken(), decision);
  taken = stopwatch();
  const greedy = await placeGreedy(input);
  line('one by one', taken(), greedy);
  console.log(`${last!.classes} kinds of machines, ${last!.options} options`);
  for (const price of last!.shadowPrices.slice(0, 5))
    console.log(
      `  one more ${price.unit} saves ${price.savesPerMonth.toFixed(2)} USD a month: ${price.words}`,
    );
  const saved = greedy.scorePerHour === 0 ? 0 : 1 - last!.scorePerHour / greedy.scorePerHour;
  console.log(
    `batch: first answer ${(firstTook.ms / 1000).toFixed(2)} s (${(firstTook.cpu / 1000).toFixed(2)} of processor), aim 1 s; gap ${(last!.gap * 100).toFixed(4)}% after ${(took.ms / 1000).toFixed(2)} s, aim 0.1% in 5 s; ${(saved * 100).toFixed(2)}% below one by one`,
  );
}

await main();
