/** A real VS Code to be had from npm (code-server), in the user's cache folder, and the browser to see it in. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { cacheDirectory } from '@landfall/tools/data-directory.ts';
import { onPath } from '@landfall/tools/temporal-binary.ts';
import { installationLock } from '../installation-lock.ts';

/** VS Code 1.139. */
const version = '4.139.1';

/** The browser: Debian's chromium, or the one LANDFALL_CHROMIUM names. */
export function chromium(): string {
  const found = process.env.LANDFALL_CHROMIUM ?? onPath('chromium') ?? onPath('google-chrome');
  if (found === undefined)
    throw new Error('There is no chromium: install it, or name a browser with LANDFALL_CHROMIUM.');
  return found;
}

/** The installation's entry point; installs it the first time, which takes two minutes and 620 MB. */
export async function codeServer(say: (line: string) => void): Promise<string> {
  const folder = join(cacheDirectory(), `code-server-${version}`);
  const entry = join(folder, 'node_modules/code-server/out/node/entry.js');
  if (existsSync(entry)) return entry;
  mkdirSync(dirname(folder), { recursive: true });
  const unlock = await installationLock(`${folder}.lock`, () =>
    say('Waiting for another process to install VS Code'),
  );
  try {
    if (existsSync(entry)) return entry;
    say(`Installing VS Code (code-server ${version}) into ${folder}: once, two minutes, 620 MB`);
    const next = `${folder}.next`;
    rmSync(next, { recursive: true, force: true });
    mkdirSync(next, { recursive: true });
    writeFileSync(join(next, 'package.json'), '{"private":true}\n');
    await npm(['install', '--no-audit', '--no-fund', '--loglevel=error', `code-server@${version}`], next);
    rmSync(folder, { recursive: true, force: true });
    renameSync(next, folder);
    if (!existsSync(entry)) throw new Error(`npm installed code-server ${version} without ${entry}`);
    return entry;
  } finally {
    await unlock();
  }
}

/** npm under this very Node: code-server refuses to be installed by an older one. */
function npm(args: string[], cwd: string): Promise<void> {
  const path = `${dirname(process.execPath)}${delimiter}${process.env.PATH}`;
  return new Promise((done, failed) => {
    const child = spawn('npm', args, {
      cwd,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, PATH: path },
    });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said = `${said}${chunk}`.slice(-2000);
    });
    child.once('error', failed);
    child.once('exit', (code) =>
      code === 0 ? done() : failed(new Error(`npm ${args.join(' ')} ended with ${code}: ${said}`)),
    );
  });
}
