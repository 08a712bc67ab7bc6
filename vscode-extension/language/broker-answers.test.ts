import type { CodeLens } from 'vscode-languageserver';
import { type BrokerAnswer, type BrokerQuestion, brokerRequest, estateNotification } from './protocol.ts';
import { TestClient } from './testing/client.ts';

const URI = 'file:///w/small.yaml';
const POLICY = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: small}
spec:
  rules:
    - name: no-two
      deny: request.vcpus > 1
`;
const INSTANCE = `apiVersion: landfall.dev/v1
kind: Instance
metadata: {name: web}
spec: {image: tiny, vcpus: 1, memoryGiB: 1}
`;

let client: TestClient;
let settings: object;
/** What was asked, with the end that it came to. */
let asked: (BrokerQuestion & { cancelled: boolean })[];
let answer: (question: BrokerQuestion) => Promise<BrokerAnswer>;
beforeEach(() => {
  settings = {};
  asked = [];
  answer = async ({ text }) => ({ summary: `of ${text.length}` });
  client = new TestClient(undefined, {
    capabilities: { workspace: { codeLens: { refreshSupport: true }, configuration: true } },
  });
  client.connection.onRequest('workspace/codeLens/refresh', () => null);
  client.connection.onRequest('workspace/configuration', () => [settings]);
  client.connection.onRequest(brokerRequest, (question, token) => {
    const one = { ...question, cancelled: false };
    asked.push(one);
    token.onCancellationRequested(() => {
      one.cancelled = true;
    });
    return answer(question);
  });
});
afterEach(() => client.close());

const connect = (changes = 0) =>
  client.connection.sendNotification(estateNotification, { connected: true, changes });

async function titles(): Promise<string[]> {
  return (await client.ask<CodeLens[]>('codeLens', URI)).map(({ command }) => command!.title);
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!(await holds())) {
    if (Date.now() > deadline)
      throw new Error(`not so: ${holds}, but ${await titles()}, asked ${asked.length}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Longer than the pauses after which the broker is asked. */
const quiet = () => new Promise((resolve) => setTimeout(resolve, 1_200));

test('a connected broker is asked about policies and instances, each with its place, and what can be done is offered', async () => {
  await client.open(URI, `${POLICY}---\n${INSTANCE}`);
  expect(await titles()).not.toContain('apply');
  await connect();
  await until(async () => (await titles()).filter((title) => title.includes('of ')).length >= 2);
  expect(asked.map(({ kind, line }) => [kind, line])).toEqual([
    ['PlacementPolicy', 0],
    ['Instance', 7],
  ]);
  expect(await titles()).toEqual([
    `what-if: of ${asked[0]!.text.length}`,
    'apply',
    'compare with live',
    'delete',
    expect.stringMatching(/^rejects /),
    'alone 0',
    `of ${asked[1]!.text.length} · why`,
    'plan',
    'apply',
    'compare with live',
    'delete',
  ]);
});

test('typing is waited out, ends what is being asked, and the last answer stays while the text is broken', async () => {
  await client.open(URI, POLICY);
  await connect();
  await until(async () => (await titles()).includes(`what-if: of ${POLICY.length}`));
  answer = () => new Promise(() => undefined);
  await client.change(URI, POLICY.replace('> 1', '> 12'));
  await until(() => asked.length === 2);
  for (const typed of ['> 123', '> 123 &', '> 123 &&'])
    await client.change(URI, POLICY.replace('> 1', typed));
  await until(() => asked[1]!.cancelled);
  await quiet();
  expect(asked).toHaveLength(2);
  expect(await titles()).toContain(`what-if: of ${POLICY.length}`);
  answer = async () => ({ summary: 'anew' });
  await client.change(URI, POLICY.replace('> 1', '> 123'));
  await until(async () => (await titles()).includes('what-if: anew'));
  expect(asked).toHaveLength(3);
});

test('what changed at the broker is a reason to ask again, other names are none; a refusal changes nothing', async () => {
  await client.open(URI, POLICY);
  await connect(1);
  await until(async () => (await titles()).includes(`what-if: of ${POLICY.length}`));
  await client.connection.sendNotification(estateNotification, {
    connected: true,
    changes: 1,
    sites: ['new'],
  });
  await quiet();
  expect(asked).toHaveLength(1);
  answer = async () => ({ unanswered: 'too many requests' });
  await connect(2);
  await until(() => asked.length === 2);
  expect(await titles()).toContain(`what-if: of ${POLICY.length}`);
});

test('without a broker nothing is left of what it said', async () => {
  await client.open(URI, POLICY);
  await connect();
  await until(async () => (await titles()).includes(`what-if: of ${POLICY.length}`));
  await client.connection.sendNotification(estateNotification, { connected: false });
  expect((await titles()).filter((title) => /what-if|apply/.test(title))).toEqual([]);
  answer = () => new Promise(() => undefined);
  await connect();
  expect(await titles()).toContain('what-if');
});

test('a lens that is switched off asks nothing', async () => {
  settings = { lenses: { whatIf: false, actions: false } };
  await client.open(URI, POLICY);
  await connect();
  await quiet();
  expect(asked).toEqual([]);
  expect((await titles()).filter((title) => /what-if|apply/.test(title))).toEqual([]);
});
