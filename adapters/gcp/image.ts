import type { ImageWant } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, finding } from './clients.ts';
import { read, wantedRef } from './collections.ts';

/**
 * Link of our own image, or of the newest that the logical one stands for. Asked for again each time (A12).
 * @throws ProviderError `Invalid` at `/image` when there is none.
 */
export async function resolveImage(account: Account, image: ImageWant): Promise<string> {
  if (image.custom !== undefined) return customImage(account, image, image.custom);
  if (!image.gcp)
    throw new ProviderError('Invalid', `image ${image.name} has no Google Cloud form`, {
      field: '/image/gcp',
    });
  const { project, family } = image.gcp;
  const found = await finding(account.clients.images.getFromFamily({ project, family }, account.call));
  if (!found?.selfLink)
    throw new ProviderError('Invalid', `the project ${project} has no image of the family ${family}`, {
      field: '/image/gcp',
    });
  checkArchitecture(image, `${project}/${family}`, found.architecture);
  return found.selfLink;
}

async function customImage(account: Account, image: ImageWant, ref: string): Promise<string> {
  const field = '/image/custom';
  const found = await read(account, { ...wantedRef('images', ref, field), collection: 'images' });
  if (!found?.body.selfLink) throw new ProviderError('Invalid', `there is no ${ref}`, { field });
  checkArchitecture(image, ref, found.body.architecture);
  return found.body.selfLink;
}

function checkArchitecture({ architecture }: ImageWant, name: string, of: unknown): void {
  const has = of === 'ARM64' ? 'arm64' : 'x86_64';
  if (of && has !== architecture)
    throw new ProviderError('Invalid', `${name} is for ${has}, not for ${architecture}`, {
      field: '/image/architecture',
    });
}
