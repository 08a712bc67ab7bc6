/**
 * The kill harness: instances live from create to delete on an AWS site (the simulator) and on this host (real guests),
 * while broker, worker, Temporal, PostgreSQL and the agent are killed with SIGKILL at each step. Afterwards every accepted
 * operation must have ended, every instance must have had one machine, and the audit and the providers must be clean.
 *
 *   npm run test:faults -- [--kills 200] [--seed 1] [--sites aws,onprem] [--at-once 4]
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createClient, type LandfallClient, type Schemas } from '@landfall/model';
import { type Part, startStack } from '@landfall/tools/stack.ts';
import { startAwsSimulator } from '../simulators/aws/index.ts';
import { killParts } from './killer.ts';
import { type LifeCounts, live } from './lives.ts';
import { SeededRandom } from './random.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    sites: { type: 'string', default: 'aws,onprem' },
    'at-once': { type: 'string', default: '4' },
    keep: { type: 'boolean', default: false },
  },
});
const kills = Number(values.kills);
const seed = Number(values.seed);
const sites = values.sites.split(',');
const atOnce = Number(values['at-once']);
const random = new SeededRandom(seed);
const started = Date.now();
const log = (line: string) =>
  console.log(`${((Date.now() - started) / 1000).toFixed(1).padStart(7)} s  ${line}`);

const aws: Schemas['NewInstanceSpec'] = {
  ...size(),
  image: 'debian-12',
  vcpus: 2,
  memoryGiB: 2,
  diskGiB: 8,
  placement: { providers: ['aws'] },
};
const onprem: Schemas['NewInstanceSpec'] = {
  ...size(),
  image: 'tiny',
  vcpus: 1,
  memoryGiB: 0.125,
  diskGiB: 1,
  placement: { providers: ['onprem'] },
};

/** What the document fills in by default, which the generated types nevertheless ask for. */
function size() {
  return { architecture: 'x86_64', market: 'onDemand', publicAddress: false, power: 'running' } as const;
}

async function main(): Promise<boolean> {
  const dataDir = mkdtempSync(join(tmpdir(), `landfall-faults-${process.pid}-`));
  // PostgreSQL runs as another user, who must be able to enter.
  chmodSync(dataDir, 0o711);
  const simulator = await startAwsSimulator({ port: 0 });
  const parts: Part[] = [
    'postgres',
    'temporal',
    'broker',
    'worker',
    ...(sites.includes('onprem') ? (['agent'] as const) : []),
  ];
  const stack = await startStack({
    dataDir,
    parts,
    ports: { postgres: 0, temporal: 0, broker: 0 },
    env: {
      AWS_ACCESS_KEY_ID: 'simulated',
      AWS_SECRET_ACCESS_KEY: 'simulated',
      LANDFALL_SWEEP_MS: '15000',
      LANDFALL_ORPHAN_GRACE_MS: '120000',
    },
  });
  try {
    log(`seed ${seed}; up at ${stack.url}; parts ${parts.join(', ')}`);
    const client = createClient({ url: stack.url, token: stack.adminToken });
    if (sites.includes('aws')) await addAwsSite(client, simulator.endpoint);
    const counts: LifeCounts = { accepted: 0, ended: 0, succeeded: 0, failed: [], lost: [], doubled: [] };
    let going = true;
    const lane = async (index: number) => {
      const site = sites[index % sites.length]!;
      for (let n = 0; going; n++) {
        const life = live({
          client,
          name: `life-${index}-${n}`,
          spec: site === 'aws' ? aws : onprem,
          counts,
          machinesOf: (resource) => machinesOf(site, resource),
          limitSeconds: 300,
          withStop: random.integer(4) === 0,
        });
        await life.catch((error: Error) => counts.lost.push(error.message));
      }
    };
    const machinesOf = async (site: string, resource: string) => {
      if (site === 'aws')
        return (await simulator.truth()).filter(
          (item) => item.providerKind === 'instance' && item.tags['landfall:resource'] === resource,
        ).length;
      const report = await audit(client);
      return report.machines === 0
        ? 0
        : report.doubled.some((finding) => finding.resource === resource)
          ? 2
          : 1;
    };
    const lanes = Array.from({ length: atOnce }, (_, index) => lane(index));
    const killed = await killParts({ stack, parts, kills, random, log });
    going = false;
    log('no more kills; waiting for what is under way');
    await Promise.all(lanes);
    const report = await audit(client);
    const left = (await simulator.truth()).filter((item) => item.tags['landfall:resource'] !== undefined);
    const byPart = parts
      .map((part) => `${part} ${killed.filter((kill) => kill.part === part).length}`)
      .join(', ');
    for (const line of [...counts.lost, ...counts.doubled, ...counts.failed]) log(line);
    for (const finding of [...report.orphans, ...report.missing, ...report.doubled])
      log(`audit: ${finding.message}`);
    for (const item of left) log(`left at the AWS simulator: ${item.providerKind} ${item.ref}`);
    log(`kills ${killed.length} (${byPart}), seed ${seed}`);
    log(
      `operations ${counts.accepted} accepted, ${counts.ended} ended, ${counts.succeeded} succeeded, ${counts.failed.length} failed`,
    );
    log(
      `lost ${counts.lost.length}, doubled ${counts.doubled.length + report.doubled.length}, orphans ${report.orphans.length}, missing ${report.missing.length}, left at the provider ${left.length}`,
    );
    const clean =
      counts.lost.length +
        counts.doubled.length +
        counts.failed.length +
        report.orphans.length +
        report.missing.length +
        report.doubled.length +
        left.length ===
      0;
    log(clean ? 'clean: nothing lost, nothing doubled, nothing leaked' : 'NOT clean');
    return clean;
  } finally {
    await stack.stop();
    await simulator.close();
    if (sites.includes('onprem')) lowerPrivateLibvirt(join(dataDir, 'onprem'));
    if (values.keep) log(`kept ${dataDir}`);
    else rmSync(dataDir, { recursive: true, force: true });
  }
}

/** The agent's private libvirt and network outlive the agent on purpose; here nobody comes back to them. */
function lowerPrivateLibvirt(folder: string): void {
  const down = fileURLToPath(new URL('../../onprem-agent/down.ts', import.meta.url));
  execFileSync(process.execPath, [down, '--data-dir', folder, '--guests', '--files'], { stdio: 'inherit' });
}

async function addAwsSite(client: LandfallClient, endpoint: string): Promise<void> {
  const { error } = await client.POST('/v1/sites', {
    body: {
      name: 'aws',
      spec: {
        provider: 'aws',
        regions: ['us-east-1'],
        endpoint,
        credentials: { source: 'environment', prefix: 'AWS' },
      },
    },
  });
  if (error) throw new Error(`the AWS site was refused: ${JSON.stringify(error)}`);
}

async function audit(client: LandfallClient): Promise<Schemas['AuditReport']> {
  for (let tries = 0; tries < 30; tries++) {
    try {
      const { data } = await client.POST('/v1/audits', {});
      for (let look = 0; data && look < 60; look++) {
        const { data: operation } = await client.GET('/v1/operations/{operation}', {
          params: { path: { operation: data.id }, query: { wait: 2 } },
        });
        if (operation?.result?.sites.every((site) => site.complete)) return operation.result;
        if (operation?.result) break; // a site was down while it was listed: audit again
      }
    } catch {
      // The broker was killed: ask again.
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error('no audit of every site came through');
}

process.exit((await main()) ? 0 : 1);
