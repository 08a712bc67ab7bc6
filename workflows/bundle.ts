import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, type WorkflowBundle } from '@temporalio/worker';

const here = fileURLToPath(new URL('.', import.meta.url));

/**
 * The workflows' code as one bundle, made once for each state of the sources and kept in the user's cache folder: making it
 * takes seconds and some 300 MB, reading it nothing.
 */
export async function workflowBundle(cacheDir = defaultCacheDir()): Promise<WorkflowBundle> {
  const path = join(cacheDir, `workflows-${await sourcesDigest()}.js`);
  const kept = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (kept !== undefined) return { code: kept };
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(here, 'all.ts'),
    logger: new DefaultLogger('WARN'),
    // `.ts` in an import names the source itself.
    webpackConfigHook: (config) => ({ ...config, resolve: { ...config.resolve, extensionAlias: undefined } }),
  });
  await mkdir(cacheDir, { recursive: true });
  await writeFile(`${path}.${process.pid}`, code);
  await rename(`${path}.${process.pid}`, path);
  return { code };
}

function defaultCacheDir(): string {
  const root =
    process.env.LANDFALL_CACHE_DIR ??
    join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'landfall');
  return join(root, 'bundles');
}

/** Over every source of this package and the SDK's version: what a bundle is made from. */
async function sourcesDigest(): Promise<string> {
  const hash = createHash('sha256');
  const files = (await readdir(here))
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .sort();
  for (const name of files) hash.update(name).update(await readFile(join(here, name)));
  hash.update(await readFile(join(here, 'package.json')));
  return hash.digest('hex').slice(0, 24);
}
