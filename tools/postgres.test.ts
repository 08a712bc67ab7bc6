import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clearStaleLock, hydrateSymlinks } from './postgres.ts';
import { reaches } from './postgres-account.ts';
import { identify, isAlive } from './process-identity.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'landfall-postgres-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

test('the links npm did not make are made, broken ones anew, good ones kept', () => {
  const lib = join(folder, 'native', 'lib');
  mkdirSync(lib, { recursive: true });
  writeFileSync(join(lib, 'liba.so.1.2'), 'a');
  symlinkSync('nowhere', join(lib, 'liba.so.1'));
  writeFileSync(
    join(folder, 'native', 'pg-symlinks.json'),
    JSON.stringify(
      ['liba.so', 'liba.so.1'].map((name) => ({
        source: 'native/lib/liba.so.1.2',
        target: `native/lib/${name}`,
      })),
    ),
  );
  for (let round = 0; round < 2; round++) {
    hydrateSymlinks(folder);
    expect(readlinkSync(join(lib, 'liba.so'))).toBe('liba.so.1.2');
    expect(readFileSync(join(lib, 'liba.so.1'), 'utf8')).toBe('a');
  }
});

test('a pid file from before a power cut goes; the stranger who has the pid now is left alone', async () => {
  const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  try {
    const identity = identify(stranger.pid as number);
    const file = join(folder, 'postmaster.pid');
    writeFileSync(file, `${stranger.pid}\n${folder}\n`);
    await clearStaleLock({ folder });
    expect(existsSync(file)).toBe(false);
    expect(isAlive(identity)).toBe(true);
  } finally {
    stranger.kill('SIGKILL');
  }
});

test('knows which folders an account passes through', () => {
  const closed = join(folder, 'closed');
  mkdirSync(join(closed, 'inner'), { recursive: true, mode: 0o700 });
  expect(reaches({}, join(closed, 'inner'))).toBe(true);
  expect(reaches({ uid: 54_321, gid: 54_321 }, join(closed, 'inner'))).toBe(false);
  expect(reaches({ uid: 54_321, gid: 54_321 }, '/usr/bin')).toBe(true);
});
