import type {
  CompletionList,
  DocumentSymbol,
  FoldingRange,
  Hover,
  Location,
  SemanticTokens,
  SignatureHelp,
  TextEdit,
  WorkspaceEdit,
} from 'vscode-languageserver';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { estateNotification } from './protocol.ts';
import { tokensLegend } from './semantic-tokens.ts';
import { marked, TestClient } from './testing/client.ts';

const URI = 'file:///w/policy.yaml';
const HEAD = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: p}
spec:
  variables:
    inEu: offer.jurisdiction == "EU"
    monthly: offer.pricePerHour * 730.0
  rules:
`;
const INSTANCE = `apiVersion: landfall.dev/v1
kind: Instance
metadata: {name: web, labels: {team: shop}}
spec:
`;

let client: TestClient;
beforeEach(() => {
  client = new TestClient();
});
afterEach(() => client.close());

/** Labels offered at `|`. */
async function offered(text: string): Promise<string[]> {
  return (await list(text)).items.map(({ label }) => label);
}

async function list(withMark: string): Promise<CompletionList> {
  const { text, position } = marked(withMark);
  await client.open(URI, text);
  return client.ask<CompletionList>('completion', URI, { position });
}

describe('completion', () => {
  test('offers the keys of a rule with what they are for', async () => {
    const { items } = await list(`${HEAD}  - name: a\n    |\n  - {name: b, deny: offer.burstable}\n`);
    const labels = items.map(({ label }) => label);
    expect(labels).toEqual(expect.arrayContaining(['require', 'when', 'spread', 'onViolation']));
    expect(labels).not.toContain('name');
    expect(items.find(({ label }) => label === 'when')?.documentation).toMatch(/where the rule has a say/);
  });

  test('offers the words a field may have', async () => {
    expect(await offered(`${HEAD}  - name: a\n    require: "true"\n    onViolation: |\n`)).toEqual([
      'report',
      'approve',
      'replace',
      'stop',
    ]);
  });

  test.each([
    ['attributes of the offer', 'require: offer.|', 'jurisdiction', 'dataClass'],
    ['attributes of the request', 'require: request.|', 'dataClass', 'jurisdiction'],
    [
      'attributes inside a longer expression',
      'require: offer.vcpus > 2 && offer.pri|',
      'pricePerHour',
      'region',
    ],
    ['variables', 'require: variables.|', 'monthly', 'region'],
    ['roots and functions', 'require: |', 'has', 'startsWith'],
    ['regions that there are', 'require: offer.region == "|', 'eu-central-1', 'offer'],
    ['regions in a list', 'require: offer.region in ["eu-central-1", "eu-n|', 'eu-north-1', 'us-east-1'],
    ['instance types', 'require: offer.instanceType == "m7g.l|', 'm7g.large', 'm7g.xlarge'],
    ['markets', 'deny: request.market == "|', 'any', 'x86_64'],
    ['jurisdictions', 'require: offer.jurisdiction == |', '"EU"', '"aws"'],
    ['methods of a text', 'require: offer.region.|', 'startsWith', 'all'],
    ['methods of a list', 'require: request.regions.|', 'exists', 'startsWith'],
    ['rules in exceptions', 'deny: offer.burstable\n  exceptions:\n  - rule: |', 'a', 'require'],
  ])('offers %s', async (_what, field, wanted, unwanted) => {
    const labels = await offered(`${HEAD}  - name: a\n    ${field}\n`);
    expect(labels).toContain(wanted);
    expect(labels).not.toContain(unwanted);
  });

  test('offers no offer where only the request is known', async () => {
    const labels = await offered(
      `${HEAD.replace('  variables:', '  match: |\n  variables:')}  - {name: a, deny: offer.burstable}\n`,
    );
    expect(labels).toContain('request');
    expect(labels).not.toContain('offer');
  });

  test('puts the value in the place of what is typed of it, and nothing else', async () => {
    const { text, position } = marked(`${HEAD}  - name: a\n    require: offer.region == "eu-nor|"\n`);
    await client.open(URI, text);
    const found = await client.ask<CompletionList>('completion', URI, { position });
    const edit = found.items.find(({ label }) => label === 'eu-north-1')!.textEdit as TextEdit;
    const document = TextDocument.create(URI, 'yaml', 1, text);
    expect(TextDocument.applyEdits(document, [edit])).toContain('offer.region == "eu-north-1"\n');
  });

  test("offers the estate's names when the client is connected, and its labels", async () => {
    await client.initialized;
    const estate = {
      connected: true,
      regions: ['hall-1'],
      sites: ['hall'],
      labels: { env: ['prod', 'test'] },
    };
    await client.connection.sendNotification(estateNotification, estate);
    expect(await offered(`${HEAD}  - name: a\n    require: offer.region == "hall|\n`)).toEqual(['hall-1']);
    // Where no site is yet, too.
    expect(await offered(`${HEAD}  - name: a\n    require: offer.region == "|\n`)).toContain('eu-central-1');
    expect(await offered(`${HEAD}  - name: a\n    require: offer.site == "|\n`)).toEqual(['hall']);
    expect(await offered(`${HEAD}  - name: a\n    when: request.labels.|\n`)).toContain('env');
    expect(await offered(`${HEAD}  - name: a\n    when: request.labels.env == "|\n`)).toEqual([
      'prod',
      'test',
    ]);
  });

  test('offers fields, words and names of resources', async () => {
    expect(await offered(`${INSTANCE}  image: debian-12\n  |\n`)).toEqual(
      expect.arrayContaining(['vcpus', 'placement']),
    );
    expect(await offered(`${INSTANCE}  architecture: |\n`)).toEqual(['x86_64', 'arm64']);
    expect(await offered(`${INSTANCE}  placement:\n    regions: [eu-cen|]\n`)).toEqual([
      'eu-central-1',
      'eu-central-2',
    ]);
    expect(await offered(`${INSTANCE}  instanceType: t4g.med|\n`)).toEqual(['t4g.medium']);
    expect(
      await offered(`${INSTANCE}  placement:\n    rules:\n    - name: a\n      require: offer.juris|\n`),
    ).toEqual(['jurisdiction']);
  });

  test('offers the kinds of documents', async () => {
    expect(await offered('apiVersion: landfall.dev/v1\nkind: |\n')).toEqual(
      expect.arrayContaining(['Instance', 'PlacementPolicy', 'Volume']),
    );
  });
});

