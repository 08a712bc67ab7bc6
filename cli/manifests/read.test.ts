import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Terminal } from '../terminal.ts';
import { locateIn, manifestPath } from './manifest.ts';
import { parseManifests, readManifests } from './read.ts';

const head = 'apiVersion: landfall.dev/v1\nkind: Instance\n';
const parse = (text: string) => parseManifests({ file: 'm.yaml', text }, '/');
const mistakesOf = (text: string): string => {
  try {
    parse(text);
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};

test('the example files have no field that manifests do not know', () => {
  const folder = new URL('../../examples/', import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  expect(files.length).toBeGreaterThan(5);
  for (const file of files) expect(mistakesOf(readFileSync(new URL(file, folder), 'utf8'))).toBe('');
  const page = readFileSync(new URL('../../docs/sites.md', import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)];
  expect(blocks.length).toBeGreaterThan(4);
  for (const [, text] of blocks) expect(mistakesOf(text!)).toBe('');
});

describe('places', () => {
  const [manifest] = parse(
    `${head}metadata:\n  name: web\n  labels: {a/b: x}\nspec:\n  vcpus: "2"\n  placement:\n    providers:\n      - aws\n      - amazon\n`,
  );
  const locate = locateIn(manifest!);

  test('a pointer leads to the value in the file, counted from 1', () => {
    expect(locate('/spec/vcpus')).toEqual({ place: 'm.yaml:7:10', field: 'spec.vcpus' });
    expect(locate('/spec/placement/providers/1')).toEqual({
      place: 'm.yaml:11:9',
      field: 'spec.placement.providers[1]',
    });
  });
  test('a map or list is shown at its key', () => {
    expect(locate('/spec/placement').place).toBe('m.yaml:8:3');
  });
  test('a missing field is shown at the map that lacks it', () => {
    expect(locate('/spec/memoryGiB')).toEqual({ place: 'm.yaml:6:1', field: 'spec.memoryGiB' });
  });
  test('name and labels of the request body are metadata of the manifest', () => {
    expect(locate('/name').place).toBe('m.yaml:4:9');
    expect(locate('/labels/a~1b')).toEqual({ place: 'm.yaml:5:17', field: 'metadata.labels.a/b' });
    expect(manifestPath('/publicKey')).toEqual(['spec', 'publicKey']);
  });
  test('a later document counts the lines of the whole file', () => {
    const [, second] = parse(
      `${head}metadata: {name: a}\n---\n${head}metadata: {name: b}\nspec:\n  vcpus: x\n`,
    );
    expect(locateIn(second!)('/spec/vcpus').place).toBe('m.yaml:9:10');
  });
});

describe('mistakes', () => {
  test('are all told at once, each at its place, with what was meant', () => {
    const text = `${head}metadata: {name: web, label: {}}\nspec:\n  vcpu: 1\n  placement: {provider: [aws]}\n---\napiVersion: v1\nkind: Instanc\nmetadata: {name: x}\n`;
    expect(mistakesOf(text).split('\n')).toEqual([
      'm.yaml:3:23 metadata.label: unknown field. Did you mean "labels"? Fields: name, labels, project',
      expect.stringMatching(/^m\.yaml:5:3 spec\.vcpu: unknown field\. Did you mean "vcpus"\?/),
      expect.stringMatching(
        /^m\.yaml:6:15 spec\.placement\.provider: unknown field\. Did you mean "providers"\?/,
      ),
      'm.yaml:8:13 apiVersion: must be landfall.dev/v1 (it is "v1")',
      expect.stringMatching(/^m\.yaml:9:7 kind: unknown kind "Instanc"\. Did you mean "Instance"\?/),
    ]);
  });
  test('of YAML itself have a place too', () => {
    expect(mistakesOf(`${head}metadata: {name: a\nspec: [`)).toMatch(/^m\.yaml:\d+:\d+ /);
    expect(mistakesOf(`${head}kind: Site\nmetadata: {name: a}\n`)).toMatch(
      /^m\.yaml:3:1 Map keys must be unique/,
    );
  });
  test('values that YAML reads as something other than text are told to be quoted', () => {
    expect(mistakesOf(`${head}metadata: {name: 123, labels: {on: true}}\n`)).toBe(
      'm.yaml:3:18 metadata.name: must be text; quote it ("123")\nm.yaml:3:36 metadata.labels.on: must be text; quote it ("true")',
    );
  });
  test('a name that cannot be one is told before anything is sent', () => {
    expect(mistakesOf(`${head}metadata: {name: Bad_Name}\n`)).toBe(
      'm.yaml:3:18 metadata.name: must be at most 63 lower-case letters, digits and hyphens, with a letter at its start (it is "Bad_Name")',
    );
  });
  test('an alias bomb is refused', () => {
    let text = `${head}metadata: {name: a}\nspec:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n`;
    for (let level = 1; level < 9; level++)
      text += `  a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(', ')}]\n`;
    expect(mistakesOf(text)).toMatch(/at most 100 aliases/);
  });
});

describe('sources', () => {
  const cwd = mkdtempSync(join(tmpdir(), 'landfall-manifests-'));
  const terminal = (stdin = ''): Terminal =>
    ({ cwd, stdin: Readable.from([stdin]), err: () => {} }) as unknown as Terminal;
  const site = (name: string): string =>
    `apiVersion: landfall.dev/v1\nkind: Site\nmetadata: {name: ${name}}\nspec: {provider: aws}\n`;
  mkdirSync(join(cwd, 'all/deep'), { recursive: true });
  writeFileSync(join(cwd, 'all/b.yaml'), `# a comment\n---\n${site('b')}---\n`);
  writeFileSync(join(cwd, 'all/deep/c.yml'), site('c'));
  writeFileSync(
    join(cwd, 'all/a.json'),
    '{"apiVersion": "landfall.dev/v1", "kind": "Site", "metadata": {"name": "a"}}',
  );
  writeFileSync(join(cwd, 'all/README.md'), 'not a manifest');
  writeFileSync(join(cwd, 'key.pub'), 'ssh-ed25519 AAAA me\n');

  test('a folder is read recursively, YAML and JSON, in the order of names', async () => {
    expect((await readManifests(['all'], terminal())).map(({ name, source }) => [name, source.file])).toEqual(
      [
        ['a', 'all/a.json'],
        ['b', 'all/b.yaml'],
        ['c', 'all/deep/c.yml'],
      ],
    );
  });
  test('- is standard input', async () => {
    expect(await readManifests(['-'], terminal(site('x')))).toMatchObject([{ kind: 'Site', name: 'x' }]);
  });
  test('the same thing twice is refused with both places', async () => {
    await expect(readManifests(['all', '-'], terminal(site('b')))).rejects.toThrow(
      '<stdin>:3:18 Site "b" is also at all/b.yaml:5:18',
    );
  });
  test('more than 1 MiB is refused', async () => {
    await expect(readManifests(['-'], terminal('#'.repeat(1024 * 1024 + 1)))).rejects.toThrow(
      'larger than 1 MiB',
    );
  });
  test('a file that is not there is said to be not there', async () => {
    await expect(readManifests(['nowhere.yaml'], terminal())).rejects.toThrow(
      'There is no file nowhere.yaml.',
    );
  });
  test('publicKeyFile is read relative to its manifest', async () => {
    writeFileSync(
      join(cwd, 'all/key.yaml'),
      'apiVersion: landfall.dev/v1\nkind: SshKey\nmetadata: {name: me}\nspec: {publicKeyFile: ../key.pub}\n',
    );
    const manifests = await readManifests(['all/key.yaml'], terminal());
    expect(manifests[0]?.spec).toEqual({ publicKey: 'ssh-ed25519 AAAA me' });
  });
});
