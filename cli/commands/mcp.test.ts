/** A client of the SDK, the command's own process, and a real broker. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Requested, WorkedBroker } from '@landfall/test/worked-broker.ts';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import {
  type ElicitRequest,
  ElicitRequestSchema,
  type ElicitResult,
} from '@modelcontextprotocol/sdk/types.js';
import { writeContexts } from '../connection/contexts.ts';

const reading = [
  'landfall_listInstances',
  'landfall_explainPlacement',
  'landfall_planPlacement',
  'landfall_readSpend',
];
const changing = ['landfall_changePower', 'landfall_deleteInstance'];

let broker: WorkedBroker;
let config: string;
let web: Requested;
const clients: Client[] = [];

beforeAll(async () => {
  broker = await WorkedBroker.start();
  config = mkdtempSync(join(tmpdir(), 'landfall-mcp-'));
  writeContexts(
    { LANDFALL_CONFIG_DIR: config },
    {
      current: 'test',
      contexts: {
        test: { url: broker.api.url, token: broker.api.adminToken },
        stranger: { url: broker.api.url, token: 'lf_wrong' },
        nowhere: { url: 'http://127.0.0.1:2', token: 'lf_any' },
      },
    },
  );
  web = await broker.request('web');
  await broker.report(web, { state: 'Running', provider: 'aws', pricePerHour: 0.5, pricePerMonth: 365 });
}, 60_000);
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});
afterAll(async () => {
  await broker?.stop();
  if (config) rmSync(config, { recursive: true });
}, 20_000);

/** How a person answers what is asked. */
type Person = (request: ElicitRequest['params']) => ElicitResult | Promise<ElicitResult>;

/** A client of `landfall mcp …`; without a person, one that cannot ask. */
async function client(args: string[] = [], person?: Person): Promise<Client> {
  const made = new Client(
    { name: 'test', version: '1' },
    { capabilities: person ? { elicitation: {} } : {} },
  );
  if (person) made.setRequestHandler(ElicitRequestSchema, ({ params }) => person(params));
  clients.push(made);
  await made.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [fileURLToPath(new URL('../main.ts', import.meta.url)), 'mcp', ...args],
      env: { LANDFALL_CONFIG_DIR: config, NODE_NO_WARNINGS: '1' },
    }),
  );
  return made;
}

/** The text of a tool's answer. */
async function call(on: Client, name: string, input: object) {
  const { content, isError = false } = await on.callTool({ name, arguments: { ...input } });
  const [{ text }] = content as [{ text: string }];
  return { text, isError };
}
const answer = async (on: Client, name: string, input: object) =>
  JSON.parse((await call(on, name, input)).text);

test('without --allow-writes there are only tools that read, and they say so', async () => {
  const on = await client();
  const { tools } = await on.listTools();
  expect(tools.map(({ name }) => name)).toEqual(reading);
  for (const { annotations, inputSchema } of tools) {
    expect(annotations).toMatchObject({ readOnlyHint: true, destructiveHint: false });
    expect(inputSchema).toMatchObject({ type: 'object', additionalProperties: false });
  }
  await expect(call(on, 'landfall_deleteInstance', { name: 'web' })).rejects.toThrow(
    /only reads: start it with --allow-writes/,
  );
  await expect(call(on, 'nonsense', {})).rejects.toThrow(/no tool nonsense: there are landfall_list/);
});

test('instances are read with state, place and price, and without anything secret', async () => {
  const on = await client();
  const { text } = await call(on, 'landfall_listInstances', { filter: 'state=Running' });
  expect(JSON.parse(text)).toMatchObject({
    instances: [{ name: 'web', state: 'Running', where: { provider: 'aws' }, price: { pricePerHour: 0.5 } }],
    more: false,
  });
  expect(text).not.toContain(broker.api.adminToken);
});

test('what machines have cost is read by project, or by what is asked for', async () => {
  const on = await client();
  await broker.report(web, {
    state: 'Running',
    ...{ externalReference: 'i-1', site: 'aws-1', provider: 'aws', region: 'us-east-1' },
    ...{ instanceType: 't3.micro', pricePerHour: 0.5, currency: 'USD' },
  });
  expect(await answer(on, 'landfall_readSpend', {})).toMatchObject({
    items: [{ name: 'default', currency: 'USD', pricePerHour: 0.5, running: 1 }],
    more: false,
  });
  const [item] = (await answer(on, 'landfall_readSpend', { by: 'site' })).items;
  expect(item.name).toBe('aws-1');
  const wrong = await call(on, 'landfall_readSpend', { from: '2999-01-01T00:00:00Z' });
  expect(wrong).toEqual({ isError: true, text: expect.stringContaining('is in the future') });
});

