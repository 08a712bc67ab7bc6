/**
 * The AWS adapter's own time: the inventory of 1,000 and 10,000 machines, each with a disk and a network interface, from a
 * server that answers at once with answers made beforehand, in a thread of its own; beside it the bare SDK, which makes the same calls.
 *
 *     node tools/bootstrap.mjs run test/bench/adapter-aws.ts
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import {
  DescribeAddressesCommand,
  DescribeInstanceTypesCommand,
  EC2Client,
  paginateDescribeImages,
  paginateDescribeInstances,
  paginateDescribeInternetGateways,
  paginateDescribeNetworkInterfaces,
  paginateDescribeSecurityGroups,
  paginateDescribeSnapshots,
  paginateDescribeSubnets,
  paginateDescribeVolumes,
  paginateDescribeVpcs,
} from '@aws-sdk/client-ec2';
import { createAwsAdapter } from '../../adapters/aws/index.ts';
import { stampTags } from '../../adapters/aws/stamp.ts';
import { listAll } from '../../adapters/conformance/probe.ts';
import { beside, type Took, tellGrowth } from './beside.ts';

const broker = 'bench';
const credentials = { accessKeyId: 'bench', secretAccessKey: 'bench' };
/** EC2's most on a page. */
const pageSize = 1000;

const hex = (n: number) => n.toString(16).padStart(17, '0');
const tagSet = (n: number, kind = 'Instance') =>
  Object.entries({
    Name: `machine-${n}`,
    [stampTags.broker]: broker,
    [stampTags.project]: 'bench',
    [stampTags.resource]: hex(n),
    [stampTags.attempt]: '1',
    [stampTags.kind]: kind,
    [stampTags.reboots]: '0',
    [stampTags.user]: 'admin',
  })
    .map(([key, value]) => `<item><key>${key}</key><value>${value}</value></item>`)
    .join('');

const items: Record<string, { set: string; item: (n: number) => string }> = {
  DescribeInstances: {
    set: 'reservationSet',
    item: (n) =>
      `<item><reservationId>r-${hex(n)}</reservationId><instancesSet><item><instanceId>i-${hex(n)}</instanceId><instanceType>t3.micro</instanceType><instanceState><code>16</code><name>running</name></instanceState><launchTime>2026-01-01T00:00:00.000Z</launchTime><placement><availabilityZone>us-east-1a</availabilityZone></placement><privateIpAddress>10.0.0.1</privateIpAddress><blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-${hex(n)}</volumeId><status>attached</status><deleteOnTermination>true</deleteOnTermination></ebs></item></blockDeviceMapping><networkInterfaceSet><item><networkInterfaceId>eni-${hex(n)}</networkInterfaceId><status>in-use</status></item></networkInterfaceSet><tagSet>${tagSet(n)}</tagSet></item></instancesSet></item>`,
  },
  DescribeVolumes: {
    set: 'volumeSet',
    item: (n) =>
      `<item><volumeId>vol-${hex(n)}</volumeId><size>8</size><status>in-use</status><availabilityZone>us-east-1a</availabilityZone><createTime>2026-01-01T00:00:00.000Z</createTime><tagSet>${tagSet(n)}</tagSet></item>`,
  },
  DescribeNetworkInterfaces: {
    set: 'networkInterfaceSet',
    item: (n) =>
      `<item><networkInterfaceId>eni-${hex(n)}</networkInterfaceId><status>in-use</status><availabilityZone>us-east-1a</availabilityZone><tagSet>${tagSet(n)}</tagSet></item>`,
  },
};

/** Answers by action and page token. */
function makeAnswers(machines: number): Map<string, string> {
  const answers = new Map<string, string>();
  for (const [action, { set, item }] of Object.entries(items))
    for (let from = 0; from < machines; from += pageSize) {
      const until = Math.min(machines, from + pageSize);
      const inside = Array.from({ length: until - from }, (_, at) => item(from + at)).join('');
      const next = until < machines ? `<nextToken>${until}</nextToken>` : '';
      answers.set(
        `${action} ${from || ''}`,
        `<${action}Response><${set}>${inside}</${set}>${next}</${action}Response>`,
      );
    }
  answers.set(
    'DescribeInstanceTypes ',
    '<DescribeInstanceTypesResponse><instanceTypeSet><item><instanceType>t3.micro</instanceType><vCpuInfo><defaultVCpus>2</defaultVCpus></vCpuInfo><memoryInfo><sizeInMiB>1024</sizeInMiB></memoryInfo></item></instanceTypeSet></DescribeInstanceTypesResponse>',
  );
  return answers;
}

