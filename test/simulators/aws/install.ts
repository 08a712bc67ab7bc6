import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { installationLock } from '../../installation-lock.ts';

/** What is installed: moto answers as EC2, botocore brings AWS's own description of the EC2 wire. */
const requirements = ['moto[server,ec2]==5.2.5', 'botocore==1.44.5'];

/** Where the installed simulator lives. */
export interface Installation {
  python: string;
  /** `service-2.json.gz` of EC2, as AWS publishes it. */
  model: string;
}

/** `service-2.json.gz` of the Security Token Service, beside EC2's. */
export function tokenServiceModel({ model }: Installation): string {
  return resolve(model, '../../../sts/2011-06-15/service-2.json.gz');
}

/** The user's cache folder for Landfall; `LANDFALL_CACHE_DIR` overrides it. */
export function cacheFolder(): string {
  return process.env.LANDFALL_CACHE_DIR ?? join(homedir(), '.cache', 'landfall');
}

/**
 * Makes sure moto is installed in a Python environment under `cacheDir` and answers where. Installing takes about
 * half a minute and happens once: later calls read one small file. Several processes may call at the same time.
 * `LANDFALL_PYTHON` names another Python than `python3` (3.9 or newer, with its venv module).
 * @throws Error with pip's own words when Python or the package index cannot do it.
 */
export async function installMoto(
  cacheDir = cacheFolder(),
  progress: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): Promise<Installation> {
  const folder = join(cacheDir, 'moto-5.2.5');
  const ready = await readInstallation(folder);
  if (ready) return ready;
  await mkdir(cacheDir, { recursive: true });
  const unlock = await installationLock(`${folder}.lock`, () =>
    progress('Waiting for another process to install the AWS simulator'),
  );
  try {
    const meanwhile = await readInstallation(folder);
    if (meanwhile) return meanwhile;
    // Without its last file the environment is half made: an interrupted pip is not worth repairing.
    await rm(folder, { recursive: true, force: true });
    progress(`Installing the AWS simulator into ${folder} (once, about half a minute)`);
    const started = Date.now();
    await run(process.env.LANDFALL_PYTHON ?? 'python3', ['-m', 'venv', folder]);
    const python = join(folder, 'bin', 'python');
    await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...requirements]);
    const where =
      'import botocore, os; print(os.path.join(os.path.dirname(botocore.__file__), "data/ec2/2016-11-15/service-2.json.gz"))';
    const model = (await run(python, ['-c', where])).trim();
    await stat(model);
    const installation: Installation = { python, model };
    await writeFile(join(folder, 'installation.json'), JSON.stringify({ requirements, ...installation }));
    progress(`Installed the AWS simulator in ${Math.round((Date.now() - started) / 1000)} s`);
    return installation;
  } finally {
    await unlock();
  }
}

async function readInstallation(folder: string): Promise<Installation | undefined> {
  const text = await readFile(join(folder, 'installation.json'), 'utf8').catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    },
  );
  if (!text) return undefined;
  const found = JSON.parse(text) as Installation & { requirements: string[] };
  const same = found.requirements.join() === requirements.join();
  return same ? { python: found.python, model: found.model } : undefined;
}

function run(program: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let said = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    child.on('error', (error) => reject(new Error(`${program} could not be started: ${error.message}`)));
    child.on('close', (code) => {
      if (code === 0) resolve(out);
      else
        reject(
          new Error(`${program} ${args.slice(0, 3).join(' ')} ended with ${code}: ${`${out}${said}`.trim()}`),
        );
    });
  });
}
