import type { ImageWant } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, finding } from './clients.ts';

/**
 * Link of the newest image that the logical one stands for. Asked for again each time (A12).
 * @throws ProviderError `Invalid` at `/image` when there is none.
 */
export async function resolveImage(account: Account, image: ImageWant): Promise<string> {
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
  const architecture = found.architecture === 'ARM64' ? 'arm64' : 'x86_64';
  if (found.architecture && architecture !== image.architecture)
    throw new ProviderError(
      'Invalid',
      `${project}/${family} is for ${architecture}, not for ${image.architecture}`,
      {
        field: '/image/architecture',
      },
    );
  return found.selfLink;
}
