/** The files that are no policies: those known by their name, offers of tests, sites; and the form of resource files. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type {
  CodeAction,
  CompletionList,
  Diagnostic,
  DocumentSymbol,
  Hover,
  Location,
  TextEdit,
} from 'vscode-languageserver';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { parseAllDocuments } from 'yaml';
import { runTestsRequest } from './protocol.ts';
import { marked, TestClient } from './testing/client.ts';

const URI = 'file:///w/some.yaml';
const OFFER = '{provider: aws, region: eu-west-1, instanceType: m5.large, pricePerHour: 0.1}';

let client: TestClient;
beforeEach(() => {
  client = new TestClient();
});
afterEach(() => client.close());

/** Each as `line code what is underlined`, lines from 0. */
function shown(found: readonly Diagnostic[], text: string): string[] {
  const lines = text.split('\n');
  return found.map(({ range: { start, end }, code }) => {
    expect(end.line).toBe(start.line);
    return `${start.line} ${code} ${lines[start.line]!.slice(start.character, end.character)}`;
  });
}

async function offered(withMark: string, uri = URI): Promise<string[]> {
  const { text, position } = marked(withMark);
  await client.open(uri, text);
  return (await client.ask<CompletionList>('completion', uri, { position })).items.map(({ label }) => label);
}

async function formatted(text: string, uri = URI): Promise<string> {
  await client.open(uri, text);
  const edits = await client.ask<TextEdit[]>('formatting', uri, {
    options: { tabSize: 2, insertSpaces: true },
  });
  return TextDocument.applyEdits(TextDocument.create(uri, 'yaml', 1, text), edits);
}

describe('landfall.yaml', () => {
  test.each(['file:///w/landfall.yaml', 'file:///w/landfall.yml', 'file:///w/shop.landfall.yaml'])(
    '%s is known by its name, before anything is in it',
    async (uri) => {
      expect(await offered('|', uri)).toEqual(expect.arrayContaining(['apiVersion', 'kind']));
      expect(await client.diagnostics(uri)).toEqual([]);
      const text = 'kind: Site\nmetadata: {name: hall}\nspec: {provider: onprem, regions: [hall]}\n';
      await client.change(uri, text);
      expect(shown(await client.diagnostics(uri), text)).toEqual(['0 missing-field k']);
    },
  );

  test('a name that only ends alike is none of ours', async () => {
    await client.open('file:///w/my-landfall.yaml', 'kind: Site\n');
    expect(await client.diagnostics('file:///w/my-landfall.yaml')).toEqual([]);
  });
});

describe('sites', () => {
  const site = (spec: string): string =>
    `apiVersion: landfall.dev/v1\nkind: Site\nmetadata: {name: s}\nspec:\n  ${spec.replaceAll('; ', '\n  ')}\n`;

  test.each([
    ['provider: onprem', ['3 missing-field spec']],
    ['provider: onprem; regions: [a, b]', ['5 wrong-value regions']],
    ['provider: aws; regions: [eu-west-1]; project: my-project', ['6 wrong-value project']],
    ['provider: azure; regions: [westeurope]', ['3 missing-field spec']],
    [
      'provider: aws; regions: [eu-west-1]; credentials: {source: file, profile: x}',
      ['6 missing-field credentials', '6 wrong-value profile'],
    ],
    ['provider: aws; regoins: [eu-west-1]', ['5 unknown-field regoins']],
    ['provider: aws; regions: [eu-west-1]; credentials: {source: environment, prefix: AWS}', []],
  ])('%s', async (spec, wanted) => {
    const text = site(spec);
    await client.open(URI, text);
    expect(shown(await client.diagnostics(URI), text)).toEqual(wanted);
  });

  test('what is wrong is told in the words of the broker', async () => {
    await client.open(URI, site('provider: aws; regions: [eu-west-1]; overcommit: {vcpu: 2}'));
    expect((await client.diagnostics(URI)).map(({ message }) => message)).toEqual([
      'Spec.overcommit must be absent: only on-prem hosts are overcommitted.',
    ]);
  });
});