/** The same listing with nothing but the SDK: every page of every kind, and the sizes of the types once a page. */
async function bare(client: EC2Client): Promise<object[]> {
  const Filters = [{ Name: `tag:${stampTags.broker}`, Values: [broker] }];
  const seen: object[] = [];
  for await (const page of paginateDescribeInstances({ client }, { Filters })) {
    await client.send(new DescribeInstanceTypesCommand({ InstanceTypes: ['t3.micro'] }));
    for (const { Instances } of page.Reservations ?? []) seen.push(...(Instances ?? []));
  }
  for await (const page of paginateDescribeVolumes({ client }, { Filters }))
    seen.push(...(page.Volumes ?? []));
  for await (const page of paginateDescribeNetworkInterfaces({ client }, { Filters }))
    seen.push(...(page.NetworkInterfaces ?? []));
  for await (const page of paginateDescribeSecurityGroups({ client }, { Filters }))
    seen.push(...(page.SecurityGroups ?? []));
  for await (const page of paginateDescribeSnapshots({ client }, { Filters, OwnerIds: ['self'] }))
    seen.push(...(page.Snapshots ?? []));
  for await (const page of paginateDescribeImages({ client }, { Filters, Owners: ['self'] }))
    seen.push(...(page.Images ?? []));
  for await (const page of paginateDescribeVpcs({ client }, { Filters })) seen.push(...(page.Vpcs ?? []));
  for await (const page of paginateDescribeSubnets({ client }, { Filters }))
    seen.push(...(page.Subnets ?? []));
  for await (const page of paginateDescribeInternetGateways({ client }, { Filters }))
    seen.push(...(page.InternetGateways ?? []));
  seen.push(...((await client.send(new DescribeAddressesCommand({ Filters }))).Addresses ?? []));
  return seen;
}

/** In a thread of its own, so that what it takes is not counted. */
function serve(machines: number): void {
  const answers = makeAnswers(machines);
  let calls = 0;
  const server = createServer(async (request, response) => {
    if (request.url === '/calls') return void response.end(String(calls));
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const query = new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
    const action = query.get('Action') ?? '';
    calls += 1;
    response.writeHead(200, { 'content-type': 'text/xml' });
    response.end(
      answers.get(`${action} ${query.get('NextToken') ?? ''}`) ?? `<${action}Response></${action}Response>`,
    );
  });
  server.keepAliveTimeout = 600_000;
  server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port));
}

async function run(machines: number): Promise<[Took, Took]> {
  const worker = new Worker(new URL(import.meta.url), { workerData: machines });
  const [port] = (await once(worker, 'message')) as [number];
  const endpoint = `http://127.0.0.1:${port}`;
  const client = new EC2Client({ region: 'us-east-1', endpoint, credentials, maxAttempts: 1 });
  const adapter = createAwsAdapter({ site: 'bench', regions: ['us-east-1'], endpoint, credentials });
  const all = (found: object[]) => {
    if (found.length !== 3 * machines) throw new Error(`${found.length} objects of ${3 * machines}`);
    return found;
  };
  const took = await beside(
    `${machines} machines`,
    [
      { name: 'bare SDK', run: async () => all(await bare(client)) },
      {
        name: 'adapter',
        run: async () => {
          const { items: listed, complete } = await listAll(adapter, broker);
          if (!complete) throw new Error('the list was not complete');
          return all(listed);
        },
      },
    ],
    async () => Number(await (await fetch(`${endpoint}/calls`)).text()),
  );
  client.destroy();
  await worker.terminate();
  return took;
}

if (isMainThread) {
  const sizes = [1000, 10_000];
  const took: [Took, Took][] = [];
  for (const machines of sizes) took.push(await run(machines));
  tellGrowth(sizes, took);
  // The adapter's client keeps its connections.
  process.exit(0);
} else serve(workerData as number);
