/**
 * What an inventory of a large Azure site takes: the adapter's `list` beside the bare SDK reading the same pages, against a
 * server that answers at once (in a thread of its own). Run it with: node tools/bootstrap.mjs run test/bench/adapter-azure.ts
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { openAccount } from '../../adapters/azure/clients.ts';
import { createAzureAdapter } from '../../adapters/azure/index.ts';
import { idOf, partsOf } from '../../adapters/azure/objects.ts';
import { groupName, objectName, stampAsTags, stampTags } from '../../adapters/azure/stamp.ts';

const broker = 'bench';
const region = 'westeurope';
const subscription = '00000000-0000-0000-0000-000000000001';
/** As many as Azure gives. */
const pageSize = 1000;

/** Every object of so many instances, as a list of all types shows it: a page is one string. */
function pagesOf(instances: number): string[] {
  const group = groupName(broker, region);
  const rows: object[] = [];
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
  const pages: string[] = [];
  for (let from = 0; from < rows.length; from += pageSize) {
    const next = from + pageSize < rows.length ? pages.length + 1 : undefined;
    const path = `/subscriptions/${subscription}/resourceGroups/${group}/resources`;
    const nextLink = next && `https://management.azure.com${path}?api-version=2025-04-01&$skiptoken=${next}`;
    pages.push(JSON.stringify({ value: rows.slice(from, from + pageSize), nextLink }));
  }
  return pages;
}

function serve(instances: number): void {
  const pages = pagesOf(instances);
  let calls = 0;
  const server = createServer((request, response) => {
    if (request.url === '/calls') {
      response.end(String(calls));
      calls = 0;
      return;
    }
    calls += 1;
    const page = new URL(request.url ?? '', 'http://localhost').searchParams.get('$skiptoken');
    response.writeHead(200, { 'content-type': 'application/json' }).end(pages[Number(page ?? 0)]);
  });
  server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port));
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes in use, garbage not counted. */
async function inUse(): Promise<number> {
  await setImmediate();
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** @returns the median of five reads, in milliseconds. */
async function measure(title: string, endpoint: string, read: () => Promise<unknown[]>): Promise<number> {
  await read();
  const before = await inUse();
  await fetch(`${endpoint}/calls`);
  const held = await read();
  const calls = await (await fetch(`${endpoint}/calls`)).text();
  const heldMiB = ((await inUse()) - before) / 2 ** 20;
  const times: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const started = performance.now();
    await read();
    times.push(performance.now() - started);
  }
  const ms = times.sort((one, other) => one - other)[2] ?? 0;
  process.stdout.write(
    `  ${title.padEnd(9)} ${held.length} objects, ${calls} calls, ${ms.toFixed(0)} ms (median of 5), ${heldMiB.toFixed(1)} MiB for the answer\n`,
  );
  return ms;
}

async function run(instances: number): Promise<void> {
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
  process.stdout.write(`${instances} instances\n`);
  const { resources } = openAccount(options);
  const bare = await measure('bare SDK', endpoint, async () => {
    const filter = `tagName eq '${stampTags.broker}' and tagValue eq '${broker}'`;
    const listed = resources.resources.listByResourceGroup(groupName(broker, region), {
      filter,
      expand: 'createdTime,provisioningState',
    });
    const items: unknown[] = [];
    for await (const page of listed.byPage()) items.push(...page);
    return items;
  });
  const adapter = createAzureAdapter(options);
  const ours = await measure('adapter', endpoint, async () => {
    const items: unknown[] = [];
    let page: string | undefined;
    do {
      const answer = await adapter.list(broker, page);
      if (!answer.complete) throw new Error('the list is not complete');
      items.push(...answer.items);
      page = answer.nextPage;
    } while (page !== undefined);
    return items;
  });
  process.stdout.write(`  the adapter takes ${(ours / bare).toFixed(2)} times the bare SDK\n`);
  await worker.terminate();
}

if (isMainThread) for (const instances of [1000, 10_000]) await run(instances);
else serve(workerData as number);
