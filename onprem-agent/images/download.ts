import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { run } from '../host/command.ts';
import type { BuildContext } from './recipe.ts';

/** Every so many bytes a line of progress is due. */
const progressEvery = 64 * 1024 * 1024;

/** What a download must have: an algorithm of Node's crypto and the digest, in lower-case hex. */
export interface Checksum {
  algorithm: 'sha256' | 'sha512';
  digest: string;
}

/** What came is not what was asked for; `field` says which part of it. */
export class WrongContent extends Error {
  readonly field: 'sha256' | 'format';
  constructor(field: 'sha256' | 'format', message: string) {
    super(message);
    this.name = 'WrongContent';
    this.field = field;
  }
}

/**
 * Downloads a disk image and leaves it as `root.qcow2` in the context's folder. Without a `format` it is qcow2 or raw. Throws
 * when the server refuses, and WrongContent when the checksum or the format differs or a qcow2 points to other files of the host.
 */
export async function fetchImage(
  url: string,
  checksum: Checksum,
  context: BuildContext,
  format?: 'raw' | 'qcow2' | 'vhd',
): Promise<void> {
  const work = join(context.folder, 'work');
  await mkdir(work, { recursive: true });
  const download = join(work, 'download');
  const hash = createHash(checksum.algorithm);
  let received = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      const before = Math.floor(received / progressEvery);
      received += chunk.length;
      if (Math.floor(received / progressEvery) > before)
        context.progress(`${url}: ${Math.round(received / 1e6)} MB`);
      done(null, chunk);
    },
  });
  context.progress(`downloading ${url}`);
  await pipeline(await bodyOf(url, context.signal), meter, createWriteStream(download), {
    signal: context.signal,
  });
  const actual = hash.digest('hex');
  if (actual !== checksum.digest) {
    const name = checksum.algorithm === 'sha256' ? 'SHA-256' : 'SHA-512';
    throw new WrongContent('sha256', `${url} has ${name} ${actual}, and ${checksum.digest} was asked for`);
  }

  const target = join(context.folder, 'root.qcow2');
  const actualFormat = format ?? ((await isQcow2(download)) ? 'qcow2' : 'raw');
  if (actualFormat === 'qcow2' && !(await isQcow2(download)))
    throw new WrongContent('format', `${url} is no qcow2`);
  if (actualFormat !== 'qcow2') {
    const driver = actualFormat === 'vhd' ? 'vpc' : 'raw';
    await run('qemu-img', ['convert', '-f', driver, '-O', 'qcow2', download, target], {
      signal: context.signal,
      timeoutMs: 3_600_000,
    });
    await rm(download);
    return;
  }
  // The format is given, never probed, and nothing outside the file may be named in it: it would be read as the host.
  const text = await run('qemu-img', ['info', '-f', 'qcow2', '--output=json', download], {
    signal: context.signal,
  });
  const info = JSON.parse(text) as {
    'backing-filename'?: string;
    'format-specific'?: { data?: { 'data-file'?: string } };
  };
  if (info['backing-filename'] !== undefined || info['format-specific']?.data?.['data-file'] !== undefined) {
    throw new WrongContent(
      'format',
      `${url} is a qcow2 that refers to another file: only self-contained images are taken`,
    );
  }
  await rename(download, target);
}

async function bodyOf(url: string, signal: AbortSignal | undefined): Promise<Readable> {
  if (url.startsWith('file:')) return createReadStream(fileURLToPath(url));
  let response: Response;
  try {
    response = await fetch(url, { signal });
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    throw new Error(`${url} cannot be reached: ${(cause as { cause?: Error }).cause?.message ?? cause}`, {
      cause,
    });
  }
  if (!response.ok || !response.body)
    throw new Error(`${url} answered ${response.status} ${response.statusText}`);
  return Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]);
}

async function isQcow2(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const magic = Buffer.alloc(4);
    await file.read(magic, 0, 4, 0);
    return magic.equals(Buffer.from('QFI\xfb', 'latin1'));
  } finally {
    await file.close();
  }
}
