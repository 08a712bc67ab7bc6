import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cachedBinary, findTemporal } from './temporal-binary.ts';

let folder: string;
let server: Server | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'landfall-temporal-'));
});

afterEach(async () => {
  if (server !== undefined) await new Promise((done) => server?.close(done));
  server = undefined;
  rmSync(folder, { recursive: true });
});

function executable(file: string, text: string): void {
  writeFileSync(file, text);
  chmodSync(file, 0o755);
}

test('PATH comes before the cache', async () => {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  executable(join(bin, 'temporal'), '#!/bin/sh\n');
  mkdirSync(join(cachedBinary(folder), '..'), { recursive: true });
  executable(cachedBinary(folder), '#!/bin/sh\n');
  expect(await findTemporal({ cache: folder, path: bin })).toBe(join(bin, 'temporal'));
  expect(await findTemporal({ cache: folder, path: '' })).toBe(cachedBinary(folder));
});

test('a download is unpacked, tried and cached', async () => {
  executable(join(folder, 'temporal'), '#!/bin/sh\necho temporal version 1\n');
  execFileSync('tar', ['-czf', join(folder, 'archive.tar.gz'), '-C', folder, 'temporal']);
  const made = createServer((request, response) => {
    if (request.url?.startsWith('/cli/')) {
      response.end(
        JSON.stringify({ archiveUrl: `http://${request.headers.host}/archive`, fileToExtract: 'temporal' }),
      );
    } else response.end(readFileSync(join(folder, 'archive.tar.gz')));
  });
  server = made;
  const port = await new Promise<number>((done) => {
    made.listen(0, '127.0.0.1', () => done((made.address() as { port: number }).port));
  });
  const cache = join(folder, 'cache');
  const found = await findTemporal({ cache, path: '', downloadFrom: `http://127.0.0.1:${port}` });
  expect(found).toBe(cachedBinary(cache));
  expect(readdirSync(cache)).toEqual([`temporal-1.5.1`]);
});

test('a failed build leaves nothing, and says what to do', async () => {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  executable(join(bin, 'go'), '#!/bin/sh\necho no such module >&2\nexit 1\n');
  const cache = join(folder, 'cache');
  const notes: string[] = [];
  const search = findTemporal({
    cache,
    path: `${bin}:${process.env.PATH}`,
    downloadFrom: 'http://127.0.0.1:1',
    note: (text) => notes.push(text),
  });
  await expect(search).rejects.toThrow(/no such module.*TEMPORAL_ADDRESS/s);
  expect(notes.at(-1)).toContain('building it with Go');
  expect(existsSync(cachedBinary(cache))).toBe(false);
  expect(readdirSync(cache)).toEqual([]);
});