describe('a file of offers', () => {
  const text = `# Offers of tests.\n- ${OFFER}\n- provider: aws\n  regoin: eu-west-1\n  instanceType: m5.large\n  vcpus: two\n  pricePerHour: 0.1\n`;

  test('is known by its fields, and read as tests read it', async () => {
    await client.open(URI, text);
    const found = await client.diagnostics(URI);
    expect(shown(found, text)).toEqual([
      '2 missing-field provider',
      '3 unknown-field regoin',
      '5 wrong-type two',
    ]);
    expect(found[1]).toMatchObject({
      severity: 1,
      source: 'landfall',
      message: "Unknown field 'regoin'. Did you mean region?",
    });
    const diagnostics = [found[1]];
    const fixes = await client.ask<CodeAction[]>('codeAction', URI, {
      range: found[1]!.range,
      context: { diagnostics },
    });
    expect(fixes.map(({ title }) => title)).toEqual(['Change to region', 'Remove regoin']);
    await client.change(URI, text.replace('regoin', 'region').replace('two', '2'));
    expect(await client.diagnostics(URI)).toEqual([]);
  });

  test('follows the typing where the YAML is broken for a while', async () => {
    await client.open(URI, `- ${OFFER}\n- {provider: aws\n`);
    expect((await client.diagnostics(URI)).map(({ code }) => code)).toContain('yaml-syntax');
    await client.change(URI, `- ${OFFER}\n`);
    expect(await client.diagnostics(URI)).toEqual([]);
  });

  test('completes fields with what they are for, and names that there are', async () => {
    const { text: inside, position } = marked(`- ${OFFER}\n- provider: aws\n  |\n`);
    await client.open(URI, inside);
    const { items } = await client.ask<CompletionList>('completion', URI, { position });
    expect(items.map(({ label }) => label)).toEqual(
      expect.arrayContaining(['region', 'instanceType', 'carbon', 'gpuName']),
    );
    expect(items.find(({ label }) => label === 'carbon')?.documentation).toMatch(/CO2/);
    expect(await offered(`- ${OFFER}\n- {provider: aws, instanceType: t4g.med|}\n`)).toEqual(['t4g.medium']);
    expect(await offered(`- ${OFFER}\n- {provider: |}\n`)).toEqual(['aws', 'azure', 'gcp', 'onprem']);
  });

  test('tells of a field', async () => {
    const { text: inside, position } = marked(`- ${OFFER.replace('{', '{carb|on: 20, ')}\n`);
    await client.open(URI, inside);
    const { contents } = await client.ask<Hover>('hover', URI, { position });
    expect((contents as { value: string }).value).toMatch(/CO2/);
  });

  test('is listed in the outline, and put into one form', async () => {
    const loose = `-   provider: aws\n    region: eu-west-1   # Ireland\n    instanceType: m5.large\n    pricePerHour: 0.1\n- { provider: gcp, region: us-east1, instanceType: e2-small, pricePerHour: 0.02 }\n`;
    expect(await formatted(loose)).toBe(
      `- provider: aws\n  region: eu-west-1 # Ireland\n  instanceType: m5.large\n  pricePerHour: 0.1\n- {provider: gcp, region: us-east1, instanceType: e2-small, pricePerHour: 0.02}\n`,
    );
    const found = await client.ask<DocumentSymbol[]>('documentSymbol', URI);
    expect(found.map(({ name, detail }) => `${name}: ${detail}`)).toEqual([
      'm5.large in eu-west-1: aws, 0.1 USD/h',
      'e2-small in us-east1: gcp, 0.02 USD/h',
    ]);
  });

  test('a list of another tool is left alone', async () => {
    await client.open(URI, '- hosts: all\n  tasks: x\n');
    expect(await client.diagnostics(URI)).toEqual([]);
  });
});

