import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type RuleName, type RulePlace, rulePlaceRequest } from './protocol.ts';
import { TestClient } from './testing/client.ts';

const policy = (rules: string[], scope = ''): string =>
  `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: eu${scope}}\nspec:\n  rules:\n${rules.map((name) => `  - {name: ${name}, deny: offer.burstable}\n`).join('')}`;
const INSTANCE = `apiVersion: landfall.dev/v1
kind: Instance
metadata: {name: web}
spec:
  image: debian-12
  vcpus: 1
  memoryGiB: 1
  placement:
    rules:
    - {name: own, maxPrice: 1 USD/h}
`;

let folder: string;
let client: TestClient;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'landfall-rules-'));
  writeFileSync(join(folder, 'eu.yaml'), `---\n${policy(['first', 'residency'])}`);
  writeFileSync(join(folder, 'web.yaml'), INSTANCE);
  client = new TestClient(undefined, {
    workspaceFolders: [{ uri: pathToFileURL(folder).href, name: 'w' }],
  });
});
afterEach(async () => {
  await client.close();
  rmSync(folder, { recursive: true });
});

const uriOf = (name: string): string => pathToFileURL(join(folder, name)).href;

async function place(named: Partial<RuleName>): Promise<RulePlace | null> {
  await client.initialized;
  return client.connection.sendRequest(rulePlaceRequest, { policy: 'eu', rule: 'residency', ...named });
}

test('a rule is found by its names in a file that is not open, also when the broker told of it', async () => {
  const there = { uri: uriOf('eu.yaml'), line: 8 };
  expect(await place({})).toEqual(there);
  expect(await place({ stored: policy(['residency']) })).toEqual(there);
});

test('its line is that of the text as the editor has it, errors elsewhere in it or not', async () => {
  await client.open(uriOf('eu.yaml'), `# Of the board.\n---\n${policy(['wrong: x', 'residency'])}`);
  expect(await place({})).toEqual({ uri: uriOf('eu.yaml'), line: 9 });
});

test('a policy of another scope is another policy: the rule is where the broker keeps it', async () => {
  expect(await place({ stored: policy(['residency'], ', scope: projects/shop') })).toEqual({ line: 6 });
  writeFileSync(join(folder, 'shop.yaml'), policy(['a', 'b', 'residency'], ', scope: projects/shop'));
  await client.connection.sendNotification('workspace/didChangeWatchedFiles', {
    changes: [{ uri: uriOf('shop.yaml'), type: 1 }],
  });
  expect(await place({ stored: policy(['residency'], ', scope: projects/shop') })).toEqual({
    uri: uriOf('shop.yaml'),
    line: 8,
  });
});

test('of two files with it the one that was asked about has the line', async () => {
  writeFileSync(join(folder, 'copy.yaml'), policy(['residency']));
  expect(await place({ uri: uriOf('copy.yaml') })).toEqual({ uri: uriOf('copy.yaml'), line: 6 });
});

test('a rule that only the broker has is a line of what it keeps; one that it has no more is its policy', async () => {
  expect(
    await place({ policy: 'cap', stored: policy(['residency']).replace('name: eu', 'name: cap') }),
  ).toEqual({
    line: 6,
  });
  expect(await place({ rule: 'gone', stored: policy(['residency']) })).toEqual({ line: 1 });
  expect(await place({ rule: 'gone' })).toBeNull();
});

test('a rule that came with an instance is found in its document', async () => {
  const own = { policy: 'request', rule: 'own' };
  expect(await place({ ...own, subject: 'instance/web' })).toEqual({ uri: uriOf('web.yaml'), line: 10 });
  expect(await place({ ...own, subject: 'instance/other' })).toBeNull();
});
