import type { CodeAction, CodeLens } from 'vscode-languageserver';
import { TextDocument } from 'vscode-languageserver-textdocument';
import {
  type DocumentTarget,
  estateNotification,
  explanationRequest,
  lensCommands,
  runTestsRequest,
  testsChangedNotification,
  testsRequest,
} from './protocol.ts';
import { TestClient } from './testing/client.ts';

const URI = 'file:///w/shop.yaml';
const INSTANCE = `apiVersion: landfall.dev/v1
kind: Instance
metadata: {name: web}
spec: {image: debian-12, vcpus: 2, memoryGiB: 4, architecture: any}
`;
const POLICY = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: p}
spec:
  rules:
  - name: eu
    when: request.dataClass == "restricted"
    require: offer.jurisdiction == "EU"
  - name: arm
    require: offer.architecture == "arm64"
  - name: green
    prefer: offer.carbon < 100.0
    weight: 0.01
tests:
- name: restricted data stays in the EU
  request: {dataClass: restricted, regions: [us-east-1]}
  expect: {rejectedBy: [eu, arm]}
- name: a wrong guess
  expect: {placed: {region: us-east-1, architecture: arm64}}
`;

let client: TestClient;
let refreshed: () => void;
let settings: object;
beforeEach(() => {
  settings = {};
  client = new TestClient(undefined, {
    capabilities: { workspace: { codeLens: { refreshSupport: true }, configuration: true } },
  });
  client.connection.onRequest('workspace/codeLens/refresh', () => {
    refreshed?.();
    return null;
  });
  client.connection.onRequest('workspace/configuration', () => [settings]);
});
afterEach(() => client.close());

/** Titles of the lenses with their lines, after the server has said that there are new ones. */
async function lensesOf(send: () => Promise<void>): Promise<string[]> {
  const told = new Promise<void>((resolve) => {
    refreshed = resolve;
  });
  await send();
  await told;
  return shown();
}

async function shown(): Promise<string[]> {
  const lenses = await client.ask<CodeLens[]>('codeLens', URI);
  return lenses.map(({ range, command }) => `${range.start.line} ${command!.title}`);
}

test('a resource shows where it would land and for how much, by the policies of the workspace', async () => {
  const [free] = await lensesOf(() => client.open(URI, INSTANCE));
  expect(free).toMatch(/^1 cheapest: \$0\.\d+\/h · (aws|azure|gcp) \S+ \S+ · why$/);
  const price = Number(/\$([\d.]+)/.exec(free!)![1]);
  const eu = POLICY.replace('    when: request.dataClass == "restricted"\n', '');
  const [bound] = await lensesOf(() => client.change(URI, `${INSTANCE}---\n${eu}`));
  expect(bound).toMatch(/^1 cheapest: \$0\.\d+\/h · (aws|azure|gcp) \S+ \S+ · why$/);
  expect(Number(/\$([\d.]+)/.exec(bound!)![1])).toBeGreaterThan(price);
});

test('a rule shows how many offers it rejects, alone and at all, and whether tests name it', async () => {
  const lenses = await lensesOf(() => client.open(URI, POLICY));
  expect(lenses).toEqual([
    '1 run 2 tests',
    expect.stringMatching(/^5 rejects [\d,]+ of [\d,]+ offers where it applies$/),
    expect.stringMatching(/^5 alone [\d,]+$/),
    '5 run tests',
    expect.stringMatching(/^8 rejects [\d,]+ of [\d,]+ offers$/),
    expect.stringMatching(/^8 alone [\d,]+$/),
    '8 run tests',
  ]);
  const [rejected, of, alone] = `${lenses[1]!.slice(2)} ${lenses[2]!.slice(2)}`
    .match(/[\d,]{2,}/g)!
    .map((figure) => Number(figure.replaceAll(',', '')));
  expect(alone).toBeGreaterThan(0);
  expect(rejected).toBeGreaterThan(alone!);
  expect(of).toBeGreaterThan(rejected!);
});

test('lenses stay as they were while the text is broken, and move with it when it is sound', async () => {
  const before = await lensesOf(() => client.open(URI, POLICY));
  await client.change(URI, POLICY.replace('name: eu', 'name: [eu'));
  expect(await shown()).toEqual(before);
  await client.change(URI, POLICY.replaceAll('offer.', 'offer.x'));
  expect(await shown()).toEqual(before);
  await client.change(URI, `# one line more\n${POLICY}`);
  expect(await shown()).toEqual(
    before.map((lens) => lens.replace(/^\d+/, (line) => String(Number(line) + 1))),
  );
});

test('an instance with a mistake has no lens, and the others keep theirs', async () => {
  const wrong = INSTANCE.replace('name: web', 'name: api').replace('vcpus: 2', 'vcpus: two');
  const lenses = await lensesOf(() => client.open(URI, `${wrong}---\n${INSTANCE}`));
  expect(lenses).toEqual([expect.stringMatching(/^6 cheapest/)]);
});

