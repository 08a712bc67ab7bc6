/** Where the provider's own web console shows a resource. */
import type { Schemas } from './index.ts';

type Site = Pick<Schemas['Site'], 'name' | 'spec'>;

/** What is looked for: a resource of any kind that is at a site. */
export interface Placed {
  readonly kind: string;
  readonly status: { readonly externalReference?: string; readonly region?: string };
}

/** The page, or why there is none. */
export type WebConsole =
  | { url: string; reason?: undefined }
  | {
      url?: undefined;
      /** For a person, without a full stop. */
      reason: string;
    };

/**
 * The page of a resource, by its external reference. It says nothing of who may see it: the console asks the person to sign in,
 * and AWS shows the account that the browser is signed in to.
 *
 * - AWS: `https://REGION.console.aws.amazon.com/ec2/home?region=REGION#InstanceDetails:instanceId=…`, the regional address of the AWS
 *   Management Console (its guide, "Supported AWS Management Console Regions"), with the page's own fragment as the console writes it.
 * - Azure: `https://portal.azure.com/#@/resource` with the resource's id behind it, as the portal's "Copy link" and Microsoft's Azure
 *   Resources extension write it; without a tenant it is the one that is signed in to.
 * - Google Cloud: `https://console.cloud.google.com/compute/instancesDetail/zones/ZONE/instances/NAME?project=PROJECT`, as the `externalUri`
 *   of Security Command Center's findings has it.
 */
export function webConsole({ kind, status }: Placed, site: Site): WebConsole {
  const { provider, endpoint } = site.spec;
  if (provider === 'onprem')
    return { reason: `the site ${site.name} is a data centre of your own, which has no web console` };
  if (endpoint !== undefined)
    return {
      reason: `the site ${site.name} has an endpoint of its own, ${endpoint}, which has no web console`,
    };
  const { externalReference: reference, region } = status;
  if (reference === undefined) return { reason: 'there is nothing of it at the provider' };
  const url =
    provider === 'aws'
      ? awsPage(kind, reference, region)
      : provider === 'azure'
        ? azurePage(reference)
        : googlePage(reference, site.spec.project);
  return url === undefined ? { reason: `no page is known for ${reference}` } : { url };
}

/** Where each kind stands in the console, and what its page is called there. */
const awsPages: Record<string, [service: string, page: string]> = {
  Instance: ['ec2', 'InstanceDetails:instanceId'],
  Volume: ['ec2', 'VolumeDetails:volumeId'],
  Snapshot: ['ec2', 'SnapshotDetails:snapshotId'],
  CustomImage: ['ec2', 'ImageDetails:imageId'],
  Firewall: ['ec2', 'SecurityGroup:groupId'],
  Address: ['ec2', 'ElasticIpDetails:AllocationId'],
  Network: ['vpcconsole', 'VpcDetails:VpcId'],
};

function awsPage(kind: string, reference: string, region: string | undefined): string | undefined {
  const page = awsPages[kind];
  if (page === undefined || !/^[a-z0-9-]+$/.test(region ?? '')) return undefined;
  // Its partitions have consoles of their own.
  const domain = region!.startsWith('cn-')
    ? 'console.amazonaws.cn'
    : region!.startsWith('us-gov-')
      ? 'console.amazonaws-us-gov.com'
      : 'console.aws.amazon.com';
  return `https://${region}.${domain}/${page[0]}/home?region=${region}#${page[1]}=${encodeURIComponent(reference)}`;
}

function azurePage(reference: string): string | undefined {
  if (!reference.startsWith('/subscriptions/')) return undefined;
  return `https://portal.azure.com/#@/resource${encodeURI(reference)}`;
}

/** By the collection that a reference is of: `{project}` and `{scope}` stand for what the path has of both. */
const googlePages: Record<string, string> = {
  instances: 'compute/instancesDetail/{scope}/instances/{name}',
  disks: 'compute/disksDetail/{scope}/disks/{name}',
  snapshots: 'compute/snapshotsDetail/projects/{project}/global/snapshots/{name}',
  images: 'compute/imagesDetail/projects/{project}/global/images/{name}',
  networks: 'networking/networks/details/{name}',
  firewalls: 'networking/firewalls/details/{name}',
  // An address has no page: the list shows it.
  addresses: 'networking/addresses/list',
};

function googlePage(reference: string, project: string | undefined): string | undefined {
  const [, scope, collection = '', name] =
    /^((?:zones|regions)\/[^/]+|global)\/([a-z]+)\/([^/]+)$/.exec(reference) ?? [];
  if (project === undefined || scope === undefined || !Object.hasOwn(googlePages, collection))
    return undefined;
  const path = googlePages[collection]!.replace('{scope}', scope)
    .replace('{project}', encodeURIComponent(project))
    .replace('{name}', encodeURIComponent(name!));
  return `https://console.cloud.google.com/${path}?project=${encodeURIComponent(project)}`;
}
