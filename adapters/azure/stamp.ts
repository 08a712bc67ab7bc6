import * as crypto from 'node:crypto';
import type { Kind, Stamp, Target } from '../contract.ts';
import { verbsOfKinds } from '../contract.ts';
import { ProviderError } from '../errors.ts';

/** Tag names that are ours; a user's label may not look like one. */
export const stampTags = {
  broker: 'landfall:broker',
  project: 'landfall:project',
  resource: 'landfall:resource',
  attempt: 'landfall:attempt',
  /** How many reboots were carried out. */
  reboots: 'landfall:reboots',
  /** The resource's name: the object's own is made of the stamp. */
  name: 'landfall:name',
  /** Kind of the resource; absent on an instance and what was made for one. */
  kind: 'landfall:kind',
  /** Of a firewall: the object name of its network. */
  network: 'landfall:network',
  /** Begins the name of a tag by which one adopter shows itself to the others; the rest is made of its broker and resource. */
  adopter: 'landfall:adopter:',
} as const;

export type Tags = Record<string, string>;

/** Azure's most per object, and what a tag's name may not contain. */
const mostTags = 50;
const forbidden = /[<>%&\\?/]/;

export function hash(text: string): string {
  return crypto.hash('sha256', text);
}

/** Resource group of a broker in a region. Of its own, so that one region's outage stays its own. */
export function groupName(broker: string, region: string): string {
  return `landfall-${hash(broker).slice(0, 10)}-${region}`;
}

/**
 * Name of the attempt's main object and of every child of it. Azure's idempotency is the name: a repeated create meets what
 * the first one made (A1), and another broker's can never be met (A5).
 */
export function objectName(stamp: Stamp): string {
  return `lf-${stamp.resource}-${stamp.attempt}-${hash(`${stamp.broker}\n${stamp.resource}\n${stamp.attempt}`).slice(0, 8)}`;
}

/** The stamp as tags, for everything that is made. */
export function stampAsTags(stamp: Stamp, kind: Kind = 'Instance'): Tags {
  return {
    ...(kind === 'Instance' ? {} : { [stampTags.kind]: kind }),
    [stampTags.broker]: stamp.broker,
    [stampTags.project]: stamp.project,
    [stampTags.resource]: stamp.resource,
    [stampTags.attempt]: String(stamp.attempt),
  };
}

/** The tag by which an adopter shows itself. Its value is when. */
export function adopterTag({ broker, resource }: Pick<Stamp, 'broker' | 'resource'>): string {
  return `${stampTags.adopter}${hash(`${broker}\n${resource}`).slice(0, 16)}`;
}

/** Which of the tags are ours, those of the stamp's adopter too. */
export function ourTags(tags: Tags, stamp: Pick<Stamp, 'broker' | 'resource'>): Tags {
  const ours = new Set<string>([...Object.values(stampTags), adopterTag(stamp)]);
  return Object.fromEntries(Object.entries(tags).filter(([key]) => ours.has(key)));
}

/** What may change of any resource. */
export interface Named {
  name: string;
  labels: Record<string, string>;
}

/** Name and labels as tags: what may change later. @throws ProviderError `Invalid` for a label that Azure cannot carry. */
export function mutableTags(spec: Named): Tags {
  const keys = Object.keys(spec.labels);
  const reserved = keys.find((key) => /^(landfall:|azure|microsoft|windows)/i.test(key));
  if (reserved)
    throw new ProviderError('Invalid', `the label ${reserved} is reserved on Azure`, {
      field: pointerTo(reserved),
    });
  const unfit = keys.find((key) => forbidden.test(key));
  if (unfit)
    throw new ProviderError(
      'Invalid',
      `the label ${unfit} contains one of <>%&\\?/, which Azure does not allow`,
      {
        field: pointerTo(unfit),
      },
    );
  const most = mostTags - Object.keys(stampTags).length;
  if (keys.length > most)
    throw new ProviderError('Invalid', `${keys.length} labels are more than Azure's ${most}`, {
      field: '/labels',
    });
  return { [stampTags.name]: spec.name, ...spec.labels };
}

/** Which of name and labels an object does not have as wanted. */
export function namesThatDiffer(tags: Tags | undefined, { name, labels }: Named): string[] {
  const diff: string[] = [];
  if (tags?.[stampTags.name] !== name) diff.push('name');
  if (Object.entries(labels).some(([key, value]) => tags?.[key] !== value)) diff.push('labels');
  return diff;
}

/** An object's tags with name and labels as wanted, or undefined when they are right: Azure replaces all tags at once. */
export function tagsToWrite(tags: Tags | undefined, want: Named): Tags | undefined {
  const wanted = mutableTags(want);
  if (Object.entries(wanted).every(([key, value]) => tags?.[key] === value)) return undefined;
  return { ...tags, ...wanted };
}

/** JSON pointer to a label. */
function pointerTo(label: string): string {
  return `/labels/${label.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** The stamp that an object carries, or nothing when it is not a broker's. */
export function stampOf(tags: Tags | undefined): Stamp | undefined {
  const broker = tags?.[stampTags.broker];
  const project = tags?.[stampTags.project];
  const resource = tags?.[stampTags.resource];
  const attempt = Number(tags?.[stampTags.attempt]);
  if (!broker || project === undefined || !resource || !Number.isInteger(attempt)) return undefined;
  return { broker, project, resource, attempt };
}

/** Of which kind the resource is that an object stands for or was made for. */
export function kindOfTags(tags: Tags): Kind {
  const kind = tags[stampTags.kind] ?? '';
  return kind in verbsOfKinds ? (kind as Kind) : 'Instance';
}

/** Does an object carry the target's stamp? */
export function carries(tags: Tags | undefined, stamp: Target['stamp']): boolean {
  const found = stampOf(tags);
  return (
    found?.broker === stamp.broker &&
    found.resource === stamp.resource &&
    (stamp.attempt === undefined || found.attempt === stamp.attempt)
  );
}
