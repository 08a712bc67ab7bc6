import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { isProviderError } from './errors.ts';
import { openSecret, type SecretSource, textOf } from './secret.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'landfall-secret-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const file = (text: string, name = 'secret') => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const program = (source: string): string[] => [process.execPath, '-e', source];
const read = (source: SecretSource, limitMs?: number) => openSecret(source, {}, limitMs).read();

/** The whole of what a reader of logs could see of an error. */
async function told(source: SecretSource, limitMs?: number): Promise<string> {
  const error = await read(source, limitMs).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(isProviderError(error, 'Unavailable')).toBe(true);
  return inspect(error, { depth: 10, showHidden: true });
}

test('a file and a program give the fields of their JSON, or a token on one line', async () => {
  expect((await read({ source: 'file', path: file('{"a": "1"}') })).fields).toEqual({ a: '1' });
  expect((await read({ source: 'file', path: file('ya29.token\n') })).fields).toEqual({
    accessToken: 'ya29.token',
  });
  const printed = await read({ source: 'command', command: program('console.log(\'{"b": "2"}\')') });
  expect(textOf(printed, 'a', 'b')).toBe('2');
});

test('no shell sees a program’s arguments', async () => {
  const command = [
    ...program('console.log(JSON.stringify({ given: process.argv[1] }))'),
    '$(echo shell); `id`',
  ];
  expect((await read({ source: 'command', command })).fields).toEqual({ given: '$(echo shell); `id`' });
});

test('the environment gives the variables of the prefix, and no others', async () => {
  const env = { EAST_TOKEN: 'east', EASTERN_TOKEN: 'other', PATH: '/bin' };
  const value = await openSecret({ source: 'environment', prefix: 'EAST' }, env).read();
  expect(value).toEqual({ fields: { TOKEN: 'east' }, expiresAt: Infinity });
});

test('a failing program is told by its name and code: nothing that it printed, and none of its arguments', async () => {
  const command = program('console.log("pa55word"); console.error("s3cret"); process.exit(3)');
  const text = await told({ source: 'command', command });
  expect(text).toContain('ended with 3');
  expect(text).not.toMatch(/pa55word|s3cret|process\.exit/);
});

test('what cannot be read as a secret is not told either', async () => {
  for (const text of [
    '{"password": "pa55word"',
    '"pa55word"',
    'pa55word pa55word',
    '[{"a": "pa55word"}]',
    '',
  ]) {
    const words = await told({ source: 'file', path: file(text) });
    expect(words).toContain('must be a JSON object, or a token on one line');
    expect(words).not.toContain('pa55word');
  }
});

test('a file or a program that is not there is named, with the reason', async () => {
  expect(await told({ source: 'file', path: '/nowhere/azure.json' })).toContain(
    'the file /nowhere/azure.json cannot be read by the worker (ENOENT)',
  );
  expect(await told({ source: 'command', command: ['no-such-program'] })).toContain(
    'the program no-such-program cannot be started by the worker (ENOENT)',
  );
});

test('a program that takes too long is ended, and what it started with it', async () => {
  const pidFile = join(folder, 'pid');
  const child = `require('fs').writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)); setInterval(() => 0, 1000)`;
  const command = program(
    `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'inherit' }); setInterval(() => 0, 1000)`,
  );
  const started = Date.now();
  expect(await told({ source: 'command', command }, 2_000)).toContain('took longer than 2 s');
  expect(Date.now() - started).toBeLessThan(10_000);
  const pid = Number(readFileSync(pidFile, 'utf8'));
  let alive = true;
  for (let tries = 0; alive && tries < 100; tries++) {
    // A zombie that nobody reaps here still has its number: its state tells.
    try {
      alive = !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
      alive = false;
    }
    if (alive) await sleep(50);
  }
  expect(alive).toBe(false);
});

test('a program that prints without end is ended', async () => {
  const command = program('for (;;) require("fs").writeSync(1, "x".repeat(65536))');
  expect(await told({ source: 'command', command })).toContain('printed more than 1 MiB');
});

test('it is kept until a minute before it expires, and many ask for it at the cost of one', async () => {
  const log = join(folder, 'runs');
  const runs = (expiry: string) =>
    openSecret({
      source: 'command',
      command: program(
        `require('fs').appendFileSync(${JSON.stringify(log)}, 'x'); console.log(JSON.stringify({ token: 't', ${expiry} }))`,
      ),
    });
  const count = () => readFileSync(log, 'utf8').length;
  const lasting = runs('expires_in: 3600');
  await Promise.all([lasting.read(), lasting.read(), lasting.read()]);
  await lasting.read();
  expect(count()).toBe(1);
  const short = runs('Expiration: new Date(Date.now() + 30_000)');
  await short.read();
  await short.read();
  expect(count()).toBe(3);
});

test('until when: as AWS, Azure and OAuth write it; five minutes where nothing is said; a time that is over is an error', async () => {
  const until = async (text: string) =>
    (await read({ source: 'file', path: file(text) })).expiresAt - Date.now();
  const near = (ms: number) => ({ from: ms - 5_000, to: ms + 5_000 });
  const inAnHour = new Date(Date.now() + 3_600_000);
  for (const [text, { from, to }] of [
    [JSON.stringify({ Expiration: inAnHour }), near(3_600_000)],
    [JSON.stringify({ expires_on: Math.floor(inAnHour.getTime() / 1000) }), near(3_600_000)],
    [JSON.stringify({ expires_in: '1800' }), near(1_800_000)],
    ['token', near(300_000)],
  ] as const) {
    const left = await until(text);
    expect(left).toBeGreaterThan(from);
    expect(left).toBeLessThan(to);
  }
  const over = file('{"Expiration": "2020-01-01T00:00:00Z"}');
  expect(await told({ source: 'file', path: over })).toContain('has expired at 2020-01-01T00:00:00.000Z');
  expect(await told({ source: 'file', path: file('{"expires_in": "soon"}') })).toContain('says no time');
});
