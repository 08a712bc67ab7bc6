import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Schemas } from '@landfall/model';
import type { Db, Tx } from '@landfall/store';
import { alone, ensureHome, ensureInstallation, ensureToken } from '@landfall/store/first-start.ts';
import { ensureBuiltInImages } from '@landfall/store/images.ts';
import { ensureSite } from '@landfall/store/sites.ts';
import { homeOrganization } from './authorization.ts';
import { hashOf, newSecret } from './principal.ts';

const canonical = '099720109477';
const debian = '136693071363';

/** Images that every installation has. The clouds' disks of Debian and Ubuntu are 8 GiB and cannot be made smaller. */
const builtInImages: Omit<Schemas['ImageInput'], 'organization'>[] = [
  { name: 'tiny', user: 'root', minDiskGiB: 1, architectures: ['x86_64'], onprem: { builtin: 'tiny' } },
  {
    name: 'debian-12',
    user: 'debian',
    minDiskGiB: 8,
    architectures: ['x86_64', 'arm64'],
    onprem: { builtin: 'debian-12' },
    aws: { owner: debian, nameFilter: 'debian-12-{arch}-*' },
    azure: { publisher: 'Debian', offer: 'debian-12', sku: '12-gen2', skuArm64: '12-arm64' },
    gcp: { project: 'debian-cloud', family: 'debian-12', familyArm64: 'debian-12-arm64' },
  },
  {
    name: 'ubuntu-24.04',
    user: 'ubuntu',
    minDiskGiB: 8,
    architectures: ['x86_64', 'arm64'],
    aws: { owner: canonical, nameFilter: 'ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{arch}-server-*' },
    azure: { publisher: 'Canonical', offer: 'ubuntu-24_04-lts', sku: 'server', skuArm64: 'server-arm64' },
    gcp: {
      project: 'ubuntu-os-cloud',
      family: 'ubuntu-2404-lts-amd64',
      familyArm64: 'ubuntu-2404-lts-arm64',
    },
  },
  {
    name: 'ubuntu-22.04',
    user: 'ubuntu',
    minDiskGiB: 8,
    architectures: ['x86_64', 'arm64'],
    aws: { owner: canonical, nameFilter: 'ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-{arch}-server-*' },
    azure: {
      publisher: 'Canonical',
      offer: '0001-com-ubuntu-server-jammy',
      sku: '22_04-lts-gen2',
      skuArm64: '22_04-lts-arm64',
    },
    gcp: { project: 'ubuntu-os-cloud', family: 'ubuntu-2204-lts', familyArm64: 'ubuntu-2204-lts-arm64' },
  },
];

/**
 * This machine as a site. The prices are an estimate (a five-year-old server's power and write-off), there so that on-prem
 * and clouds can be compared at all: put your own with `landfall site add -f`.
 */
const localSite: Schemas['SiteInput'] & { organization: string } = {
  name: 'local',
  organization: homeOrganization,
  labels: { pricing: 'estimate' },
  spec: {
    provider: 'onprem',
    regions: ['local'],
    pricing: { vcpuHour: 0.006, gibHour: 0.0008, currency: 'USD' },
    overcommit: { vcpu: 4 },
  },
};

/**
 * Makes what a new installation needs and mends what is missing: id, organization and project `default`, images, the site
 * of this machine, and the tokens in the data folder. Safe to repeat, and for two brokers to do at once. Answers the
 * installation's id.
 */
export async function firstStart(db: Db, options: { dataDir: string; localSite: boolean }): Promise<string> {
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  return alone(db, async (tx) => {
    const installation = await ensureInstallation(tx);
    await ensureHome(tx, homeOrganization);
    await ensureBuiltInImages(tx, builtInImages);
    await keepToken(tx, join(options.dataDir, 'admin.token'), { name: 'admin', role: 'admin', site: null });
    if (options.localSite && (await ensureSite(tx, localSite))) {
      await keepToken(tx, join(options.dataDir, 'agent.token'), {
        name: 'agent-local',
        role: 'agent',
        site: localSite.name,
      });
    }
    return installation;
  });
}

/** A token whose secret is in a file of the data folder: the file is kept, a missing one is made anew. */
async function keepToken(
  tx: Tx,
  file: string,
  token: { name: string; role: Schemas['Role']; site: string | null },
): Promise<void> {
  const secret = readSecret(file) ?? writeSecret(file, newSecret());
  await ensureToken(tx, { ...token, organization: homeOrganization, hash: hashOf(secret) });
}

function readSecret(file: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (!/^lf_[A-Za-z0-9_-]{43}$/.test(text))
    throw new Error(`${file} holds no token. Delete it, and the next start makes a new one.`);
  return text;
}

function writeSecret(file: string, secret: string): string {
  // Beside its place and renamed: a reader sees all of it or nothing.
  writeFileSync(`${file}.new`, `${secret}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return secret;
}
