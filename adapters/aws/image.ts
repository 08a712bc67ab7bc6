import { DescribeImagesCommand, type EC2Client } from '@aws-sdk/client-ec2';
import type { ImageWant } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { reading } from './clients.ts';
import { describeOne } from './objects.ts';

export interface ResolvedImage {
  id: string;
  rootDevice: string;
}

/**
 * The newest available image that the logical one stands for, in this region. Asked for again each time (A12).
 * @throws ProviderError `Invalid` at `/image` when there is none.
 */
export async function resolveImage(ec2: EC2Client, image: ImageWant): Promise<ResolvedImage> {
  if (image.custom) return customImage(ec2, image, image.custom);
  if (!image.aws)
    throw new ProviderError('Invalid', `image ${image.name} has no AWS form`, { field: '/image/aws' });
  const { owner, nameFilter } = image.aws;
  const answer = await reading(
    ec2.send(
      new DescribeImagesCommand({
        Owners: [owner],
        Filters: [
          { Name: 'name', Values: [nameFilter] },
          { Name: 'architecture', Values: [image.architecture] },
          { Name: 'state', Values: ['available'] },
        ],
      }),
    ),
  );
  const newest = (answer.Images ?? []).sort((a, b) =>
    (b.CreationDate ?? '').localeCompare(a.CreationDate ?? ''),
  )[0];
  if (!newest?.ImageId || !newest.RootDeviceName)
    throw new ProviderError('Invalid', `no ${image.architecture} image of ${owner} is named ${nameFilter}`, {
      field: '/image',
    });
  return { id: newest.ImageId, rootDevice: newest.RootDeviceName };
}

/** One of our own images. @throws ProviderError `Invalid` when it is not there, not ready, or of another architecture. */
async function customImage(ec2: EC2Client, image: ImageWant, id: string): Promise<ResolvedImage> {
  const found = await describeOne(ec2, 'image', id);
  const invalid = (why: string) =>
    new ProviderError('Invalid', `image ${id} ${why}`, { field: '/image/custom' });
  if (!found?.raw.RootDeviceName) throw invalid('is not there');
  if (found.state !== 'ready') throw invalid(`is ${found.raw.State}`);
  if (found.raw.Architecture !== image.architecture)
    throw invalid(`is ${found.raw.Architecture}, not ${image.architecture}`);
  return { id, rootDevice: found.raw.RootDeviceName };
}
