/**
 * One estate on each of the four providers by changing one word: examples/four-clouds.yaml on this host's KVM and on three
 * simulated clouds. Broker, worker, agent, Temporal, PostgreSQL, guests and the command line are real.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startAwsSimulator } from '../simulators/aws/index.ts';
import { startAzureSimulator } from '../simulators/azure/index.ts';
import { startGcpSimulator } from '../simulators/gcp/index.ts';
import { eventually, Installation, repository } from './installation.ts';

let installation: Installation;
const succeed: Installation['succeed'] = (...given) => installation.succeed(...given);
const closing: (() => Promise<void>)[] = [];

/** What exists of ours at each simulated cloud. */
const exists: Record<string, () => Promise<unknown[]>> = {};

interface Item {
  kind: string;
  status: { state: string; site: string; provider: string; externalReference: string };
}

beforeAll(async () => {
  const aws = await startAwsSimulator({ regions: ['eu-central-1'] });
  closing.push(() => aws.close());
  const azure = await startAzureSimulator();
  closing.push(() => azure.close());
  const gcp = await startGcpSimulator();
  closing.push(() => gcp.close());
  installation = await Installation.start({
    env: {
      LANDFALL_VISIBILITY_GRACE_MS: '3000',
      CLOUD_ACCESS_KEY_ID: 'simulated',
      CLOUD_SECRET_ACCESS_KEY: 'simulated',
    },
  });
  const ours = (tags: Record<string, string> = {}) =>
    Object.keys(tags).some((key) => /^landfall[:_-]resource$/.test(key));
  exists.aws = async () => (await aws.truth()).filter(({ tags }) => ours(tags));
  exists.azure = async () => azure.truth().filter(({ tags }) => ours(tags));
  exists.gcp = async () => gcp.truth();
  const token = { source: 'command', command: ['cat', installation.file('token', 'simulated')] };
  const sites = [
    {
      provider: 'aws',
      regions: ['eu-central-1'],
      endpoint: aws.endpoint,
      credentials: { source: 'environment', prefix: 'CLOUD' },
    },
    {
      provider: 'azure',
      regions: ['westeurope'],
      endpoint: azure.endpoint,
      subscription: '00000000-0000-0000-0000-000000000001',
      credentials: token,
    },
    {
      provider: 'gcp',
      regions: ['europe-west1'],
      endpoint: gcp.endpoint,
      project: 'simulated-project',
      credentials: token,
    },
  ];
  for (const spec of sites) {
    const site = { apiVersion: 'landfall.dev/v1', kind: 'Site', metadata: { name: spec.provider }, spec };
    await succeed(['site', 'add', '-f', installation.file(`${spec.provider}.json`, JSON.stringify(site))]);
    await eventually(
      `site ${spec.provider}`,
      async () => /Ready/.test(await succeed(`get site ${spec.provider}`)),
      60_000,
    );
  }
}, 400_000);

afterAll(async () => {
  await installation?.close();
  for (const close of closing) await close();
}, 120_000);

const example = readFileSync(join(repository, 'examples/four-clouds.yaml'), 'utf8');

const estate = [
  ['network', 'shop'],
  ['firewall', 'shop-web'],
  ['instance', 'shop-1'],
  ['volume', 'shop-data'],
  ['snapshot', 'shop-before'],
] as const;

test.each(['aws', 'azure', 'gcp', 'onprem'])(
  'examples/four-clouds.yaml lands on %s, is shown alike, and leaves nothing when it is deleted',
  async (provider) => {
    const site = provider === 'onprem' ? 'local' : provider;
    const changed = example.replace('  site: local\n', `  site: ${site}\n`);
    expect(changed.match(/ site: /g)).toHaveLength(1);
    const file = installation.file(`estate-${site}.yaml`, changed);
    const limits = { limitMs: 840_000 };
    const applied = await succeed(['apply', '-f', file, '--wait', '--timeout', '13m'], limits);
    for (const [kind, name] of estate) expect(applied).toContain(`${kind}/${name} created\n`);

    for (const [kind, name] of estate) {
      const item = JSON.parse(await succeed(`get ${kind} ${name} -o json`)) as Item;
      expect(item.status).toMatchObject({ site, provider, state: kind === 'instance' ? 'Running' : 'Ready' });
      expect(item.status.externalReference).not.toBe('');
      expect(await succeed(`get ${kind}s`)).toMatch(
        new RegExp(`^NAME +STATE +SITE +REGION .*\\n${name} +(Ready|Running) +${site} `),
      );
    }
    expect(await succeed('get volumes')).toMatch(/ATTACHED TO.*\n.*shop-1/);
    expect(await succeed('detach volume shop-data --wait')).toBe('volume/shop-data detaching\n');
    expect(await succeed('get volume shop-data')).not.toMatch(/shop-1/);
    expect(await succeed('attach volume shop-data --to shop-1 --wait')).toMatch(
      /^volume\/shop-data attaching/,
    );
    expect(await succeed('attach volume shop-data --to shop-1')).toMatch(/already attached/);
    expect(await succeed(['apply', '-f', file])).toMatch(/^(\S+ unchanged\n){5}$/);
    expect(await succeed('audit', { limitMs: 120_000 })).toMatch(/^0 orphans, 0 missing, 0 doubled$/m);

    await succeed(['delete', '-f', file, '--wait'], { limitMs: 300_000 });
    expect((await exists[provider]?.()) ?? []).toEqual([]);
    for (const [kind] of estate) expect(await succeed(`get ${kind}s -o name`)).toBe('');
    expect(await succeed('audit', { limitMs: 120_000 })).toMatch(
      /^0 orphans, 0 missing, 0 doubled\n0 instances against 0 machines/m,
    );
  },
  900_000,
);