test('a placement is explained by its recorded decision; a plan is made for one that is not there', async () => {
  const on = await client();
  const spec = { image: 'debian-12', vcpus: 2, memoryGiB: 4 };
  expect(await answer(on, 'landfall_explainPlacement', { name: 'web' })).toMatchObject({ decision: null });
  const decision = await broker.decide(web, spec);
  const explained = await answer(on, 'landfall_explainPlacement', { name: 'web' });
  expect(explained.decision).toMatchObject({
    outcome: decision.outcome,
    considered: decision.considered,
  });
  expect(explained.decision.winner.instanceType).toBe(decision.winner!.instanceType);
  const planned = await answer(on, 'landfall_planPlacement', { spec });
  expect(planned.winner).toEqual(explained.decision.winner);
});

test('with --allow-writes a change asks the person, with the price, and is made after a yes', async () => {
  const asked: string[] = [];
  const on = await client(['--allow-writes'], ({ message }) => {
    asked.push(message);
    return { action: 'accept', content: { confirm: true } };
  });
  const { tools } = await on.listTools();
  expect(tools.map(({ name }) => name)).toEqual([...reading, ...changing]);
  for (const { name, annotations } of tools.filter(({ name }) => changing.includes(name)))
    expect([name, annotations]).toEqual([
      name,
      expect.objectContaining({ readOnlyHint: false, destructiveHint: true }),
    ]);
  const stopped = await answer(on, 'landfall_changePower', { verb: 'stop', name: 'web' });
  expect(stopped).toMatchObject({ verb: 'stop', resource: { name: 'web' } });
  expect(asked).toEqual([
    'Stop web? What runs on it ends; its disk stays. Running, it costs $0.5000 an hour, $365.00 a month.',
  ]);
  const { body } = await broker.api.call('GET', `/v1/operations/${stopped.id}`);
  expect(body).toMatchObject({ verb: 'stop', resource: { id: web.id } });
});

test.each<[string, Person]>([
  ['declines', () => ({ action: 'decline' })],
  ['closes the question', () => ({ action: 'cancel' })],
  ['sends it off without saying yes', () => ({ action: 'accept', content: { confirm: false } })],
])('nothing is deleted when the person %s', async (_, person) => {
  const on = await client(['--allow-writes'], person);
  expect(await call(on, 'landfall_deleteInstance', { name: 'web' })).toEqual({
    text: 'The person did not agree. Nothing was changed.',
    isError: true,
  });
  expect(await deletions()).toBe(0);
});

test('a client that cannot ask a person changes nothing, and is told what to do', async () => {
  const on = await client(['--allow-writes']);
  const { text, isError } = await call(on, 'landfall_deleteInstance', { name: 'web' });
  expect([isError, text]).toEqual([
    true,
    expect.stringMatching(/^Nothing was changed: .* cannot ask.*`landfall delete instance web -p default`/),
  ]);
  expect(await deletions()).toBe(0);
});

test('what is deleted is the machine that was asked about, whatever has its name by then', async () => {
  const old = await broker.request('twin');
  let recreated: Requested | undefined;
  const on = await client(['--allow-writes'], async () => {
    await broker.report(old, { state: 'Deleted' }, true);
    recreated = await broker.request('twin');
    return { action: 'accept', content: { confirm: true } };
  });
  await call(on, 'landfall_deleteInstance', { name: 'twin' });
  expect(recreated).toBeDefined();
  const { body } = await broker.api.call('GET', `/v1/projects/default/instances/${recreated!.id}`);
  expect(body.status.state).toBe('Pending');
  expect(await deletions()).toBe(0);
});

test('errors say what is wrong: the input, the name, the token, the broker', async () => {
  const on = await client();
  expect(await call(on, 'landfall_explainPlacement', { nam: 'web' })).toEqual({
    text: expect.stringMatching(/^The input of landfall_explainPlacement is wrong: .*name/),
    isError: true,
  });
  expect((await call(on, 'landfall_explainPlacement', { name: 'webb' })).text).toMatch(/webb/);
  const list = async (args: string[]) => call(await client(args), 'landfall_listInstances', {});
  expect(await list(['--context', 'stranger'])).toEqual({
    text: expect.stringMatching(/token/),
    isError: true,
  });
  expect((await list(['--context', 'nowhere'])).text).toMatch(
    /^No broker at http:\/\/127\.0\.0\.1:2: nothing listens there\. .*context "nowhere"/,
  );
});

/** How many deletions were ever asked for. */
async function deletions(): Promise<number> {
  const { body } = await broker.api.call('GET', '/v1/operations?filter=verb%3Ddelete');
  return body.items.length;
}