describe('hover', () => {
  async function shown(withMark: string): Promise<string> {
    const { text, position } = marked(withMark);
    await client.open(URI, text);
    const found = await client.ask<Hover | null>('hover', URI, { position });
    return (found?.contents as { value: string } | undefined)?.value ?? '';
  }

  test.each([
    [
      'an attribute',
      'require: offer.juris|diction == "EU"',
      /offer\.jurisdiction: string[\s\S]*Missing where the region is not listed[\s\S]*"EU"/,
    ],
    [
      'a variable',
      'require: variables.mon|thly < 5.0',
      /variables\.monthly: double[\s\S]*offer\.pricePerHour \* 730\.0/,
    ],
    [
      'a function',
      'require: offer.region.starts|With("eu-")',
      /string\.startsWith\(prefix\): bool[\s\S]*begins so/,
    ],
    ['a root', 'require: off|er.burstable', /A place that the machine may land/],
    [
      'an instance type',
      'require: offer.instanceType == "t4g.m|edium"',
      /aws · 2 vCPUs · 4 GiB · arm64 · from \$0\.0/,
    ],
    ['a region', 'require: offer.region == "eu-|central-1"', /aws · EU/],
    ['a field', 'requ|ire: offer.burstable', /what must be true/],
  ])('tells of %s', async (_what, field, wanted) => {
    expect(await shown(`${HEAD}  - name: a\n    ${field}\n`)).toMatch(wanted);
  });

  test('tells what a rule does where a test names it', async () => {
    const text = `${HEAD}  - {name: no-burst, deny: offer.burstable}\ntests:\n- name: t\n  expect: {rejectedBy: [no-|burst]}\n`;
    expect(await shown(text)).toMatch(/no-burst[\s\S]*Refuses an offer if/);
  });

  test('tells of a field of a resource', async () => {
    expect(await shown(`${INSTANCE}  ttl|: 5h\n`)).toMatch(/Deleted by itself/);
  });
});

test('signature help follows the arguments of the innermost call', async () => {
  const { text, position } = marked(
    `${HEAD}  - name: a\n    require: request.regions.exists(r, r.startsWith("eu-"|\n`,
  );
  await client.open(URI, text);
  const inner = await client.ask<SignatureHelp>('signatureHelp', URI, { position });
  expect(inner).toMatchObject({
    signatures: [{ label: 'string.startsWith(prefix): bool' }],
    activeParameter: 0,
  });
  const outer = await client.ask<SignatureHelp>('signatureHelp', URI, {
    position: { ...position, character: text.split('\n')[position.line]!.indexOf('r.startsWith') },
  });
  expect(outer).toMatchObject({
    signatures: [{ label: 'list or map.exists(x, condition): bool' }],
    activeParameter: 1,
  });
});

const NAVIGATED = `${HEAD}  - name: residency
    require: variables.inEu && "variables.inEu" != ""
    overridable: true
  - name: cheap
    when: variables.inEu
    require: variables.monthly < 100.0
tests:
- name: t
  expect: {rejectedBy: ["residency"]}
---
apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: q, scope: projects/shop}
spec:
  variables:
    inEu: offer.jurisdiction == "DE"
  rules:
  - {name: residency, require: variables.inEu, override: true}
---
apiVersion: landfall.dev/v1
kind: Network
metadata: {name: shop}
spec: {site: hall, cidr: 10.0.0.0/16}
---
apiVersion: landfall.dev/v1
kind: Firewall
metadata: {name: fw}
spec: {network: shop, rules: []}
`;

