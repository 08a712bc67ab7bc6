/**
 * The inventory of a Google Cloud project with many machines: the adapter's `list` to its end, beside Google's own library over the same
 * simulated Compute Engine, which answers at once and in this process.
 * `npm run bench:adapter-gcp [-- machines…]`
 */
import { DisksClient, InstancesClient } from '@google-cloud/compute';
import { createGcpAdapter } from '@landfall/adapters/gcp/index.ts';
import { stampAsLabels } from '@landfall/adapters/gcp/stamp.ts';
import { GoogleAuth, OAuth2Client } from 'google-auth-library';
import { startGcpSimulator } from '../simulators/gcp/index.ts';

const sizes = process.argv.slice(2).map(Number);
const broker = 'bench';
const project = 'simulated-project';
const regions = ['us-central1'];
const mebibytes = () => process.memoryUsage().heapUsed / 2 ** 20;

for (const machines of sizes.length > 0 ? sizes : [1_000, 10_000]) {
  const simulator = await startGcpSimulator();
  for (let n = 0; n < machines; n += 1) {
    const labels = stampAsLabels({ broker, project: 'bench', resource: `r${n}`, attempt: 1 });
    simulator.plant(project, `us-central1-${'abc'[n % 3]}`, `machine-${n}`, labels);
  }
  const { endpoint } = simulator;
  const adapter = createGcpAdapter({
    site: 'simulated',
    regions,
    project,
    endpoint,
    credentials: { accessToken: 'simulated' },
  });
  const { hostname, port } = new URL(endpoint);
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: 'simulated' });
  const auth = new GoogleAuth({ authClient });
  const settings = {
    fallback: true,
    apiEndpoint: hostname,
    port: Number(port),
    protocol: 'http',
    auth,
  } as const;
  const bare = [new InstancesClient(settings), new DisksClient(settings)];
  const filter = `labels.landfall-broker = "${broker}"`;

  const byAdapter = async () => {
    let found = 0;
    let page: string | undefined;
    do {
      const listed = await adapter.list(broker, page);
      if (!listed.complete) throw new Error('the list is not complete');
      found += listed.items.length;
      page = listed.nextPage;
    } while (page !== undefined);
    return found;
  };
  const byLibrary = async () => {
    let found = 0;
    for (const client of bare)
      for await (const [, scope] of client.aggregatedListAsync({ project, filter }, { autoPaginate: false }))
        found +=
          ('instances' in scope ? scope.instances : (scope as { disks?: unknown[] }).disks)?.length ?? 0;
    return found;
  };
  const measure = async (name: string, read: () => Promise<number>) => {
    const before = simulator.calls.length;
    const heap = mebibytes();
    const started = performance.now();
    const found = await read();
    const ms = performance.now() - started;
    console.log(
      `${String(machines).padStart(6)} machines  ${name.padEnd(22)} ${ms.toFixed(0).padStart(6)} ms  ${simulator.calls.length - before} calls  ${found} found  heap ${(mebibytes() - heap).toFixed(0)} MiB more`,
    );
  };
  // Loads the library's descriptions, which takes longer than any list.
  await adapter.list('nobody');
  for (const client of bare) await client.initialize();
  for (let round = 1; round <= 2; round += 1) {
    await measure(`adapter, round ${round}`, byAdapter);
    await measure(`library, round ${round}`, byLibrary);
  }
  await simulator.close();
}
process.exit(0);
