import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Diagnostic } from 'vscode-languageserver';
import { TestClient } from './testing/client.ts';

const URI = 'file:///w/policy.yaml';
const HEAD = 'apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n  rules:\n';

let client: TestClient;
beforeEach(() => {
  client = new TestClient();
});
afterEach(() => client.close());

/** Each as `line:from-to code`, lines and characters from 0, with what is underlined. */
function shown(found: readonly Diagnostic[], text: string): string[] {
  const lines = text.split('\n');
  return found.map(({ range: { start, end }, code }) => {
    expect(end.line).toBe(start.line);
    return `${start.line} ${code} ${lines[start.line]!.slice(start.character, end.character)}`;
  });
}

test('a misspelt attribute is underlined where it stands, with what was meant', async () => {
  const text = `${HEAD}  - name: residency\n    require: offer.provider == "aws" && offer.jurisdicton == "EU"\n`;
  await client.open(URI, text);
  const found = await client.diagnostics(URI);
  expect(shown(found, text)).toEqual(['6 unknown-attribute jurisdicton']);
  expect(found[0]).toMatchObject({
    severity: 1,
    source: 'landfall',
    message: "'jurisdicton' is not a known attribute of offer. Did you mean offer.jurisdiction?",
    data: { suggestion: 'offer.jurisdiction' },
  });
});

test('diagnostics follow the typing, and are gone when all is well', async () => {
  await client.open(URI, `${HEAD}  - {name: a, deny: offer.burstabel}\n`);
  expect(await client.diagnostics(URI)).toHaveLength(1);
  await client.change(URI, `${HEAD}  - {name: a, deny: offer.burstable}\n`);
  expect(await client.diagnostics(URI)).toEqual([]);
});

test('doubts come once the typing pauses, beside the errors', async () => {
  const text = `${HEAD}  - {name: a, require: offer.vcpus > 4 && offer.vcpus < 2}\n  - {name: b, require: offer.region == "eu-centrall-1"}\n`;
  await client.open(URI, text);
  expect(await client.diagnostics(URI)).toEqual([]);
  const found = await client.diagnostics(URI, (all) => all.length > 0);
  expect(found.map(({ code, severity }) => [code, severity])).toEqual([
    ['never-holds', 2],
    ['unknown-value', 2],
  ]);
});

test('a rule with an error does not keep the others from being thought through', async () => {
  const text = `${HEAD}  - {name: a, require: offer.vcpus > 4 && offer.vcpus < 2}\n  - {name: b, deny: offer.burstabel}\n`;
  await client.open(URI, text);
  const found = await client.diagnostics(URI, (all) => all.length > 1);
  expect(found.map(({ code }) => code)).toEqual(['unknown-attribute', 'never-holds']);
});

test('doubts stay while more is typed on the same lines, so that they do not flicker', async () => {
  const text = `${HEAD}  - {name: a, require: offer.vcpus > 4 && offer.vcpus < 2}\n`;
  await client.open(URI, text);
  await client.diagnostics(URI, (all) => all.length > 0);
  await client.change(URI, text.replace('< 2', '< 21'));
  expect((await client.diagnostics(URI)).map(({ code }) => code)).toEqual(['never-holds']);
  expect(await client.diagnostics(URI, (all) => all.length === 0)).toEqual([]);
});

test('a file of another tool is left alone', async () => {
  await client.open(URI, 'apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: x}\n');
  expect(await client.diagnostics(URI)).toEqual([]);
});

test('a file that stops being ours loses its diagnostics', async () => {
  await client.open(URI, `${HEAD}  - {name: a}\n`);
  expect(await client.diagnostics(URI)).toHaveLength(1);
  await client.change(URI, 'a: b\n');
  expect(await client.diagnostics(URI)).toEqual([]);
});

test('resources are held against the schema of their kind, each document by itself', async () => {
  const text = `apiVersion: landfall.dev/v1
kind: Instance
metadata: {name: web}
spec:
  image: debian-12
  vcpu: 2
  memoryGiB: 4
  architecture: arm46
---
apiVersion: landfall.dev/v1
kind: Volume
metadata: {name: data}
spec: {sizeGiB: big}
---
apiVersion: landfall.dev/v1
kind: Instnce
metadata: {name: x}
`;
  await client.open(URI, text);
  const found = await client.diagnostics(URI);
  expect(shown(found, text).sort()).toEqual([
    '12 wrong-type big',
    '15 unknown-kind Instnce',
    '3 missing-field spec',
    '5 unknown-field vcpu',
    '7 wrong-value arm46',
  ]);
  expect(found.every(({ severity }) => severity === 1)).toBe(true);
  const suggestions = found.map(({ data }) => (data as { suggestion?: string }).suggestion);
  expect(suggestions).toEqual(expect.arrayContaining(['vcpus', 'arm64', 'Instance']));
});

test('rules that an instance brings are read as placement reads them', async () => {
  const text = `apiVersion: landfall.dev/v1
kind: Instance
metadata: {name: web}
spec:
  image: debian-12
  vcpus: 2
  memoryGiB: 4
  placement:
    rules:
    - name: green
      require: offer.carbn < 100.0
    - name: spend
      budget: {group: project, per: month, limit: 5 USD}
`;
  await client.open(URI, text);
  expect(shown(await client.diagnostics(URI), text)).toEqual([
    '10 unknown-attribute offer.carbn < 100.0',
    '12 unknown-field budget',
    '11 rule-effect name: spend',
  ]);
});

test('a field without a name is told where it is', async () => {
  const text = 'apiVersion: landfall.dev/v1\nkind: Project\nmetadata: {name: shop}\nspec:\n  : x\n';
  await client.open(URI, text);
  expect(shown(await client.diagnostics(URI), text)).toEqual(['4 yaml-syntax x']);
});

test('one name twice in a file is told', async () => {
  const key = 'apiVersion: landfall.dev/v1\nkind: Project\nmetadata: {name: shop}\n';
  await client.open(URI, `${key}---\n${key}`);
  expect(await client.diagnostics(URI)).toMatchObject([
    {
      code: 'duplicate-name',
      message: 'Project "shop" is already on line 3.',
      range: { start: { line: 6 } },
    },
  ]);
});

test.each([
  'examples/fleet.yaml',
  'examples/four-clouds.yaml',
  'examples/aws-site.yaml',
  'examples/debian.yaml',
  'examples/policies/limits.yaml',
  'examples/policies/near-and-green.yaml',
])('%s is sound', async (path) => {
  await client.open(URI, readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'));
  expect(await client.diagnostics(URI)).toEqual([]);
});

test('a policy that another file of the workspace has, too, is told with its place', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'landfall-language-'));
  try {
    const text = `${HEAD}  - {name: a, require: offer.vcpus > 1}\n`;
    writeFileSync(join(folder, 'one.yaml'), text);
    const [mine, other] = ['two.yaml', 'one.yaml'].map((name) => pathToFileURL(join(folder, name)).href);
    const workspaceFolders = [{ uri: pathToFileURL(folder).href, name: 'w' }];
    const inFolder = new TestClient(undefined, { workspaceFolders });
    await inFolder.open(mine!, text);
    const found = await inFolder.diagnostics(mine!, (all) => all.length > 0);
    expect(found).toMatchObject([
      { code: 'duplicate-policy', severity: 2, relatedInformation: [{ location: { uri: other } }] },
    ]);
    await inFolder.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
