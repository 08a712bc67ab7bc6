/**
 * Requests a second and 99th percentile of a real broker over PostgreSQL with 100,000 instances, beside a bare Fastify route
 * that answers a constant of the same size, in a process of its own; and the memory of each process.
 * `npm run bench:api [-- instances [seconds [connections]]]`
 */
import { spawn } from 'node:child_process';
import { Agent, request } from 'node:http';
import Fastify from 'fastify';
import pg from 'pg';
import { Installation } from '../e2e/installation.ts';
import { memoryOf, processesOf, withDescendants } from '../e2e/processes.ts';
import { percentile } from './percentile.ts';

const headers = { 'content-type': 'application/json' };

/** The alternative: `GET /<bytes>` and `POST /<bytes>` answer as many bytes, and nothing is asked of anybody. */
async function serveConstants(): Promise<void> {
  const app = Fastify();
  const constants = new Map<string, string>();
  const constant = (bytes: string) => {
    const known =
      constants.get(bytes) ?? JSON.stringify({ text: 'x'.repeat(Math.max(0, Number(bytes) - 11)) });
    constants.set(bytes, known);
    return known;
  };
  for (const method of ['GET', 'POST'] as const)
    app.route<{ Params: { bytes: string } }>({
      method,
      url: '/:bytes',
      handler: async (call, reply) => reply.headers(headers).send(constant(call.params.bytes)),
    });
  process.stdout.write(`${await app.listen({ host: '127.0.0.1', port: 0 })}\n`);
}

interface Load {
  url: string;
  method: 'GET' | 'POST';
  headers: Record<string, string>;
  /** The body of the n-th request. */
  body?: (n: number) => string;
}

interface Figures {
  each: number[];
  ms: number;
}

/** One request over a kept connection; answers the body's length. */
function send(agent: Agent, load: Load, n: number): Promise<number> {
  return new Promise((done, failed) => {
    const sending = request(load.url, { agent, method: load.method, headers: load.headers }, (response) => {
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
      });
      response.on('end', () => {
        if ((response.statusCode ?? 500) < 300) done(bytes);
        else failed(new Error(`${load.method} ${load.url} answered ${response.statusCode}`));
      });
    });
    sending.on('error', failed);
    sending.end(load.body?.(n));
  });
}

let counter = 0;

async function run(load: Load, seconds: number, connections: number, into: Figures): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const started = performance.now();
  const until = started + seconds * 1000;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (performance.now() < until) {
        const begun = performance.now();
        await send(agent, load, counter++);
        into.each.push(performance.now() - begun);
      }
    }),
  );
  into.ms += performance.now() - started;
  agent.destroy();
}

