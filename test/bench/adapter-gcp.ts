/**
 * The inventory of a Google Cloud project with many machines: the adapter's `list` to its end, beside Google's own library reading the
 * same machines and disks. The server, in a thread of its own, answers at once with what a simulated Compute Engine answered before.
 * `npm run bench:adapter-gcp [-- machines…]`
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { DisksClient, InstancesClient } from '@google-cloud/compute';
import { listAll } from '@landfall/adapters/conformance/probe.ts';
import { createGcpAdapter } from '@landfall/adapters/gcp/index.ts';
import { stampAsLabels } from '@landfall/adapters/gcp/stamp.ts';
import { GoogleAuth, OAuth2Client } from 'google-auth-library';
import { startGcpSimulator } from '../simulators/gcp/index.ts';
import { beside, type Took, tellGrowth } from './beside.ts';

const broker = 'bench';
const project = 'simulated-project';
const regions = ['us-central1'];

async function serve(machines: number): Promise<void> {
  const simulator = await startGcpSimulator();
  for (let n = 0; n < machines; n += 1) {
    const labels = stampAsLabels({ broker, project: 'bench', resource: `r${n}`, attempt: 1 });
    simulator.plant(project, `us-central1-${'abc'[n % 3]}`, `machine-${n}`, labels);
  }
  const answers = new Map<string, string>();
  let calls = 0;
  const server = createServer(async ({ url = '' }, response) => {
    if (url === '/calls') return void response.end(String(calls));
    calls += 1;
    const answer = answers.get(url) ?? (await (await fetch(`${simulator.endpoint}${url}`)).text());
    answers.set(url, answer);
    response.writeHead(200, { 'content-type': 'application/json; charset=UTF-8' }).end(answer);
  });
  server.keepAliveTimeout = 600_000;
  server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port));
}

async function run(machines: number): Promise<[Took, Took]> {
  const worker = new Worker(new URL(import.meta.url), { workerData: machines });
  const [port] = (await once(worker, 'message')) as [number];
  const endpoint = `http://127.0.0.1:${port}`;
  const credentials = { accessToken: 'simulated' };
  const adapter = createGcpAdapter({ site: 'simulated', regions, project, endpoint, credentials });
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: 'simulated' });
  const auth = new GoogleAuth({ authClient });
  const settings = { fallback: true, apiEndpoint: '127.0.0.1', port, protocol: 'http', auth } as const;
  const clients = [new InstancesClient(settings), new DisksClient(settings)];
  const filter = `labels.landfall-broker = "${broker}"`;
  const bare = async () => {
    const found: unknown[] = [];
    for (const client of clients)
      for await (const [, scope] of client.aggregatedListAsync({ project, filter }, { autoPaginate: false }))
        found.push(
          ...(('instances' in scope ? scope.instances : (scope as { disks?: unknown[] }).disks) ?? []),
        );
    return found;
  };
  const ours = async () => {
    const { items, complete } = await listAll(adapter, broker);
    if (!complete) throw new Error('the list is not complete');
    return items;
  };
  const took = await beside(
    `${machines} machines`,
    [
      { name: 'library', run: bare },
      { name: 'adapter', run: ours },
    ],
    async () => Number(await (await fetch(`${endpoint}/calls`)).text()),
  );
  await worker.terminate();
  return took;
}

if (isMainThread) {
  const sizes = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [1_000, 10_000];
  const took: [Took, Took][] = [];
  for (const machines of sizes) took.push(await run(machines));
  tellGrowth(sizes, took);
  process.exit(0);
} else await serve(workerData as number);
