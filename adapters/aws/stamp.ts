import { createHash } from 'node:crypto';
import type { Filter, ResourceType, Tag, TagSpecification } from '@aws-sdk/client-ec2';
import type { InstanceWant, Kind, Stamp, Target, Want } from '../contract.ts';
import { verbsOfKinds } from '../contract.ts';
import { ProviderError } from '../errors.ts';

/** Tag keys that are ours; a user's label may not look like one. */
export const stampTags = {
  broker: 'landfall:broker',
  project: 'landfall:project',
  resource: 'landfall:resource',
  attempt: 'landfall:attempt',
  /** Kind of the resource that an object is of, its children too; absent on what older versions made: an Instance. */
  kind: 'landfall:kind',
  /** When an object was asked for, where EC2 has no token to make it once by: the oldest is the one (R5). */
  made: 'landfall:made',
  /** Begins the key of a tag by which one adopter shows itself to the others; the rest is its broker and resource. */
  adopter: 'landfall:adopter:',
  /** How many reboots were carried out. */
  reboots: 'landfall:reboots',
  /** User to log in as: EC2 itself does not know it. */
  user: 'landfall:user',
} as const;

/** Idempotency token of one attempt: 64 characters, EC2's most. */
export function clientToken(stamp: Stamp): string {
  return createHash('sha256').update(`${stamp.broker}\n${stamp.resource}\n${stamp.attempt}`).digest('hex');
}

/** Name of an attempt's security group or image: the same for every call, because creating them takes no token (R5). */
export function attemptName(stamp: Stamp): string {
  return `landfall-${stamp.resource}-${stamp.attempt}-${clientToken(stamp).slice(0, 8)}`;
}

/** The stamp as tags, for a resource of the kind and its children. */
export function stampAsTags(stamp: Stamp, kind: Kind): Tag[] {
  return [
    { Key: stampTags.broker, Value: stamp.broker },
    { Key: stampTags.project, Value: stamp.project },
    { Key: stampTags.resource, Value: stamp.resource },
    { Key: stampTags.attempt, Value: String(stamp.attempt) },
    { Key: stampTags.kind, Value: kind },
  ];
}

/** The tag by which an adopter shows itself. Its value is when. */
export function adopterTag({ broker, resource }: Pick<Stamp, 'broker' | 'resource'>): string {
  return `${stampTags.adopter}${broker}/${resource}`;
}

/** What every kind of resource has. */
export type Named = Pick<InstanceWant, 'name' | 'labels'>;

/** Name and labels as tags: what may change later. */
export function mutableTags(spec: Named): { Key: string; Value: string }[] {
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
  const child = [...stampAsTags(stamp, 'Instance'), { Key: 'Name', Value: spec.name }];
  const machine = [
    ...stampAsTags(stamp, 'Instance'),
    { Key: stampTags.reboots, Value: String(spec.reboots) },
    ...(spec.image ? [{ Key: stampTags.user, Value: spec.image.user }] : []),
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

/** Kind of the resource that a stamped object is of. */
export function kindOf(tags: Tag[] | undefined): Kind {
  const kind = tagValue(tags, stampTags.kind) ?? '';
  return Object.hasOwn(verbsOfKinds, kind) ? (kind as Kind) : 'Instance';
}

/** Tags that have to be written to make name and labels right. */
export function missingTags(tags: Tag[] | undefined, want: Named): { Key: string; Value: string }[] {
  return mutableTags(want).filter(({ Key, Value }) => tagValue(tags, Key) !== Value);
}

/** Which of name and labels differ. */
export function namedDiff(tags: Tag[] | undefined, want: Named): string[] {
  const missing = missingTags(tags, want).map(({ Key }) => Key);
  const diff = missing.includes('Name') ? ['name'] : [];
  return missing.some((key) => key !== 'Name') ? [...diff, 'labels'] : diff;
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
