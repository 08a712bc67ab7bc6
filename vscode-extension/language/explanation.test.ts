import { explanationRequest, type PlacementExplanation } from './protocol.ts';
import { TestClient } from './testing/client.ts';

const INSTANCES = 'file:///w/web.yaml';
const POLICIES = 'file:///w/p.yaml';
const instance = (name: string, more = ''): string => `apiVersion: landfall.dev/v1
kind: Instance
metadata: {name: ${name}}
spec:
  image: debian-12
  vcpus: 2
  memoryGiB: 4
${more}`;
const policy = (rule: string): string =>
  `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n  rules:\n    - name: r\n      ${rule}\n`;

/** What the server answers of a line of a file, beside a policy. */
async function asked(text: string, line = 0, policies = '') {
  const client = new TestClient();
  if (policies !== '') {
    await client.open(POLICIES, policies);
    await client.diagnostics(POLICIES);
  }
  await client.open(INSTANCES, text);
  await client.diagnostics(INSTANCES);
  return client.connection.sendRequest(explanationRequest, { uri: INSTANCES, line });
}

async function explained(...given: Parameters<typeof asked>): Promise<PlacementExplanation> {
  const answer = await asked(...given);
  if ('refused' in answer) throw new Error(answer.refused);
  return answer;
}

test('the instance at the line is decided, under the policies of the workspace', async () => {
  const text = `${instance('first')}---\n${instance('second')}`;
  const free = await explained(text, 2);
  expect(free.subject).toBe('instance/first');
  expect(free.decision.outcome).toBe('placed');
  const ruled = await explained(text, 12, policy('require: offer.provider == "gcp"'));
  expect(ruled.subject).toBe('instance/second');
  expect(ruled.decision.winner?.provider).toBe('gcp');
  expect(ruled.decision.rules[0]).toMatchObject({ file: POLICIES, line: 6, rule: 'r' });
});

test('the first region is the one where it lands, at the same price', async () => {
  const { decision, regions } = await explained(instance('web'));
  const { provider, region, pricePerHour } = decision.winner!;
  expect(regions[0]).toMatchObject({ provider, region, pricePerHour });
  expect(regions.length).toBeGreaterThan(20);
});

test('a region in which no offer is compliant has no price', async () => {
  const { regions } = await explained(instance('web'), 0, policy('require: offer.jurisdiction == "EU"'));
  expect(regions.find(({ region }) => region === 'us-east-1')).toEqual({
    provider: 'aws',
    region: 'us-east-1',
  });
  expect(regions[0]!.pricePerHour).toBeGreaterThan(0);
});

test('rules that the request brings narrow it', async () => {
  const rules = '  placement:\n    rules:\n      - {name: own, require: "offer.provider == \'azure\'"}\n';
  expect((await explained(instance('web', rules))).decision.winner?.provider).toBe('azure');
});

test('a policy with errors is left out and named', async () => {
  const { unreadable, decision } = await explained(instance('web'), 0, policy('require: offer.provder'));
  expect(unreadable).toEqual([POLICIES]);
  expect(decision.outcome).toBe('placed');
});

test.each([
  [
    instance('web', '---\napiVersion: landfall.dev/v1\nkind: Project\nmetadata: {name: p}\n'),
    9,
    /not in a document of kind Instance/,
  ],
  [instance('web').replace('vcpus: 2', 'vcpus: two'), 0, /has errors/],
  [instance('web', '  placement: {rules: [{name: own, require: offer.provder}]}\n'), 0, /has errors/],
])('what cannot be explained is refused with the reason (%#)', async (text, line, reason) => {
  expect(await asked(text, line)).toMatchObject({ refused: expect.stringMatching(reason) });
});
