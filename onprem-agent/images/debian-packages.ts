import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandFailed, run } from '../host/command.ts';

/** The libraries (packages named lib* and zlib*) that `packages` depend on, however indirectly, with the packages themselves. */
export async function withLibraries(packages: readonly string[], signal?: AbortSignal): Promise<string[]> {
  const quiet = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(
    (kind) => `--no-${kind}`,
  );
  const text = await run('apt-cache', ['depends', '--recurse', ...quiet, ...packages], { signal });
  const names = new Set(packages);
  for (const line of text.split('\n')) {
    if (/^(lib|zlib)[a-z0-9.+-]+$/.test(line)) names.add(line);
  }
  return [...names];
}

/** Downloads packages with the host's own apt (its mirrors, its signatures) and unpacks them into `folder`, uninstalled. */
export async function unpackPackages(
  packages: readonly string[],
  folder: string,
  signal?: AbortSignal,
): Promise<void> {
  const downloads = `${folder}.debs`;
  await mkdir(downloads, { recursive: true });
  await mkdir(folder, { recursive: true });
  // Sandbox user root: apt's own user cannot write into a folder under a home.
  const options = ['-q', '-o', 'APT::Sandbox::User=root'];
  try {
    await run('apt-get', [...options, 'download', ...packages], {
      cwd: downloads,
      signal,
      timeoutMs: 600_000,
    });
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    // Package lists older than the mirror: refresh them once.
    await run('apt-get', [...options, 'update'], { signal, timeoutMs: 600_000 });
    await run('apt-get', [...options, 'download', ...packages], {
      cwd: downloads,
      signal,
      timeoutMs: 600_000,
    });
  }
  for (const archive of await readdir(downloads)) {
    if (archive.endsWith('.deb')) await run('dpkg-deb', ['-x', join(downloads, archive), folder], { signal });
  }
}