describe('offers, estates and requests in a policy', () => {
  const policy = (test: string): string =>
    `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n  rules:\n  - {name: a, deny: offer.burstable}\ntests:\n- name: t\n${test}  expect: {unplaceable: false}\n`;

  test('are read field by field, with what was meant', async () => {
    const text = policy(
      `  request: {dataClas: x, vcpus: two}\n  offers:\n  - ${OFFER.replace('region', 'regoin')}\n  estate: [{name: db, provder: aws, region: eu-west-1}]\n`,
    );
    await client.open(URI, text);
    const found = await client.diagnostics(URI);
    expect(shown(found, text)).toEqual([
      '8 unknown-field dataClas',
      '8 wrong-type two',
      '10 missing-field {',
      '10 unknown-field regoin',
      '11 missing-field {',
      '11 unknown-field provder',
    ]);
    expect(found.flatMap(({ data }) => (data as { suggestion?: string }).suggestion ?? [])).toEqual([
      'dataClass',
      'region',
      'provider',
    ]);
  });

  test.each([
    ['  request:\n    |\n', ['dataClass', 'vcpus', 'labels']],
    ['  offers:\n  - provider: aws\n    |\n', ['region', 'instanceType', 'pricePerHour']],
    ['  estate:\n  - name: db\n    |\n', ['provider', 'region', 'ageHours']],
    ['  estate:\n  - {name: db, region: eu-cen|}\n', ['eu-central-1']],
  ])('are completed: %j', async (test, wanted) => {
    expect(await offered(policy(test))).toEqual(expect.arrayContaining(wanted));
  });
});

describe('a policy and its file of offers', () => {
  let folder: string;
  const uriOf = (name: string): string => pathToFileURL(join(folder, name)).href;
  const policy = (offers: string): string =>
    `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n  rules:\n  - {name: a, deny: offer.burstable}\ntests:\n- {name: t, offers: ${offers}, expect: {unplaceable: false}}\n`;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'landfall-offers-'));
    mkdirSync(join(folder, 'fixtures'));
    writeFileSync(join(folder, 'fixtures/eu.yaml'), `- ${OFFER}\n`);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('a file that is not there is told, with the one that is meant', async () => {
    const text = policy('fixtures/ue.yaml');
    await client.open(uriOf('p.yaml'), text);
    const found = await client.diagnostics(uriOf('p.yaml'), (all) => all.length > 0);
    expect(shown(found, text)).toEqual(['7 missing-file fixtures/ue.yaml']);
    expect(found[0]!.data).toMatchObject({ suggestion: 'fixtures/eu.yaml' });
  });

  test('the test leads to the file', async () => {
    const { text, position } = marked(policy('fixtures/e|u.yaml'));
    await client.open(uriOf('p.yaml'), text);
    expect(await client.ask<Location[]>('definition', uriOf('p.yaml'), { position })).toMatchObject([
      { uri: uriOf('fixtures/eu.yaml') },
    ]);
  });

  test('a list is offers from when a test names it', async () => {
    const fixture = uriOf('fixtures/new.yaml');
    const text = '- {provider: aws, region: eu-west-1}\n';
    await client.open(fixture, text);
    expect(await client.diagnostics(fixture)).toEqual([]);
    await client.open(uriOf('p.yaml'), policy('fixtures/new.yaml'));
    const found = await client.diagnostics(fixture, (all) => all.length > 0);
    expect(found.map(({ code }) => code)).toEqual(['missing-field', 'missing-field']);
  });
});

