/**
 * Compliance runs over many machines, in real PostgreSQL and by real workflows: with no violation, with one in five machines
 * found for the first time, and with the same found again. `npm run bench:compliance [-- machines]`
 */
import { parsePolicy } from '@landfall/policies';
import { createComplianceRun } from '@landfall/store';
import { putPolicy } from '@landfall/store/policies.ts';
import { sql } from 'kysely';
import { startSimulatedEstate } from '../simulated-estate.ts';

const machines = Number(process.argv[2] ?? 10_000);
const hosts = 200;
const by = { organization: 'default', requestedBy: 'bench' };

/** Twelve rules of every kind; the first is violated by one machine in five when `strict`. */
const policies = (strict: boolean) => `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: bench, scope: organizations/default}
spec:
  rules:
  - {name: racks, deny: '${strict ? 'request.labels.fifth == "0"' : 'false'}'}
  - {name: eu, require: 'offer.jurisdiction == "EU"'}
  - {name: burst, deny: offer.burstable}
  - {name: price, maxPrice: 5 USD/h}
  - {name: dear, deny: 'offer.price > double(request.vcpus) * 3.0'}
  - {name: regions, require: 'size(request.regions) == 0 || offer.region in request.regions'}
  - {name: labels, labels: {required: [app], allowed: {env: [prod, dev]}}}
  - {name: old, deny: resource.ageHours > 100000.0}
  - {name: quota, quota: {group: [project], resource: instances, limit: 1000000}}
  - {name: budget, budget: {group: [labels.team], per: month, limit: 100000000 USD}}
  - {name: spread, spread: {by: zone, min: 2, maxShare: 0.9, group: [labels.app]}}
  - {name: apart, antiAffinity: {to: resource.labels.app == request.labels.app, by: host}}
`;

const estate = await startSimulatedEstate({
  hosts: [{ name: 'h0', vcpus: 100_000, memoryGiB: 1_000_000, diskGiB: 1_000_000 }],
});
const { db } = estate;
await sql`update sites set spec = jsonb_set(spec, '{jurisdiction}', '"EU"')`.execute(db);
await sql`insert into hosts (id, site, name, zone, vcpus, memory_gib, disk_gib, accel, architecture)
  select gen_random_uuid(), 'lab', 'h' || n, 'zone-' || n % 4, 64, 256, 1000, 'kvm', 'x86_64' from generate_series(1, ${hosts - 1}) n`.execute(
  db,
);
await sql`insert into instances (id, project, name, labels, spec, status, state, attempt, created_at)
  select gen_random_uuid(), 'default', 'vm-' || n,
         jsonb_build_object('app', 'app' || n / 4, 'team', 't' || n % 40, 'env', 'prod', 'fifth', (n % 5)::text),
         '{"image": "tiny", "vcpus": 2, "memoryGiB": 4, "diskGiB": 10, "power": "running"}',
         '{"state": "Running", "observedGeneration": 1}', 'Running', 1, now() - n * interval '1 second'
    from generate_series(1, ${machines}::int) n`.execute(db);
await sql`insert into intents (resource, attempt, site, region, zone, host, offer, sized_for, state, created_at)
  select r.id, 1, 'lab', 'lab', 'zone-' || substr(r.name, 4)::int % 4, 'h' || substr(r.name, 4)::int % ${hosts},
         jsonb_build_object('site', 'lab', 'provider', 'onprem', 'region', 'lab', 'zone', null, 'host', 'h1', 'instanceType', 'kvm-2-4',
           'market', 'onDemand', 'vcpus', 2, 'memoryGiB', 4, 'architecture', 'x86_64', 'gpuName', null, 'gpuCount', 0, 'burstable', false,
           'pricePerHour', 0.024, 'pricePerMonth', 17.52, 'currency', 'USD', 'jurisdiction', 'EU'),
         '{"vcpus": 2, "memoryGiB": 4, "diskGiB": 10, "gpus": 0}', 'adopted', r.created_at
    from instances r`.execute(db);

async function put(strict: boolean, isFirst: boolean): Promise<void> {
  const source = policies(strict);
  const { policies: parsed, problems } = parsePolicy(source, 'bench.yaml');
  const wrong = problems.filter(({ severity }) => severity === 'error');
  if (wrong.length > 0) throw new Error(wrong.map(({ message }) => message).join('; '));
  const kept = { name: 'bench', scope: 'organizations/default', mode: 'enforce' as const, source, rules: [] };
  await putPolicy(db, 'default', { ...kept, version: parsed[0]!.version }, isFirst ? undefined : null, by);
}

async function run(what: string): Promise<void> {
  const started = performance.now();
  const { id } = await createComplianceRun(db, by);
  const { message } = await estate.ended(id, 120_000);
  process.stdout.write(`${what}: ${Math.round(performance.now() - started)} ms: ${message}\n`);
}

await put(false, true);
await run('warm up');
await run('nothing found');
await put(true, false);
await run('one in five found');
await run('found again');
await put(false, false);
await run('all resolved');
await estate.close();
