import { createHash } from 'node:crypto';
import type { Filter, ResourceType, Tag, TagSpecification } from '@aws-sdk/client-ec2';
import type { InstanceWant, Stamp, Target, Want } from '../contract.ts';
import { ProviderError } from '../errors.ts';

/** Tag keys that are ours; a user's label may not look like one. */
export const stampTags = {
  broker: 'landfall:broker',
  project: 'landfall:project',
  resource: 'landfall:resource',
  attempt: 'landfall:attempt',
  /** How many reboots were carried out. */
  reboots: 'landfall:reboots',
  /** User to log in as: EC2 itself does not know it. */
  user: 'landfall:user',
} as const;

/** Idempotency token of one attempt: 64 characters, EC2's most. */
export function clientToken(stamp: Stamp): string {
  return createHash('sha256').update(`${stamp.broker}\n${stamp.resource}\n${stamp.attempt}`).digest('hex');
}

/** Name of the attempt's security group: the same for every call, because CreateSecurityGroup has no token (R5). */
export function securityGroupName(stamp: Stamp): string {
  return `landfall-${stamp.resource}-${stamp.attempt}-${clientToken(stamp).slice(0, 8)}`;
}

/** The stamp as tags, for a machine's children. */
export function stampAsTags(stamp: Stamp): Tag[] {
  return [
    { Key: stampTags.broker, Value: stamp.broker },
    { Key: stampTags.project, Value: stamp.project },
    { Key: stampTags.resource, Value: stamp.resource },
    { Key: stampTags.attempt, Value: String(stamp.attempt) },
  ];
}

/** Name and labels as tags: what may change later. */
export function mutableTags(spec: InstanceWant): Tag[] {
  const reserved = Object.keys(spec.labels).find((key) => /^(aws:|landfall:|Name$)/i.test(key));
  if (reserved)
    throw new ProviderError('Invalid', `the label ${reserved} is reserved on AWS`, {
      field: `/labels/${reserved}`,
    });
  return [
    { Key: 'Name', Value: spec.name },
    ...Object.entries(spec.labels).map(([Key, Value]) => ({ Key, Value })),
  ];
}

/** Tag specifications of a create, so that nothing ever exists without its stamp (A3). */
export function tagSpecifications({ spec, stamp }: Want<'Instance'>): TagSpecification[] {
  const child = [...stampAsTags(stamp), { Key: 'Name', Value: spec.name }];
  const machine = [
    ...stampAsTags(stamp),
    { Key: stampTags.reboots, Value: String(spec.reboots) },
    { Key: stampTags.user, Value: spec.image.user },
    ...mutableTags(spec),
  ];
  const children: ResourceType[] = ['volume', 'network-interface'];
  if (spec.market === 'spot') children.push('spot-instances-request');
  return [
    { ResourceType: 'instance', Tags: machine },
    ...children.map((ResourceType) => ({ ResourceType, Tags: child })),
  ];
}

export function tagValue(tags: Tag[] | undefined, key: string): string | undefined {
  return tags?.find((tag) => tag.Key === key)?.Value;
}

/** The stamp that an object carries, or nothing when it is not a broker's. */
export function stampOf(tags: Tag[] | undefined): Stamp | undefined {
  const broker = tagValue(tags, stampTags.broker);
  const project = tagValue(tags, stampTags.project);
  const resource = tagValue(tags, stampTags.resource);
  const attempt = Number(tagValue(tags, stampTags.attempt));
  if (!broker || project === undefined || !resource || !Number.isInteger(attempt)) return undefined;
  return { broker, project, resource, attempt };
}

/** Does an object carry the target's stamp? */
export function carries(tags: Tag[] | undefined, stamp: Target['stamp']): boolean {
  const found = stampOf(tags);
  return (
    found?.broker === stamp.broker &&
    found.resource === stamp.resource &&
    (stamp.attempt === undefined || found.attempt === stamp.attempt)
  );
}

/** Filters that find what carries the stamp. */
export function stampFilters(stamp: Target['stamp']): Filter[] {
  const filters: Filter[] = [
    { Name: `tag:${stampTags.broker}`, Values: [stamp.broker] },
    { Name: `tag:${stampTags.resource}`, Values: [stamp.resource] },
  ];
  if (stamp.attempt !== undefined)
    filters.push({ Name: `tag:${stampTags.attempt}`, Values: [String(stamp.attempt)] });
  return filters;
}
