import type { ImageWant } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, ifThere, reading } from './clients.ts';

const architectures = { x64: 'x86_64', arm64: 'arm64' } as const;

/** A marketplace image with its version, as a machine's request names it. */
export interface ImageReference {
  publisher: string;
  offer: string;
  sku: string;
  version: string;
}

/**
 * The newest version of a logical image in the region.
 * @throws ProviderError `Invalid` when there is none, or one for another architecture.
 */
export async function resolveImage(
  account: Account,
  region: string,
  image: ImageWant,
): Promise<ImageReference> {
  if (!image.azure)
    throw new ProviderError('Invalid', `the image ${image.name} has no Azure image`, {
      field: '/image/azure',
    });
  const { publisher, offer, sku } = image.azure;
  const images = account.compute.virtualMachineImages;
  const found = await ifThere(images.list(region, publisher, offer, sku, { top: 1, orderby: 'name desc' }));
  const version = found?.[0]?.name;
  if (!version)
    throw new ProviderError('Invalid', `Azure has no image ${publisher}:${offer}:${sku} in ${region}`, {
      field: '/image/azure',
      providerCode: 'PlatformImageNotFound',
    });
  const described = await reading(images.get(region, publisher, offer, sku, version));
  const written = described.architecture?.toLowerCase() ?? '';
  const architecture =
    written in architectures ? architectures[written as keyof typeof architectures] : undefined;
  if (architecture && architecture !== image.architecture)
    throw new ProviderError(
      'Invalid',
      `the image ${publisher}:${offer}:${sku} is for ${architecture}, not ${image.architecture}`,
      { field: '/image/azure' },
    );
  return { publisher, offer, sku, version };
}
