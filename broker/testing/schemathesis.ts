/**
 * Runs schemathesis, seeded and bounded, over a broker on a database of its own, without an engine.
 * `node tools/bootstrap.mjs run broker/testing/schemathesis.ts [examples] [more arguments for schemathesis]`
 * Needs Python 3.10 or newer; the tool is installed once into the user's cache folder.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { operationIds } from './operation-ids.ts';
import { instanceInput, TestBroker } from './test-broker.ts';

const version = '4.32.5';
const cache =
  process.env.LANDFALL_CACHE_DIR ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'landfall');
const environment = join(cache, `schemathesis-${version}`);
const program = join(environment, 'bin', 'schemathesis');

function run(command: string, args: string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', env });
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

async function must(command: string, args: string[]): Promise<void> {
  const code = await run(command, args);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}`);
}

if (!existsSync(program)) {
  console.log(`installing schemathesis ${version} into ${environment}`);
  mkdirSync(cache, { recursive: true });
  await must('python3', ['-m', 'venv', environment]);
  await must(join(environment, 'bin', 'pip'), ['install', '--quiet', `schemathesis==${version}`]);
}

const [examples = '20', ...more] = process.argv.slice(2);
const broker = await TestBroker.start();
const host = { capacity: { vcpus: 4, memoryGiB: 8, diskGiB: 100 }, accel: 'kvm', architecture: 'x86_64' };
await broker.call('PUT', '/v1/sites/local/hosts/h1', { body: host, token: broker.agentToken });
await broker.call('POST', '/v1/projects/default/instances', { body: instanceInput('seed') });
const publicKey = `ssh-ed25519 ${Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from('ssh-ed25519'), Buffer.from([0, 0, 0, 32]), Buffer.alloc(32, 7)]).toString('base64')}`;
await broker.call('POST', '/v1/projects/default/sshKeys', { body: { name: 'seed', publicKey } });
const source =
  'apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: seed}\nspec: {rules: [{name: all, require: "true"}]}\n';
await broker.call('PUT', '/v1/policies/seed', { body: { source } });

const code = await run(
  program,
  [
    '--config-file',
    fileURLToPath(new URL('../schemathesis.toml', import.meta.url)),
    'run',
    `${broker.url}/openapi.json`,
    '--url',
    broker.url,
    '--max-examples',
    examples,
    // More than one and its own parser trips over its threads (4.32.5).
    '--workers',
    '1',
    ...more,
  ],
  { ...process.env, LANDFALL_TOKEN: broker.adminToken, LANDFALL_AGENT_TOKEN: broker.agentToken },
);
const failures = broker.logged.filter((line) => line.includes('"level":50'));
for (const line of failures.slice(0, 20)) console.log(line.trimEnd());
console.log(
  `${broker.logged.filter((line) => line.includes('"msg":"request"')).length} requests, ${failures.length} failures of the broker`,
);
// A run whose requests are all refused proves little: say which operations never succeeded.
const succeeded = new Set(
  broker.logged.flatMap((line) => {
    const { operation, status } = JSON.parse(line) as { operation?: string; status?: number };
    return operation !== undefined && status !== undefined && status < 300 ? [operation] : [];
  }),
);
const never = operationIds().flatMap(({ id }) => (succeeded.has(id) ? [] : [id]));
console.log(`operations without a success: ${never.join(', ') || 'none'}`);
await broker.stop();
process.exitCode = code === 0 && failures.length === 0 ? 0 : 1;