describe('a request and machines that tests name in files of their own', () => {
  let folder: string;
  const uriOf = (name: string): string => pathToFileURL(join(folder, name)).href;
  const policy = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: p}
spec:
  rules:
  - {name: one, when: request.labels.env == "prod", quota: {group: project, resource: instances, limit: 1}}
tests:
- {name: t, request: request.yaml, estate: estate.yaml, expect: {rejectedBy: [one]}}
`;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'landfall-fixtures-'));
    writeFileSync(join(folder, 'request.yaml'), 'labels: {env: test}\n');
    writeFileSync(join(folder, 'estate.yaml'), '- {name: a, provider: aws, region: r}\n');
    await client.open(uriOf('p.yaml'), policy);
    await client.diagnostics(uriOf('p.yaml'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('are read as the test would, with mistakes where they stand and what was meant', async () => {
    await client.open(uriOf('request.yaml'), 'vcpus: two\nregoins: []\n');
    expect(shown(await client.diagnostics(uriOf('request.yaml')), 'vcpus: two\nregoins: []\n')).toEqual([
      '0 wrong-type two',
      '1 unknown-field regoins',
    ]);
    await client.open(uriOf('estate.yaml'), '- {name: a, provider: aws}\n');
    expect((await client.diagnostics(uriOf('estate.yaml'))).map(({ code }) => code)).toEqual([
      'missing-field',
    ]);
  });

  test('complete their fields, and the names that there are', async () => {
    const opened = new Set<string>();
    const completed = async (name: string, text: string): Promise<string[]> => {
      const { text: inside, position } = marked(text);
      if (opened.has(name)) await client.change(uriOf(name), inside);
      else await client.open(uriOf(name), inside);
      opened.add(name);
      const { items } = await client.ask<CompletionList>('completion', uriOf(name), { position });
      return items.map(({ label }) => label);
    };
    expect(await completed('request.yaml', 'vcpus: 2\n|\n')).toEqual(
      expect.arrayContaining(['memoryGiB', 'dataClass', 'labels']),
    );
    expect(await completed('request.yaml', 'regions: [eu-central-|]\n')).toContain('eu-central-1');
    expect(await completed('estate.yaml', '- {name: a, provider: |}\n')).toEqual([
      'aws',
      'azure',
      'gcp',
      'onprem',
    ]);
  });

  test('are where the test leads to, and in the outline', async () => {
    const position = { line: 7, character: policy.split('\n')[7]!.indexOf('estate.yaml') + 2 };
    expect(await client.ask<Location[]>('definition', uriOf('p.yaml'), { position })).toMatchObject([
      { uri: uriOf('estate.yaml') },
    ]);
    await client.open(uriOf('estate.yaml'), '- {name: a, provider: aws, region: r}\n');
    const found = await client.ask<DocumentSymbol[]>('documentSymbol', uriOf('estate.yaml'));
    expect(found.map(({ name, detail }) => `${name}: ${detail}`)).toEqual(['a: aws r']);
  });

  test('are run as the editor has them, saved or not', async () => {
    const passed = async () => {
      const { outcomes } = await client.connection.sendRequest(runTestsRequest, { uri: uriOf('p.yaml') });
      return outcomes.map((outcome) => [outcome.passed, outcome.fixtures]);
    };
    const fixtures = [uriOf('request.yaml'), uriOf('estate.yaml')];
    expect(await passed()).toEqual([[false, fixtures]]);
    await client.open(uriOf('request.yaml'), 'labels: {env: prod}\n');
    expect(await passed()).toEqual([[true, fixtures]]);
  });
});

describe('resource files are put into one form', () => {
  const examples = new URL('../../examples/', import.meta.url);
  const files = readdirSync(examples).filter((file) => file.endsWith('.yaml'));

  test('fields come in the order of their kind, with their comments', async () => {
    expect(
      await formatted(`kind:   Network
apiVersion: landfall.dev/v1
# Whose it is.
metadata: { labels: {a: b}, name: shop }
spec:
    # Sixteen bits.
    cidr: 10.0.0.0/16
    site: hall
`),
    ).toBe(`apiVersion: landfall.dev/v1
kind: Network
# Whose it is.
metadata: {name: shop, labels: {a: b}}
spec:
  site: hall
  # Sixteen bits.
  cidr: 10.0.0.0/16
`);
  });

  test('what is no YAML, and what is nothing, stays as it is', async () => {
    const broken = '---\napiVersion: landfall.dev/v1\nkind:  Network\nmetadata: [\n---\n# Nothing.\n---\n';
    expect(await formatted(broken)).toBe(broken);
  });

  test.each(files)('%s means the same, with the same comments, and is then left alone', async (file) => {
    const text = readFileSync(new URL(file, examples), 'utf8');
    const once = await formatted(text);
    const values = (of: string): unknown[] => parseAllDocuments(of).map((document) => document.toJS());
    expect(values(once)).toEqual(values(text));
    expect(once.match(/#.*/g)).toEqual(text.match(/#.*/g));
    expect(await formatted(once, 'file:///w/again.yaml')).toBe(once);
  });
});