async function bench(): Promise<void> {
  const instances = Number(process.argv[2] ?? 100_000);
  const seconds = Number(process.argv[3] ?? 3);
  const connections = Number(process.argv[4] ?? 8);
  const installation = await Installation.start({
    parts: ['postgres', 'temporal', 'broker', 'worker'],
    // A sweep would look for the machines of instances that were only written to the table.
    env: { LANDFALL_SWEEP_MS: '3600000', LANDFALL_EXPIRY_MS: '3600000', LANDFALL_LOG_LEVEL: 'warn' },
  });
  const constants = spawn(process.execPath, [import.meta.filename, 'constants'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const bare = await new Promise<string>((done) =>
      constants.stdout.once('data', (text) => done(String(text).trim())),
    );
    const { stack } = installation;
    await fill(stack.databaseUrl, instances);
    const authorization = { authorization: `Bearer ${stack.adminToken}` };
    const list = `${stack.url}/v1/projects/default/instances`;
    const deep = await deepPage(list, authorization, instances);
    // Nowhere to place it: what is measured is the acceptance, validated, authorized, committed with operation and outbox.
    const input = { spec: { image: 'tiny', vcpus: 1, memoryGiB: 0.25, placement: { regions: ['nowhere'] } } };
    const loads: Record<string, Load> = {
      'get one': { url: `${list}/bench-${Math.ceil(instances / 2)}`, method: 'GET', headers: authorization },
      'list 50, first page': { url: `${list}?pageSize=50`, method: 'GET', headers: authorization },
      'list 50, page in the middle': { url: deep, method: 'GET', headers: authorization },
      create: {
        url: list,
        method: 'POST',
        headers: { ...authorization, ...headers },
        body: (n) => JSON.stringify({ name: `made-${n}`, ...input }),
      },
    };
    const told: string[] = [];
    for (const [name, load] of Object.entries(loads)) {
      const agent = new Agent();
      const bytes = await send(agent, load, counter++);
      agent.destroy();
      const alternative: Load = {
        ...load,
        url: `${bare}/${bytes}`,
        headers: load.method === 'POST' ? headers : {},
      };
      const figures = { broker: { each: [], ms: 0 } as Figures, bare: { each: [], ms: 0 } as Figures };
      await run(load, 1, connections, { each: [], ms: 0 });
      await run(alternative, 1, connections, { each: [], ms: 0 });
      // Alternating, so that what the machine does meanwhile falls on both.
      for (let round = 0; round < 2; round++) {
        await run(load, seconds / 2, connections, figures.broker);
        await run(alternative, seconds / 2, connections, figures.bare);
      }
      const rate = ({ each, ms }: Figures) => (each.length / ms) * 1000;
      const text = (of: Figures) =>
        `${rate(of).toFixed(0)}/s, p50 ${percentile(of.each, 50).toFixed(1)} ms, p99 ${percentile(of.each, 99).toFixed(1)} ms`;
      console.log(
        `${name} (${bytes} bytes, ${connections} connections): ${text(figures.broker)}; bare Fastify ${text(figures.bare)}`,
      );
      told.push(
        `${name} ${rate(figures.broker).toFixed(0)}/s (${(rate(figures.broker) / rate(figures.bare)).toFixed(2)} of bare)`,
      );
    }
    tellMemory(installation.dataDir);
    console.log(`summary: over ${instances} instances: ${told.join(', ')}`);
  } finally {
    constants.kill('SIGKILL');
    await installation.close();
  }
  process.exit(0);
}

/** Writes running instances straight into the table. */
async function fill(databaseUrl: string, count: number): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const spec = {
    image: 'debian-12',
    power: 'running',
    vcpus: 2,
    market: 'onDemand',
    diskGiB: 10,
    reboots: 0,
    memoryGiB: 4,
    architecture: 'x86_64',
    publicAddress: false,
    sshKeys: [],
    placement: { providers: ['onprem'] },
  };
  const status = {
    state: 'Running',
    message: '',
    observedGeneration: 1,
    site: 'local',
    provider: 'onprem',
    region: 'local',
    zone: 'default',
    host: 'h1',
    instanceType: 'kvm-2-4',
    market: 'onDemand',
    vcpus: 2,
    memoryGiB: 4,
    attempt: 1,
    currency: 'USD',
    pricePerHour: 0.0152,
    pricePerMonth: 11.096,
    addresses: [{ type: 'internal', address: '10.213.0.2' }],
    ssh: { host: '10.213.0.2', port: 22, user: 'debian' },
    externalReference: 'bench',
    children: [],
  };
  const started = performance.now();
  try {
    await client.query(
      `insert into instances (id, project, name, labels, spec, status, state, site, observed_generation, attempt, created_at)
       select gen_random_uuid(), 'default', 'bench-' || n, jsonb_build_object('n', (n % 10)::text), $2, $3, 'Running', 'local', 1, 1, now() - n * interval '1 second'
       from generate_series(1, $1) n`,
      [count, JSON.stringify(spec), JSON.stringify(status)],
    );
    await client.query('analyze instances');
  } finally {
    await client.end();
  }
  console.log(`${count} instances written in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/** The URL of a page of 50 in the middle of the list, reached as a client would. */
async function deepPage(
  list: string,
  authorization: Record<string, string>,
  instances: number,
): Promise<string> {
  let token: string | undefined;
  for (let seen = 0; seen < instances / 2; seen += 500) {
    const url = `${list}?pageSize=500${token ? `&pageToken=${encodeURIComponent(token)}` : ''}`;
    const page = (await (await fetch(url, { headers: authorization })).json()) as { nextPageToken?: string };
    token = page.nextPageToken;
  }
  return `${list}?pageSize=50${token ? `&pageToken=${encodeURIComponent(token)}` : ''}`;
}

function tellMemory(dataDir: string): void {
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  let sum = 0;
  for (const { pid, command } of processesOf(dataDir)) {
    // PostgreSQL's other processes name no folder: they are told with their parent.
    const own = command.includes('postgres') ? withDescendants([pid]) : [pid];
    const { rss } = memoryOf(pid);
    const pss = own.reduce((total, each) => total + memoryOf(each).pss, 0);
    sum += pss;
    const name = /(\w+)\/main\.ts/.exec(command)?.[1] ?? command.split(' ')[0]!.split('/').at(-1);
    console.log(
      `memory of ${name}: RSS ${mib(rss)} MiB, PSS ${mib(pss)} MiB${own.length > 1 ? ` (${own.length} processes)` : ''}`,
    );
  }
  console.log(`memory of the set: PSS ${mib(sum)} MiB`);
}

if (process.argv[2] === 'constants') await serveConstants();
else await bench();
