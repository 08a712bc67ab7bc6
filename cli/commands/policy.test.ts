import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FakeBroker } from '../fake/broker.ts';
import { FakeHome } from '../fake/terminal.ts';

let home: FakeHome;
beforeEach(() => {
  home = new FakeHome();
});
afterEach(() => home.remove());

const save = (name: string, text: string): void => writeFileSync(join(home.folder, name), text);
const saved = (name: string): string => readFileSync(join(home.folder, name), 'utf8');

const POLICY = `kind: PlacementPolicy
apiVersion: landfall.dev/v1
metadata: {name: cheap}
spec:
  rules:
  - {require: offer.price < 0.5, name: cap}   # dear
`;
const FORMATTED = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: cheap}
spec:
  rules:
  - {name: cap, require: offer.price < 0.5} # dear
`;

describe('policy fmt', () => {
  test('prints one form, names what is not in it, and writes it', async () => {
    save('p.yaml', POLICY);
    save('q.yaml', FORMATTED);
    expect(await home.run('policy fmt -f p.yaml')).toMatchObject({ code: 0, out: FORMATTED });
    expect(saved('p.yaml')).toBe(POLICY);
    expect(await home.run('policy fmt --check -f p.yaml -f q.yaml')).toMatchObject({
      code: 1,
      out: 'p.yaml\n',
    });
    expect(await home.run('policy fmt --write -f p.yaml -f q.yaml')).toMatchObject({
      code: 0,
      out: 'p.yaml formatted\n',
    });
    expect(saved('p.yaml')).toBe(FORMATTED);
    expect(await home.run('policy fmt --check -f p.yaml')).toMatchObject({ code: 0, out: '' });
  });

  test('leaves a file that is no YAML alone, and says where it breaks', async () => {
    save('p.yaml', 'a: [1,\nb: }\n');
    const ran = await home.run('policy fmt --write -f p.yaml');
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('p.yaml:2:4 error');
    expect(saved('p.yaml')).toBe('a: [1,\nb: }\n');
  });

  test('does not print several files into one, nor check and write at once', async () => {
    save('p.yaml', POLICY);
    save('q.yaml', POLICY);
    expect((await home.run('policy fmt -f p.yaml -f q.yaml')).code).toBe(2);
    expect((await home.run('policy fmt --check --write -f p.yaml')).code).toBe(2);
    expect((await home.run('policy fmt')).code).toBe(2);
  });
});

describe('policy explain', () => {
  test('says in words what rules do', async () => {
    save('p.yaml', POLICY);
    const ran = await home.run('policy explain -f p.yaml');
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.out).toMatch(
      /^cheap\/cap p\.yaml:6\n {2}Refuses an offer unless offer\.price < 0\.5\.\n {2}Always\.\n/,
    );
    expect(JSON.parse((await home.run('policy explain cap -f p.yaml -o json')).out)).toMatchObject({
      rules: [{ rule: 'cap', reads: ['offer.price'] }],
    });
  });

  test('answers an unknown rule with the nearest, and a broken file with its errors', async () => {
    save('p.yaml', POLICY);
    expect(await home.run('policy explain capp -f p.yaml')).toMatchObject({
      code: 2,
      err: expect.stringContaining('Did you mean "cap"?'),
    });
    save('p.yaml', POLICY.replace('offer.price', 'offer.prise'));
    expect(await home.run('policy explain -f p.yaml')).toMatchObject({
      code: 1,
      err: expect.stringContaining('Did you mean offer.price?'),
    });
  });
});

test('policy put tells what is hardly meant, and puts it all the same', async () => {
  const broker = await new FakeBroker().start();
  Object.assign(home.env, { LANDFALL_URL: broker.url, LANDFALL_TOKEN: broker.token });
  const told = (line: number, code: string, message: string) => ({
    code,
    message,
    file: 'p.yaml',
    line,
    column: 1,
    severity: 'warning',
  });
  const problems = [told(8, 'override', 'of nobody'), told(9, 'contradiction', 'told already')];
  broker.intercept = ({ method, path }) =>
    path === '/v1/policies/validate'
      ? { status: 200, body: { problems } }
      : path !== '/v1/policies/p'
        ? undefined
        : method === 'PUT'
          ? { status: 200, body: {} }
          : { status: 404, body: { title: 'There is no such policy.', status: 404 } };
  const rules = (name: string) =>
    `apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: ${name}}\nspec:\n  rules:\n`;
  save(
    'p.yaml',
    `# one\n---\n${rules('p')}  - {name: a, require: offer.provider == "aws"}\n  - {name: b, deny: offer.provider == "aws"}\n`,
  );
  const ran = await home.run('policy put -f p.yaml');
  await broker.stop();
  expect(ran).toMatchObject({ code: 0, out: 'policy/p created\n' });
  expect(ran.err).toMatch(/^p\.yaml:9:1 warning .*'b'.* it rejects every offer/);
  expect(ran.err).toContain('p.yaml:8:1 warning of nobody [override]');
  expect(ran.err).not.toContain('told already');
});

