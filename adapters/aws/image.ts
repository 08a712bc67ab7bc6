import { DescribeImagesCommand, type EC2Client } from '@aws-sdk/client-ec2';
import type { ImageWant } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { reading } from './clients.ts';

export interface ResolvedImage {
  id: string;
  rootDevice: string;
}

/**
 * The newest available image that the logical one stands for, in this region. Asked for again each time (A12).
 * @throws ProviderError `Invalid` at `/image` when there is none.
 */
export async function resolveImage(ec2: EC2Client, image: ImageWant): Promise<ResolvedImage> {
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
