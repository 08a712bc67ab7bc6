import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fetchImage } from './download.ts';
import type { BuildContext } from './recipe.ts';

/** Where the Debian project publishes its images for clouds, each release beside the checksums of its files. */
const published = 'https://cloud.debian.org/images/cloud/bookworm/latest';
const image = 'debian-12-genericcloud-amd64.qcow2';
/** A network that does not lead there is noticed in this time. */
const checksumsLimitMs = 10_000;

/**
 * Downloads Debian's own image and holds it against the SHA-512 published beside it. Answers why that was not possible, or
 * null when the image is there.
 */
export async function downloadDebian(context: BuildContext, site = published): Promise<string | null> {
  try {
    const digest = await publishedDigest(site, context.signal);
    await fetchImage(`${site}/${image}`, { algorithm: 'sha512', digest }, context);
    return null;
  } catch (error) {
    if (context.signal?.aborted) throw error;
    await rm(join(context.folder, 'work'), { recursive: true, force: true });
    return (error as Error).message;
  }
}

async function publishedDigest(site: string, signal: AbortSignal | undefined): Promise<string> {
  const url = `${site}/SHA512SUMS`;
  const limit = AbortSignal.timeout(checksumsLimitMs);
  const response = await fetch(url, { signal: signal ? AbortSignal.any([signal, limit]) : limit }).catch(
    (cause: Error & { cause?: Error }) => {
      throw new Error(`${url} cannot be reached: ${cause.cause?.message ?? cause.message}`, { cause });
    },
  );
  if (!response.ok) throw new Error(`${url} answered ${response.status} ${response.statusText}`);
  for (const line of (await response.text()).split('\n')) {
    const [digest, name] = line.trim().split(/\s+/);
    if (name === image && /^[0-9a-f]{128}$/.test(digest ?? '')) return digest as string;
  }
  throw new Error(`${url} has no checksum of ${image}`);
}