test('policy validate warns of what no offer can meet, in all files together', async () => {
  save('p.yaml', FORMATTED.replace('offer.price < 0.5', 'offer.vcpus > 4 && offer.vcpus < 2'));
  const ran = await home.run('policy validate -f p.yaml');
  expect(ran.code).toBe(0);
  expect(ran.out).toMatch(/^p\.yaml:6:\d+ warning .*\[never-holds\]\n1 file valid\n$/);
});

test('policy validate warns of the rules beside one with an error', async () => {
  const never = "  - {name: never, require: 'offer.vcpus > 4 && offer.vcpus < 2'}\n";
  save('p.yaml', `${FORMATTED.replace('offer.price < 0.5', 'offer.prise < 0.5').trimEnd()}\n${never}`);
  const ran = await home.run('policy validate -f p.yaml');
  expect(ran.code).toBe(1);
  expect(ran.out).toContain("'prise' is not a known attribute");
  expect(ran.out).toContain('[never-holds]');
});

test('policy validate gives a JUnit case for each file: valid, with warnings, or with every error', async () => {
  save('good.yaml', FORMATTED);
  save('odd.yaml', FORMATTED.replace('cheap', 'odd').replace('price < 0.5', 'vcpus > 4 && offer.vcpus < 2'));
  const good = await home.run('policy validate -f good.yaml -f odd.yaml -o junit');
  expect(good.code).toBe(0);
  expect(good.out).toContain(
    '<testsuites name="landfall policy validate" tests="2" failures="0" errors="0">',
  );
  expect(good.out).toContain('<testcase classname="policy file" name="is valid" file="good.yaml"/>');
  expect(good.out).toMatch(/file="odd\.yaml">\n {6}<system-out>odd\.yaml:6:1 warning .*\[never-holds\]</);
  save('bad.yaml', FORMATTED.replace('price', 'prise').replace('cheap', 'Bad'));
  const bad = await home.run('policy validate -f bad.yaml -o junit');
  expect(bad.code).toBe(1);
  expect(bad.out).toMatch(/tests="1" failures="0" errors="1"/);
  expect(bad.out).toMatch(/line="3">\n {6}<error message="bad\.yaml:3:.*bad\.yaml:6:.*<\/error>/);
});

describe('policy test', () => {
  const tests = `tests:
- {name: "fits & <stays>", request: {vcpus: 2, memoryGiB: 4}, expect: {placed: {}}}
- {name: "lands on \\"m\\"", request: {vcpus: 2}, expect: {placed: {region: mars-1}}}
`;

  test('gives JUnit XML, failures and broken files included, with exit code 1', async () => {
    save('p.yaml', `${FORMATTED}${tests}`);
    save('broken.yaml', FORMATTED.replace('0.5', '"x\\u0007"'));
    const { code, out } = await home.run('policy test -f p.yaml -f broken.yaml -o junit');
    expect(code).toBe(1);
    expect(out).toMatch(
      /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<testsuites name="landfall policy test" tests="3" failures="1" errors="1">\n/,
    );
    expect(out).toContain(
      '<testcase classname="cheap" name="fits &amp; &lt;stays&gt;" file="p.yaml" line="8"/>',
    );
    expect(out).toMatch(
      /name="lands on &quot;m&quot;" file="p\.yaml" line="9">\n {6}<failure message="expected region &quot;mars-1&quot;/,
    );
    expect(out).toMatch(
      /<testcase classname="policy file" name="is valid" file="broken\.yaml" line="6">\n {6}<error /,
    );
  });

  test('and validate are the only commands with that format', async () => {
    save('p.yaml', FORMATTED);
    expect(await home.run('policy fmt -f p.yaml -o junit')).toMatchObject({ code: 2 });
    expect((await home.run('policy fmt --help')).out).toContain('table, wide, json, yaml or name');
    expect((await home.run('policy validate --help')).out).toContain(
      'table, wide, json, yaml, junit or name',
    );
  });

  test('ends with 0 when all pass, 1 when there is no test, 2 when no file is given', async () => {
    save('p.yaml', `${FORMATTED}${tests.split('\n').slice(0, 2).join('\n')}\n`);
    save('none.yaml', FORMATTED);
    expect((await home.run('policy test -f p.yaml')).code).toBe(0);
    expect((await home.run('policy test -f none.yaml')).code).toBe(1);
    expect((await home.run('policy test')).code).toBe(2);
  });
});
