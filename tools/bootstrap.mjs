/**
 * What `npm run up`, `npm run down` and `npm test` start: installs the npm packages when they are missing
 * or out of date, finds Node 24, and hands over to a TypeScript program.
 *
 *     node tools/bootstrap.mjs install | up | down | test | run <script> [arguments…]
 *
 * Plain JavaScript without dependencies, for the Node the machine has (18 or newer).
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ensurePackages } from './install.mjs';
import { execNode24, findNode24, node24Missing, node24Package, root, selfIsNode24 } from './node24.mjs';

const programs = { up: 'tools/up.ts', down: 'tools/down.ts', test: 'tools/test-runner.ts' };
const usage = 'usage: node tools/bootstrap.mjs install | up | down | test | run <script> [arguments…]\n';

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}

async function main([command, ...rest]) {
  if (Number.parseInt(process.versions.node, 10) < 18) {
    return fail(
      `Landfall's start needs Node 18 or newer and this is ${process.versions.node}. See https://nodejs.org.`,
    );
  }
  if (!selfIsNode24() && node24Package() === undefined) return fail(node24Missing());
  let script = programs[command];
  let args = rest;
  if (command === 'run') {
    script = rest[0];
    args = rest.slice(1);
  }
  if (command !== 'install' && script === undefined) return fail(usage);
  // Stopping must work even when an install is due: only Node itself is needed for it.
  const ready = command === 'down' && existsSync(join(root, 'node_modules')) && findNode24() !== undefined;
  if (!ready) await ensurePackages();
  if (findNode24() === undefined) return fail(node24Missing());
  if (command === 'install') return undefined;
  const path = resolve(command === 'run' ? process.cwd() : root, script);
  if (!existsSync(path)) return fail(`${path} does not exist.`);
  return execNode24(path, args);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  fail(error.message);
}
