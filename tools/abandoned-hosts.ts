/**
 * Hosts that killed test runs left behind: a libvirt, a network namespace and routes that a later run stumbles over. A test names
 * its folder with its process (`landfall-<what>-<pid>-<random>`), so that what nobody will end any more is known.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { root } from './node24.mjs';
import { startMark } from './process-identity.ts';

/** Where the agent keeps which data folder has which index: see onprem-agent/host/claim.ts. */
const claims = '/run/landfall';

function claimedFolders(): string[] {
  try {
    return readdirSync(claims)
      .filter((name) => name.endsWith('.owner'))
      .map((name) => readlinkSync(join(claims, name)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** The agents' data folders among these that belong to tests whose process is no more. */
export function abandoned(folders: readonly string[]): string[] {
  return folders.filter((folder) => {
    if (!folder.startsWith(tmpdir() + sep)) return false;
    const [, pid] = /^landfall-[a-z0-9]+-(\d+)-\w+(?:\/|$)/.exec(folder.slice(tmpdir().length + 1)) ?? [];
    return pid !== undefined && startMark(Number(pid)) === undefined;
  });
}

/** Takes them down, guests and files included; answers the folders. Throws with what was said where that fails. */
export async function endAbandonedHosts(): Promise<string[]> {
  const folders = abandoned(claimedFolders());
  for (const folder of folders) {
    const args = [join(root, 'onprem-agent/down.ts'), '--guests', '--files', '--data-dir', folder];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    const code = await new Promise<number | null>((done, failed) => {
      child.once('error', failed);
      child.once('close', done);
    });
    if (code !== 0) throw new Error(`the host that a killed test left in ${folder} cannot be ended: ${said}`);
  }
  return folders;
}
