import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../host/command.ts';
import { prepareImage, publishImage } from './store.ts';

let folder: string;
const before = process.env.LANDFALL_CACHE_DIR;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'landfall-images-'));
  process.env.LANDFALL_CACHE_DIR = join(folder, 'cache');
});
afterEach(async () => {
  if (before === undefined) delete process.env.LANDFALL_CACHE_DIR;
  else process.env.LANDFALL_CACHE_DIR = before;
  await rm(folder, { recursive: true, force: true });
});

const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex');
const leftovers = async () =>
  (await readdir(join(folder, 'cache', 'images'))).filter((name) => name.startsWith('.building'));

async function served(data: Buffer, work: (url: string) => Promise<void>): Promise<number> {
  let requests = 0;
  const server = createServer((_request, response) => {
    requests += 1;
    response.end(data);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.img`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
  return requests;
}

test('an image by URL is downloaded once, however many ask at once, and is read-only', async () => {
  const data = Buffer.alloc(1024 * 1024, 7);
  const requests = await served(data, async (url) => {
    const source = { url, sha256: sha256(data) };
    const [first, second] = await Promise.all([prepareImage(source), prepareImage(source)]);
    expect(second).toEqual(first);
    expect(first.diskBytes).toBe(data.length);
    expect((await stat(join(first.folder, 'root.qcow2'))).mode & 0o777).toBe(0o444);
    const published = await publishImage(first, join(folder, 'storage'));
    expect(await publishImage(first, join(folder, 'storage'))).toBe(published);
    expect((await stat(join(published, 'root.qcow2'))).mode & 0o777).toBe(0o444);
  });
  expect(requests).toBe(1);
});

test('an image with another checksum is refused, and nothing of it stays', async () => {
  await served(Buffer.from('tampered with'), async (url) => {
    await expect(prepareImage({ url, sha256: sha256(Buffer.from('original')) })).rejects.toThrow(
      'has SHA-256',
    );
  });
  expect(await leftovers()).toEqual([]);
});

test('a qcow2 that refers to a file of the host is refused', async () => {
  const disk = join(folder, 'trojan.qcow2');
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-u', '-F', 'raw', '-b', '/etc/shadow', disk, '1M']);
  const source = { url: `file://${disk}`, sha256: sha256(await readFile(disk)) };
  await expect(prepareImage(source)).rejects.toThrow('refers to another file');
  expect(await leftovers()).toEqual([]);
});

test('a cancelled download leaves nothing half', async () => {
  const disk = join(folder, 'disk.raw');
  await writeFile(disk, Buffer.alloc(1024));
  const signal = AbortSignal.abort(new Error('no longer wanted'));
  await expect(prepareImage({ url: `file://${disk}`, sha256: 'a'.repeat(64) }, { signal })).rejects.toThrow(
    'no longer wanted',
  );
});

test('an unknown built-in image is refused with the names of those there are', async () => {
  await expect(prepareImage('windows')).rejects.toThrow('there are tiny, debian-12');
});
