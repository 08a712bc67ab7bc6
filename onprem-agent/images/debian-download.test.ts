import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { downloadDebian } from './debian-download.ts';

const disk = Buffer.alloc(1024 * 1024, 7);
const image = 'debian-12-genericcloud-amd64.qcow2';
let folder: string;
let site: string;
let server: Server;
let checksums: string | null;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'landfall-debian-'));
  checksums = `${'0'.repeat(128)}  other.qcow2\n${createHash('sha512').update(disk).digest('hex')}  ${image}\n`;
  server = createServer((request, response) => {
    if (request.url === `/bookworm/${image}`) response.end(disk);
    else if (checksums !== null && request.url === '/bookworm/SHA512SUMS') response.end(checksums);
    else response.writeHead(404, 'Not Found').end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  site = `http://127.0.0.1:${(server.address() as AddressInfo).port}/bookworm`;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

const context = () => ({ folder, progress: () => undefined });

test('the image that Debian publishes is taken when its checksum holds', async () => {
  expect(await downloadDebian(context(), site)).toBeNull();
  expect(await readdir(folder)).toContain('root.qcow2');
});

test('an image with another checksum is not taken, and the reason says so', async () => {
  checksums = `${'a'.repeat(128)}  ${image}\n`;
  expect(await downloadDebian(context(), site)).toMatch(
    /has SHA-512 [0-9a-f]{128}, and a{128} was asked for/,
  );
  expect(await readdir(folder)).toEqual([]);
});

test('without a checksum nothing is downloaded', async () => {
  checksums = 'nothing of interest\n';
  expect(await downloadDebian(context(), site)).toContain(`SHA512SUMS has no checksum of ${image}`);
  checksums = null;
  expect(await downloadDebian(context(), site)).toContain('SHA512SUMS answered 404 Not Found');
});

test('a network that does not lead there is a reason, not a failure', async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  expect(await downloadDebian(context(), site)).toMatch(/SHA512SUMS cannot be reached: .*ECONNREFUSED/);
});

test('a cancelled download ends as cancelled, and does not go on to a build', async () => {
  const signal = AbortSignal.abort(new Error('no longer wanted'));
  await expect(downloadDebian({ ...context(), signal }, site)).rejects.toThrow();
});
