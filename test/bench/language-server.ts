/**
 * How long the language server takes over a policy file of 2,000 lines: the first diagnostics, those after a keystroke, and
 * completion; beside the YAML language server alone, with the schema of policies, on the same file. Run it with:
 * npm run bench:language-server
 *
 * The server is the bundled one, in a process of its own, over stdio, as an editor runs it. The other is its library called
 * directly, which spares it the protocol and the 200 ms that its server waits before it validates. Beside the time on the clock
 * stands that of the thread's processor: on a busy machine they differ.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { policySchema } from '@landfall/policies/file/schema.ts';
import { marked, TestClient } from '../../vscode-extension/language/testing/client.ts';
import { percentile } from './percentile.ts';

const extension = fileURLToPath(new URL('../../vscode-extension/', import.meta.url));
const URI = 'file:///w/policy.yaml';
const STARTS = 5;
const KEYSTROKES = 40;
const LINES_OF_A_RULE = 7;

/** A policy file of about 2,000 lines in so many documents; every rule has an expression of its own. */
function policyFile(documents: number): string {
  const rules = Math.floor((2000 - documents * 11) / LINES_OF_A_RULE / documents);
  return Array.from(
    { length: documents },
    (_, d) => `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata:
  name: big-${d}
spec:
  variables:
    restricted: request.dataClass == "restricted"
    inEu: offer.jurisdiction == "EU"
    monthly: offer.pricePerHour * 730.0
  rules:
${Array.from(
  { length: rules },
  (_, r) => `  - name: rule-${d}-${r}
    when: variables.restricted && has(request.labels.team) && request.labels.team == "team-${d}-${r}"
    require: variables.inEu && offer.region in ["eu-central-1", "eu-west-${(r % 3) + 1}"] && variables.monthly < ${d + r + 100}.0
    message: team ${r} stays where its data is
    missing: reject
    owner: team-${r}
    overridable: true
`,
).join('')}`,
  ).join('---\n');
}

/** The texts while an expression in the middle of the file is typed, a character each. */
function typed(text: string): string[] {
  const lines = text.split('\n');
  const at = lines.findIndex((line, i) => i > lines.length / 2 && line.startsWith('    require:'));
  const expression = 'offer.region.startsWith("eu-") && offer.vcpus >= 2 && offer.memoryGiB';
  return Array.from({ length: KEYSTROKES }, (_, n) =>
    lines.with(at, `    require: ${expression.slice(0, n + 1)}`).join('\n'),
  );
}

/** Places where completion is asked for, in CEL and where a key stands; with the text before the last character typed. */
function asked(
  text: string,
  n: number,
): { before: string; text: string; position: { line: number; character: number } }[] {
  const lines = text.split('\n');
  const at = lines.findIndex(
    (line, i) => i > lines.length / 3 + n * LINES_OF_A_RULE && line.startsWith('    require:'),
  );
  const after = (line: string, typed: string, put: (line: string) => string[]) => ({
    before: put(line).join('\n'),
    ...marked(put(`${line}${typed}|`).join('\n')),
  });
  return [
    after(`    require: offer.vcpus > ${n} && offer`, '.', (line) => lines.with(at, line)),
    after('    o', 'v', (line) => lines.toSpliced(at + 1, 0, line)),
  ];
}

/** Milliseconds on the clock, and of the thread's processor; that is known on Linux only. */
interface Taken {
  ms: number;
  cpuMs: number | null;
}

interface Measured {
  first: Taken[];
  keystroke: Taken[];
  cel: Taken[];
  key: Taken[];
  rssMiB: number;
}

/** Takes the time of some work, by what the processor has done for a process (its first thread) or for this thread. */
async function timed(into: Taken[], pid: number | 'this', work: () => Promise<unknown>): Promise<void> {
  const [began, before] = [performance.now(), processorMs(pid)];
  await work();
  const ms = performance.now() - began;
  const after = processorMs(pid);
  into.push({ ms, cpuMs: before === null || after === null ? null : after - before });
}

function processorMs(pid: number | 'this'): number | null {
  if (pid === 'this') {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  }
  const file = `/proc/${pid}/schedstat`;
  return existsSync(file) ? Number(readFileSync(file, 'utf8').split(' ')[0]) / 1e6 : null;
}

