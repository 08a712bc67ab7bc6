/**
 * Placements a second with everything that keeps them apart: 64 at once, each in a transaction of its own on PostgreSQL that
 * reads, decides, claims and writes the intent. Beside them the same placements without a claim or a record.
 * `npm run bench:claims [-- placements]`
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInstance, EstateReader, estateMachines, newId, openStore } from '@landfall/store';
import { deletePolicy, putPolicy } from '@landfall/store/policies.ts';
import { startStack } from '@landfall/tools/stack.ts';
import { decisions } from '@landfall/workflows/decide.ts';
import { placer } from '@landfall/workflows/place.ts';
import { planPlacement } from '@landfall/workflows/placement.ts';
import { sql } from 'kysely';
import { seedSimulatedSite } from '../simulated-estate.ts';
import { percentile } from './percentile.ts';

const placements = Number(process.argv[2] ?? 1_000);
const atOnce = 64;
const by = { organization: 'default', requestedBy: 'bench' };

const dataDir = mkdtempSync(join(tmpdir(), 'landfall-claims-'));
const stack = await startStack({ dataDir, parts: ['postgres'], ports: { postgres: 0 } });
const { db, close } = await openStore({ databaseUrl: stack.databaseUrl, poolSize: 20 });
const broker = newId();
const hosts = Array.from({ length: 8 }, (_, n) => ({
  name: `h${n}`,
  vcpus: 100_000,
  memoryGiB: 100_000,
  diskGiB: 1_000_000,
}));
await seedSimulatedSite(db, broker, hosts);
const { decide } = decisions(db, broker, placer());

const spec = (n: number, spread: boolean) => ({
  image: 'tiny',
  vcpus: 1,
  memoryGiB: 1,
  diskGiB: 1,
  power: 'running' as const,
  architecture: 'x86_64' as const,
  market: 'onDemand' as const,
  publicAddress: false,
  ...(spread ? { placement: { hosts: [`h${n % hosts.length}`] } } : {}),
});

/**
 * Milliseconds of processor that PostgreSQL has used, its ended backends included; 0 where there is no /proc. A tick is 10 ms
 * on every Linux that Node runs on.
 */
function postgresCpuMs(): number {
  const postmaster = stack.pids().postgres;
  if (postmaster === undefined || process.platform !== 'linux') return 0;
  let ticks = 0;
  for (const pid of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(pid)) continue;
    let stat: string;
    try {
      stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    } catch {
      continue; // It ended while we looked: its parent has its time.
    }
    // After the name, which may hold spaces: state, ppid, ..., utime, stime, cutime, cstime at 11 to 14.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(pid) !== postmaster && Number(fields[1]) !== postmaster) continue;
    ticks += Number(fields[11]) + Number(fields[12]);
    if (Number(pid) === postmaster) ticks += Number(fields[13]) + Number(fields[14]);
  }
  return ticks * 10;
}

async function measure(name: string, calls: (() => Promise<unknown>)[]): Promise<number> {
  const each: number[] = [];
  const own = process.cpuUsage();
  const theirs = postgresCpuMs();
  let next = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < calls.length) {
        const call = calls[next++]!;
        const begun = performance.now();
        await call();
        each.push(performance.now() - begun);
      }
    }),
  );
  const rate = (calls.length / (performance.now() - started)) * 1000;
  // What a placement costs whoever else is at work on the machine.
  const { user, system } = process.cpuUsage(own);
  const [mine, database] = [(user + system) / 1000, postgresCpuMs() - theirs].map((ms) => ms / calls.length);
  console.log(
    `${name.padEnd(50)} ${rate.toFixed(0).padStart(5)}/s  p50 ${percentile(each, 50).toFixed(0).padStart(4)} ms  p99 ${percentile(each, 99).toFixed(0).padStart(4)} ms  s of processor per 1,000: ${mine!.toFixed(2)} here, ${database!.toFixed(2)} PostgreSQL`,
  );
  return rate;
}

let life = 0;
async function asked(count: number, spread: boolean): Promise<string[]> {
  const prefix = `m${++life}`;
  const ids: string[] = [];
  for (let from = 0; from < count; from += atOnce) {
    const batch = Array.from({ length: Math.min(atOnce, count - from) }, (_, n) => from + n);
    const made = await Promise.all(
      batch.map((n) =>
        createInstance(db, {
          ...by,
          project: 'default',
          name: `${prefix}-${n}`,
          labels: { app: prefix },
          spec: spec(n, spread),
        }),
      ),
    );
    ids.push(...made.map(({ instance }) => instance.id));
  }
  await db.deleteFrom('outbox').execute();
  return ids;
}

async function limited(rules: string | null): Promise<void> {
  const name = 'limit';
  if (rules === null) return deletePolicy(db, 'default', name, null, by);
  const source = `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: ${name}}\nspec:\n  rules:\n  - ${rules}\n`;
  const policy = {
    name,
    scope: 'organizations/default',
    mode: 'enforce' as const,
    version: newId(),
    source,
    rules: ['r'],
  };
  await putPolicy(db, 'default', policy, undefined, by);
}

const placing = async (spread: boolean, count = placements) =>
  (await asked(count, spread)).map((id) => () => decide({ instance: id }));
const planning = () => {
  const subject = {
    organization: 'default',
    project: 'default',
    name: 'plan',
    labels: {},
    spec: spec(0, false),
  };
  return () => planPlacement(db, subject, { includeUnconfigured: false });
};

await measure('warm', await placing(true, 100));
const alone = await measure(
  'decisions alone: no record, no claim',
  Array.from({ length: placements }, planning),
);
await measure('placed, all on one host', await placing(false));
const claimed = await measure(`placed, on ${hosts.length} hosts`, await placing(true));
await limited('{name: r, quota: {group: [project], resource: instances, limit: 1000000}}');
const underQuota = await measure(`placed, on ${hosts.length} hosts, one quota over all`, await placing(true));
await limited(null);
await limited('{name: r, quota: {group: [labels.app, host], resource: instances, limit: 1000000}}');
await measure(`placed, on ${hosts.length} hosts, a quota for each`, await placing(true));
await limited(null);

// With 10,000 machines, which rules about other machines read.
const standing = (await estateMachines(db, 'default')).length;
await sql`
  insert into intents (resource, attempt, site, region, zone, host, offer, sized_for)
  select resource, 1000 + n, site, region, zone, host, offer, sized_for
    from intents, generate_series(1, 10) n limit ${10_000 - standing}`.execute(db);
const reader = new EstateReader();
for (const what of ['read', 'read on', 'read on']) {
  const begun = performance.now();
  const { machines } = await reader.read(db, 'default');
  console.log(`${machines.length} machines, ${what}: ${(performance.now() - begun).toFixed(1)} ms`);
}
await limited('{name: r, quota: {group: [project], resource: instances, limit: 1000000}}');
await measure('placed beside 10,000 machines, one quota over all', await placing(true));
await close();
await stack.stop();
rmSync(dataDir, { recursive: true, force: true });
console.log(
  `claims: ${claimed.toFixed(0)} placements a second with claims in PostgreSQL (aim 1,000), ${underQuota.toFixed(0)} under one quota, ${alone.toFixed(0)} without a record or claim`,
);