/** Where a text begins, the nth time. */
function place(of: string, nth = 1, text = NAVIGATED): { line: number; character: number } {
  let at = -1;
  for (let i = 0; i < nth; i++) at = text.indexOf(of, at + 1);
  const before = text.slice(0, at).split('\n');
  return { line: before.length - 1, character: before.at(-1)!.length };
}

test.each([
  ['a variable, of its own policy only', place('inEu &&'), [place('inEu:')], 3],
  ['a rule, with its override', place('residency"]'), [place('residency\n'), place('residency, require')], 3],
  ['a resource', place('shop, rules'), [place('shop}\nspec: {site')], 2],
])('definition and references of %s', async (_what, position, definitions, references) => {
  await client.open(URI, NAVIGATED);
  const found = await client.ask<Location[]>('definition', URI, { position });
  expect(found.map(({ range }) => range.start)).toEqual(definitions);
  const all = await client.ask<Location[]>('references', URI, {
    position,
    context: { includeDeclaration: true },
  });
  expect(all).toHaveLength(references);
});

test('a rename changes every place, and no text that only looks like one', async () => {
  await client.open(URI, NAVIGATED);
  const position = place('inEu:');
  const { changes } = await client.ask<WorkspaceEdit>('rename', URI, { position, newName: 'inUnion' });
  const renamed = TextDocument.applyEdits(TextDocument.create(URI, 'yaml', 1, NAVIGATED), changes![URI]!);
  expect(renamed).toBe(
    NAVIGATED.replace('inEu: offer.jurisdiction == "EU"', 'inUnion: offer.jurisdiction == "EU"')
      .replace('require: variables.inEu &&', 'require: variables.inUnion &&')
      .replace('when: variables.inEu', 'when: variables.inUnion'),
  );
  await expect(client.ask('rename', URI, { position, newName: 'in-union' })).rejects.toThrow(
    /letters, digits and _/,
  );
});

test('the outline has policies with their variables, rules and tests, and resources', async () => {
  await client.open(URI, NAVIGATED);
  const found = await client.ask<DocumentSymbol[]>('documentSymbol', URI);
  expect(found.map(({ name, detail }) => `${detail} ${name}`)).toEqual([
    'PlacementPolicy p',
    'PlacementPolicy q',
    'Network shop',
    'Firewall fw',
  ]);
  expect(found[0]!.children!.map(({ name, detail }) => `${name}: ${detail}`)).toEqual([
    'inEu: bool',
    'monthly: double',
    'residency: require',
    'cheap: require',
    't: test',
  ]);
});

test('rules can be folded', async () => {
  await client.open(URI, NAVIGATED);
  const found = await client.ask<FoldingRange[]>('foldingRange', URI);
  const { line } = place('- name: residency');
  expect(found).toContainEqual(expect.objectContaining({ startLine: line, endLine: line + 2 }));
});

test('formatting gives policies the one form, and the documents beside them too', async () => {
  const other =
    '---\napiVersion: landfall.dev/v1\nkind:   Network\nmetadata: {name: shop}\nspec: {cidr: 10.0.0.0/16}\n';
  const text = `${HEAD}  - deny: offer.burstable # why\n    name: a\n${other}`;
  await client.open(URI, text);
  const edits = await client.ask<TextEdit[]>('formatting', URI, {
    options: { tabSize: 2, insertSpaces: true },
  });
  const formatted = TextDocument.applyEdits(TextDocument.create(URI, 'yaml', 1, text), edits);
  expect(formatted).toBe(
    `${HEAD}  - name: a\n    deny: offer.burstable # why\n${other.replace('kind:   ', 'kind: ')}`,
  );
  await client.change(URI, formatted);
  expect(await client.ask('formatting', URI, { options: { tabSize: 2, insertSpaces: true } })).toEqual([]);
});

test('CEL is coloured by what its words are', async () => {
  const text = `${HEAD}  - name: a\n    require: has(offer.zone) && offer.vcpus in [2, 4]\n    message: no CEL in here\n`;
  await client.open(URI, text);
  const { data } = await client.ask<SemanticTokens>('semanticTokens/full', URI);
  const lines = text.split('\n');
  const found: string[] = [];
  for (let i = 0, line = 0, character = 0; i < data.length; i += 5) {
    character = data[i]! > 0 ? data[i + 1]! : character + data[i + 1]!;
    line += data[i]!;
    found.push(
      `${lines[line]!.slice(character, character + data[i + 2]!)} ${tokensLegend.tokenTypes[data[i + 3]!]}`,
    );
  }
  expect(found.slice(-10)).toEqual([
    '730.0 number',
    'has function',
    'offer namespace',
    'zone property',
    '&& operator',
    'offer namespace',
    'vcpus property',
    'in keyword',
    '2 number',
    '4 number',
  ]);
});