test('a lens that settings turn off is not shown', async () => {
  settings = { lenses: { rule: false } };
  await lensesOf(() => client.open(URI, `${POLICY}---\n${INSTANCE}`));
  const titles = await shown();
  expect(titles.filter((title) => title.includes('rejects'))).toEqual([]);
  expect(titles.filter((title) => title.includes('cheapest'))).toHaveLength(1);
});

test('what-if is offered with a broker only', async () => {
  expect(await lensesOf(() => client.open(URI, POLICY))).not.toContain('1 what-if');
  await client.connection.sendNotification(estateNotification, { connected: true });
  expect(await shown()).toContain('1 what-if');
});

test('the decision behind a lens is explained', async () => {
  await client.open(URI, INSTANCE);
  await client.diagnostics(URI);
  const lenses = await lensesOf(() => client.change(URI, `${INSTANCE}\n`));
  expect(lenses).toHaveLength(1);
  const [{ command }] = (await client.ask<CodeLens[]>('codeLens', URI)) as [CodeLens];
  expect(command!.command).toBe(lensCommands.explainPlacement);
  const target = command!.arguments![0] as DocumentTarget;
  const answer = await client.connection.sendRequest(explanationRequest, target);
  expect(answer).toMatchObject({ decision: { outcome: 'placed', winner: { vcpus: 2 } } });
});

test('a label that a policy asks for and a machine has not is told, and added', async () => {
  const policy = POLICY.replace(
    '  - name: arm',
    '  - name: hygiene\n    labels: {required: [owner]}\n  - name: arm',
  );
  const text = `${policy}---\n${INSTANCE}`;
  await client.open(URI, text);
  const diagnostics = (
    await client.diagnostics(URI, (all) => all.some(({ code }) => code === 'missing-label'))
  ).filter(({ code }) => code === 'missing-label');
  expect(diagnostics).toMatchObject([
    { message: "Rule 'hygiene' of policy 'p' refuses a machine without the label owner." },
  ]);
  const [action] = await client.ask<CodeAction[]>('codeAction', URI, {
    range: diagnostics[0]!.range,
    context: { diagnostics },
  });
  const fixed = TextDocument.applyEdits(
    TextDocument.create(URI, 'yaml', 1, text),
    action!.edit!.changes![URI]!,
  );
  expect(fixed).toBe(text.replace('{name: web}', '{name: web, labels: {owner: ""}}'));
});

describe('tests of policies', () => {
  test('are found with their lines, and the client is told when they may have changed', async () => {
    await client.initialized;
    const told = new Promise<string>((resolve) => {
      client.connection.onNotification(testsChangedNotification, ({ uri }) => resolve(uri));
    });
    await client.open(URI, POLICY);
    expect(await told).toBe(URI);
    expect(await client.connection.sendRequest(testsRequest, { uri: URI })).toEqual([
      {
        uri: URI,
        policy: 'p',
        policyLine: 0,
        name: 'restricted data stays in the EU',
        line: 14,
        fixtures: [],
        rules: ['eu', 'arm'],
      },
      { uri: URI, policy: 'p', policyLine: 0, name: 'a wrong guess', line: 17, fixtures: [], rules: [] },
    ]);
  });

  test('run on the text as the editor has it, with what was expected beside what came', async () => {
    await client.open(URI, POLICY);
    const { outcomes, unrunnable } = await client.connection.sendRequest(runTestsRequest, { uri: URI });
    expect(unrunnable).toEqual([]);
    expect(outcomes.map(({ name, passed }) => [name, passed])).toEqual([
      ['restricted data stays in the EU', true],
      ['a wrong guess', false],
    ]);
    expect(outcomes[0]!.actual).toBe(outcomes[0]!.expected);
    expect(outcomes[1]!.expected).toBe('placed:\n  region: us-east-1\n  architecture: arm64\n');
    expect(outcomes[1]!.actual).toMatch(/^placed:\n {2}region: (?!us-east-1)\S+\n {2}architecture: arm64\n$/);
    expect(outcomes[1]!.message).toMatch(/^expected region "us-east-1", not /);
  });

  test('run one by one', async () => {
    await client.open(URI, POLICY);
    const only = [{ policy: 'p', name: 'a wrong guess' }];
    const { outcomes } = await client.connection.sendRequest(runTestsRequest, { uri: URI, only });
    expect(outcomes.map(({ name }) => name)).toEqual(['a wrong guess']);
  });

  test('do not run in a file with errors, which says where', async () => {
    await client.open(URI, POLICY.replace('offer.jurisdiction', 'offer.jurisdicton'));
    const { outcomes, unrunnable } = await client.connection.sendRequest(runTestsRequest, { uri: URI });
    expect(outcomes).toEqual([]);
    expect(unrunnable).toMatchObject([
      { uri: URI, line: 7, message: expect.stringContaining('jurisdicton') },
    ]);
  });
});
