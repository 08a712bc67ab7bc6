import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { run } from '../host/command.ts';

/** What a guest is told of itself on its first boot (cloud-init's NoCloud data source). */
export interface Seed {
  /** A new id makes a guest run its user data again. */
  instanceId: string;
  hostname: string;
  sshKeys: string[];
  userData?: string;
}

/** meta-data as YAML. Values are JSON strings, which YAML takes too. */
export function metaData({ instanceId, hostname, sshKeys }: Seed): string {
  const lines = [`instance-id: ${JSON.stringify(instanceId)}`, `local-hostname: ${JSON.stringify(hostname)}`];
  if (sshKeys.length > 0) lines.push('public-keys:', ...sshKeys.map((key) => `  - ${JSON.stringify(key)}`));
  return `${lines.join('\n')}\n`;
}

/** A name as hosts may have: letters, digits and hyphens. */
export function hostnameOf(name: string): string {
  const plain = name
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '');
  return plain || 'machine';
}

/** Writes the seed as an ISO image at `path`, whole or not at all, readable by its owner only: user data may hold secrets. */
export async function writeSeed(seed: Seed, path: string, program: typeof run): Promise<void> {
  const work = `${path}.content`;
  const staged = `${path}.new`;
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { mode: 0o700 });
  try {
    await writeFile(join(work, 'meta-data'), metaData(seed));
    await writeFile(join(work, 'user-data'), seed.userData ?? '#cloud-config\n{}\n');
    await writeFile(staged, '', { mode: 0o600 });
    await program('genisoimage', ['-quiet', '-output', staged, '-volid', 'cidata', '-joliet', '-rock', work]);
    await rename(staged, path);
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(staged, { force: true });
  }
}