async function ours(text: string): Promise<Measured> {
  const found: Measured = { first: [], keystroke: [], cel: [], key: [], rssMiB: 0 };
  for (let start = 0; start < STARTS; start++) {
    const process_ = spawn(process.execPath, ['dist/server.mjs', '--stdio'], {
      cwd: extension,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const client = new TestClient({ input: process_.stdout!, output: process_.stdin! });
    await client.initialized;
    await timed(found.first, process_.pid!, async () => {
      await client.open(URI, text);
      await client.diagnostics(URI);
    });
    if (start === STARTS - 1) await further(client, text, found, process_);
    await client.connection.sendNotification('exit');
  }
  return found;
}

async function further(
  client: TestClient,
  text: string,
  found: Measured,
  { pid }: ChildProcess,
): Promise<void> {
  for (const next of typed(text))
    await timed(found.keystroke, pid!, async () => {
      await client.change(URI, next);
      await client.diagnostics(URI);
    });
  for (let n = 0; n < KEYSTROKES / 2; n++)
    for (const [i, { before, text: next, position }] of asked(text, n).entries()) {
      await client.change(URI, before);
      await client.diagnostics(URI);
      await client.change(URI, next);
      await timed(i === 0 ? found.cel : found.key, pid!, async () => {
        const list = await client.ask<{ items: unknown[] }>('completion', URI, { position });
        if (list.items.length === 0) throw new Error('nothing was offered');
      });
    }
  found.rssMiB = Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024;
}

/** The YAML service alone, in this process. */
async function alternative(text: string): Promise<Measured> {
  const { getLanguageService } = await import('yaml-language-server');
  const { TextDocument } = await import('vscode-languageserver-textdocument');
  const service = getLanguageService({
    schemaRequestService: (uri) => Promise.reject(new Error(uri)),
    workspaceContext: { resolveRelativePath: (path) => path },
  });
  const schemas = [{ uri: 'landfall:policy', fileMatch: ['*.yaml'], schema: policySchema() }];
  service.configure({ validate: true, completion: true, hover: true, schemas });
  let version = 0;
  const document = (of: string): ReturnType<typeof TextDocument.create> =>
    TextDocument.create(URI, 'yaml', ++version, of);
  const found: Measured = { first: [], keystroke: [], cel: [], key: [], rssMiB: 0 };
  await timed(found.first, 'this', () => service.doValidation(document(text), false));
  for (const next of typed(text))
    await timed(found.keystroke, 'this', () => service.doValidation(document(next), false));
  for (let n = 0; n < KEYSTROKES / 2; n++)
    for (const [i, { text: next, position }] of asked(text, n).entries())
      await timed(i === 0 ? found.cel : found.key, 'this', () =>
        service.doComplete(document(next), position, false),
      );
  found.rssMiB = process.memoryUsage().rss / 1024 / 1024;
  return found;
}

/** In a process of its own, as many times as the server is started. */
function alternatives(documents: number): Measured {
  const runs = Array.from({ length: STARTS }, () => {
    const out = execFileSync(process.execPath, [
      '--no-warnings',
      import.meta.filename,
      'alternative',
      String(documents),
    ]);
    return JSON.parse(out.toString('utf8')) as Measured;
  });
  return { ...runs.at(-1)!, first: runs.flatMap(({ first }) => first) };
}

function row(name: string, taken: readonly Taken[], goal = ''): string {
  const cpu = taken.flatMap(({ cpuMs }) => (cpuMs === null ? [] : [cpuMs]));
  const clock = taken.map(({ ms }) => ms);
  const figures = [percentile(cpu, 50), percentile(cpu, 95), percentile(clock, 50), percentile(clock, 95)];
  const columns = figures.map((figure) => (Number.isNaN(figure) ? '-' : figure.toFixed(1)).padStart(9));
  return `  ${name.padEnd(34)}${columns.join('')}   ${goal}\n`;
}

if (process.argv[2] === 'alternative')
  process.stdout.write(JSON.stringify(await alternative(policyFile(Number(process.argv[3])))));
else {
  execFileSync(process.execPath, ['--no-warnings', 'build.ts'], { cwd: extension });
  for (const documents of [1, 20]) {
    const text = policyFile(documents);
    const [mine, theirs] = [await ours(text), alternatives(documents)];
    process.stdout.write(
      `${text.split('\n').length} lines, ${Math.round(text.length / 1024)} KiB, ${documents} document${documents > 1 ? 's' : ''}\n` +
        `${'ms'.padEnd(36)}${['cpu p50', 'cpu p95', 'p50', 'p95'].map((head) => head.padStart(9)).join('')}   wanted\n` +
        row('first diagnostics, new process', mine.first, '<= 150') +
        row('  YAML service alone', theirs.first) +
        row('diagnostics after a keystroke', mine.keystroke, '<= 30') +
        row('  YAML service alone', theirs.keystroke) +
        row('completion in CEL', mine.cel, '<= 20') +
        row('completion of keys', mine.key, '<= 20') +
        row('  YAML service alone, keys', theirs.key) +
        `  memory, MiB: server ${mine.rssMiB.toFixed(0)}, YAML service alone ${theirs.rssMiB.toFixed(0)} (resident)\n\n`,
    );
  }
}
