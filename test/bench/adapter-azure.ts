/**
 * What an inventory of a large Azure site takes: the adapter's `list` beside the bare SDK reading the same lists, against a
 * server that answers at once (in a thread of its own). Run it with: node tools/bootstrap.mjs run test/bench/adapter-azure.ts
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { openAccount } from '../../adapters/azure/clients.ts';
import { createAzureAdapter } from '../../adapters/azure/index.ts';
import { idOf, partsOf } from '../../adapters/azure/objects.ts';
import { groupName, objectName, stampAsTags, stampTags } from '../../adapters/azure/stamp.ts';
import { beside, type Took, tellGrowth } from './beside.ts';

const broker = 'bench';
const region = 'westeurope';
const subscription = '00000000-0000-0000-0000-000000000001';
/** As many as Azure gives. */
const pageSize = 1000;

/** A list in pages, each one string. */
function pagesOf(path: string, rows: readonly object[]): string[] {
  const pages: string[] = [];
  for (let from = 0; from < rows.length; from += pageSize) {
    const next = from + pageSize < rows.length ? pages.length + 1 : undefined;
    const nextLink = next && `https://management.azure.com${path}?api-version=2025-04-01&$skiptoken=${next}`;
    pages.push(JSON.stringify({ value: rows.slice(from, from + pageSize), nextLink }));
  }
  return pages;
}

/** The lists of so many instances, by their paths: every object of every type, and the power of the machines, of which one in ten rests. */
function listsOf(instances: number): Map<string, string[]> {
  const group = groupName(broker, region);
  const rows: { id: string; name: string; type: string; location: string; [field: string]: unknown }[] = [];
  for (let at = 0; at < instances; at += 1) {
    const resource = `00000000-0000-0000-0000-${String(at).padStart(12, '0')}`;
    const stamp = { broker, project: 'bench', resource, attempt: 1 };
    const name = objectName(stamp);
    for (const kind of partsOf.Instance) {
      const id = idOf({ subscription }, group, kind, name);
      const type = id.split('/').slice(-3, -1).join('/');
      const tags = { ...stampAsTags(stamp), [stampTags.name]: `web-${at}`, team: 'shop', tier: 'front' };
      const createdTime = '2026-11-01T00:00:00Z';
      rows.push({ id, name, type, location: region, tags, provisioningState: 'Succeeded', createdTime });
    }
  }
  const all = `/subscriptions/${subscription}/resources`;
  const machines = `/subscriptions/${subscription}/providers/Microsoft.Compute/virtualMachines`;
  const powers = rows
    .filter((row) => row.type === 'Microsoft.Compute/virtualMachines')
    .map(({ id, name, type, location }, at) => {
      const code = `PowerState/${at % 10 === 0 ? 'deallocated' : 'running'}`;
      return { id, name, type, location, properties: { instanceView: { statuses: [{ code }] } } };
    });
  return new Map([
    [all, pagesOf(all, rows)],
    [machines, pagesOf(machines, powers)],
  ]);
}

function serve(instances: number): void {
  const lists = listsOf(instances);
  let calls = 0;
  const server = createServer((request, response) => {
    if (request.url === '/calls') {
      response.end(String(calls));
      return;
    }
    calls += 1;
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
    const pages = lists.get(pathname);
    response.writeHead(pages ? 200 : 404, { 'content-type': 'application/json' });
    response.end(pages?.[Number(searchParams.get('$skiptoken') ?? 0)] ?? '{}');
  });
  server.keepAliveTimeout = 600_000;
  server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port));
}

async function run(instances: number): Promise<[Took, Took]> {
  const worker = new Worker(new URL(import.meta.url), { workerData: instances });
  const port = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  const endpoint = `http://127.0.0.1:${port}`;
  const options = {
    site: 'bench',
    subscription,
    regions: [region],
    endpoint,
    credentials: { token: 'bench' },
  };
  const { resources, compute } = openAccount(options);
  const bare = async () => {
    const items: unknown[] = [];
    const expand = 'createdTime,provisioningState';
    for await (const page of resources.resources.list({ expand }).byPage()) items.push(...page);
    const powers = new Map<string | undefined, unknown>();
    for await (const { id, instanceView } of compute.virtualMachines.listAll({ statusOnly: 'true' }))
      powers.set(id, instanceView);
    return items;
  };
  const adapter = createAzureAdapter(options);
  const ours = async () => {
    const items: unknown[] = [];
    let page: string | undefined;
    do {
      const answer = await adapter.list(broker, page);
      if (!answer.complete) throw new Error('the list is not complete');
      items.push(...answer.items);
      page = answer.nextPage;
    } while (page !== undefined);
    return items;
  };
  const took = await beside(
    `${instances} instances`,
    [
      { name: 'bare SDK', run: bare },
      { name: 'adapter', run: ours },
    ],
    async () => Number(await (await fetch(`${endpoint}/calls`)).text()),
  );
  await worker.terminate();
  return took;
}

if (isMainThread) {
  const sizes = [1000, 10_000];
  const took: [Took, Took][] = [];
  for (const instances of sizes) took.push(await run(instances));
  tellGrowth(sizes, took);
} else serve(workerData as number);
