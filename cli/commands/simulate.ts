/** `landfall simulate`: a simulated cloud on this machine, to try things against without an account. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, exitCodes, usageError } from '../errors.ts';
import { yaml } from '../output/formats.ts';
import { suggestion } from '../output/suggestion.ts';
import type { Session } from '../session.ts';

/** What a site of each simulated cloud has. A simulator takes any credentials: these are only there to be sent. */
const clouds = {
  aws: {
    spec: { regions: ['us-east-1'] },
    credentials: { Version: 1, AccessKeyId: 'simulated', SecretAccessKey: 'simulated' },
  },
  azure: {
    spec: { regions: ['westeurope'], subscription: '00000000-0000-0000-0000-000000000001' },
    credentials: { accessToken: 'simulated' },
  },
  gcp: {
    spec: { regions: ['europe-west1'], project: 'simulated-project' },
    credentials: { accessToken: 'simulated' },
  },
} as const;

type Cloud = keyof typeof clouds;

/** The site to try a simulator with: it needs no variable in the worker's environment. */
export function simulatedSite(cloud: Cloud, endpoint: string) {
  const { spec, credentials } = clouds[cloud];
  return {
    apiVersion: 'landfall.dev/v1',
    kind: 'Site',
    metadata: { name: `simulated-${cloud}`, labels: { simulated: 'true' } },
    spec: {
      provider: cloud,
      ...spec,
      endpoint,
      credentials: { source: 'command', command: ['echo', JSON.stringify(credentials)] },
    },
  };
}

/** An instance that only this site can take. */
function simulatedInstance(cloud: Cloud) {
  return {
    apiVersion: 'landfall.dev/v1',
    kind: 'Instance',
    metadata: { name: `on-${cloud}` },
    spec: { image: 'debian-12', vcpus: 2, memoryGiB: 4, placement: { sites: [`simulated-${cloud}`] } },
  };
}

/** Where the simulators are: they are parts of the tests, which only a checkout has. */
const program = join(import.meta.dirname, '../../test/simulators/main.ts');

/** Runs the simulator until Ctrl-C. `path` is for tests. */
export async function simulate(
  session: Session,
  word: string,
  flags: { port?: string },
  path = program,
): Promise<number> {
  if (!(word in clouds))
    throw usageError(
      `There is no simulator of "${word}".`,
      `${suggestion(word, Object.keys(clouds))}Simulators: ${Object.keys(clouds).join(', ')}.`,
    );
  const cloud = word as Cloud;
  const port = Number(flags.port ?? 0);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw usageError(`--port must be a number from 0 (any free one) to 65535, is "${flags.port}".`);
  if (!existsSync(path))
    throw new CommandError('This installation of landfall has no simulators.', {
      hint: 'They come with the source: run `npm run simulate:aws` (azure, gcp) in a checkout of Landfall, and apply the site it prints here.',
    });
  const child = spawn(process.execPath, [path, cloud, String(port)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const { interrupted } = session.terminal;
  // Its input ends with this process, however that ends, and then it ends too.
  interrupted.addEventListener('abort', () => child.stdin.end(), { once: true });
  if (interrupted.aborted) child.stdin.end();
  const endpoint = await firstLine(child);
  if (endpoint !== undefined) {
    const site = simulatedSite(cloud, endpoint);
    if (session.structured) session.outStructured({ endpoint, site });
    else session.out(guide(cloud, endpoint, site));
  }
  const [code] = (await ended) as [number | null];
  if (interrupted.aborted) return exitCodes.ok;
  throw new CommandError(`The simulator of ${cloud} ended by itself (${code ?? 'killed'}).`, {
    hint: 'What it says is above. Its first start on a machine needs Python 3.9 or newer with venv, and the Python package index.',
  });
}

/** The first line a program prints; undefined where it ends without one. */
async function firstLine({ stdout }: ChildProcess): Promise<string | undefined> {
  let text = '';
  for await (const part of stdout!.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    text += part;
    if (text.includes('\n')) return text.slice(0, text.indexOf('\n'));
  }
  return undefined;
}

function guide(cloud: Cloud, endpoint: string, site: ReturnType<typeof simulatedSite>): string {
  const apply = (manifest: object, command: string) =>
    `${command} -f - <<'END'\n${yaml(manifest).trimEnd()}\nEND`;
  const name = `on-${cloud}`;
  return `A simulated ${cloud} is at ${endpoint} until Ctrl-C. Nothing in it is real, and it forgets all when it ends.

In another window, add it as a site (\`npm run up\` first):

${apply(site, 'landfall site add')}

Then try it:

${apply(simulatedInstance(cloud), 'landfall apply --wait')}
landfall describe site ${site.metadata.name}
landfall describe instance ${name}
landfall stop instance ${name} --wait
landfall audit
landfall delete instance ${name} --wait
landfall site delete ${site.metadata.name}
`;
}
