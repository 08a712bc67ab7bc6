import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CompletionList, DiagnosticSeverity } from 'vscode-languageserver';
import { marked, TestClient } from './testing/client.ts';

const extension = fileURLToPath(new URL('../', import.meta.url));
const URI = 'file:///w/policy.yaml';
const HEAD = 'apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: p}\nspec:\n  rules:\n';

let packed: string;
let server: ChildProcess;
let client: TestClient;
beforeAll(() => {
  packed = mkdtempSync(join(tmpdir(), 'landfall-packed-'));
  execFileSync(process.execPath, ['--no-warnings', 'build.ts', '--package', '--into', packed], {
    cwd: extension,
    stdio: 'pipe',
  });
  server = spawn(process.execPath, ['dist/server.mjs', '--stdio'], {
    cwd: packed,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  client = new TestClient({ input: server.stdout!, output: server.stdin! });
});
afterAll(async () => {
  const gone = new Promise((resolve) => server.once('exit', resolve));
  await client.connection.sendRequest('shutdown');
  await client.connection.sendNotification('exit');
  expect(await gone).toBe(0);
  rmSync(packed, { recursive: true });
});

test('the packed extension is small, and has what the server reads beside it', () => {
  expect(statSync(join(packed, 'dist/landfall.vsix')).size).toBeLessThan(1_500_000);
  expect(existsSync(join(packed, 'dist/snapshot/catalogue.json.gz'))).toBe(true);
});

test('the bundled server underlines, thinks through, completes and holds resources against their schema', async () => {
  const { text, position } = marked(
    `${HEAD}  - {name: a, require: offer.region == "eu-centrall-1"}\n  - name: b\n    deny: offer.|\n`,
  );
  await client.open(URI, text);
  const errors = await client.diagnostics(URI);
  expect(errors.map(({ severity, code }) => [severity, code])).toEqual([
    [DiagnosticSeverity.Error, 'cel-syntax'],
  ]);
  const { items } = await client.ask<CompletionList>('completion', URI, { position });
  expect(items.map(({ label }) => label)).toContain('burstable');
  await client.change(URI, `${text.trimEnd()}burstable\n`);
  const doubts = await client.diagnostics(URI, (all) => all.length > 0);
  expect(doubts.map(({ code }) => code)).toEqual(['unknown-value']);
  await client.change(
    URI,
    'apiVersion: landfall.dev/v1\nkind: Network\nmetadata: {name: n}\nspec: {cdir: 10.0.0.0/16}\n',
  );
  expect((await client.diagnostics(URI)).map(({ code }) => code)).toContain('unknown-field');
});
