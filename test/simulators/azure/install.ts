import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ServiceSchema } from './schema.ts';

/** Microsoft's own descriptions of the wire, as its generated Python SDKs carry them (PyPI, MIT). */
const packages = [
  { name: 'azure-mgmt-compute', version: '39.0.0', module: 'azure.mgmt.compute' },
  { name: 'azure-mgmt-network', version: '33.0.0', module: 'azure.mgmt.network' },
  { name: 'azure-mgmt-resource', version: '26.0.0', module: 'azure.mgmt.resource.resources' },
  { name: 'azure-mgmt-monitor', version: '7.0.0', module: 'azure.mgmt.monitor' },
];
const file = `azure-${packages.map(({ name, version }) => `${name.split('-')[2]}-${version}`).join('-')}.json`;

const run = promisify(execFile);

/**
 * The published schemas of Compute, Network, Resources and Monitor, of requests and answers, extracted once into `cacheDir` (about a minute
 * and 1.5 MB), read from there later. `LANDFALL_PYTHON` names another Python than `python3` (3.9 or newer, with its venv module).
 * @throws Error with Python's own words when it or the package index cannot do it.
 */
export async function installSchemas(
  cacheDir: string,
  progress: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): Promise<ServiceSchema[]> {
  const cached = join(cacheDir, file);
  const text = await readFile(cached, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text) return JSON.parse(text) as ServiceSchema[];
  progress(`Reading Azure's published schemas into ${cached} (once, about a minute)`);
  const folder = join(cacheDir, `azure-schema.${process.pid}`);
  await mkdir(cacheDir, { recursive: true });
  try {
    await run(process.env.LANDFALL_PYTHON ?? 'python3', ['-m', 'venv', folder]);
    const python = join(folder, 'bin', 'python');
    await run(python, [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      ...packages.map(({ name, version }) => `${name}==${version}`),
    ]);
    const schemas: ServiceSchema[] = [];
    for (const { name, module } of packages) {
      const out = join(folder, `${name}.json`);
      await run(python, [join(import.meta.dirname, 'extract_schema.py'), module, out]);
      schemas.push(JSON.parse(await readFile(out, 'utf8')) as ServiceSchema);
    }
    // Renamed into place: another process that reads meanwhile sees all of it or nothing.
    await writeFile(join(folder, file), JSON.stringify(schemas));
    await rename(join(folder, file), cached);
    return schemas;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
