import { createHash } from 'node:crypto';
import type { InstanceWant, Stamp, Target } from '../contract.ts';
import { ProviderError } from '../errors.ts';

/** Tag names that are ours; a user's label may not look like one. */
export const stampTags = {
  broker: 'landfall:broker',
  project: 'landfall:project',
  resource: 'landfall:resource',
  attempt: 'landfall:attempt',
  /** How many reboots were carried out. */
  reboots: 'landfall:reboots',
  /** The instance's name: the machine's own is made of the stamp. */
  name: 'landfall:name',
} as const;

export type Tags = Record<string, string>;

/** Azure's most per object, and what a tag's name may not contain. */
const mostTags = 50;
const forbidden = /[<>%&\\?/]/;

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Resource group of a broker in a region. Of its own, so that one region's outage stays its own. */
export function groupName(broker: string, region: string): string {
  return `landfall-${hash(broker).slice(0, 10)}-${region}`;
}

/**
 * Name of the attempt's machine and of every child of it. Azure's idempotency is the name: a repeated create meets what
 * the first one made (A1), and another broker's can never be met (A5).
 */
export function objectName(stamp: Stamp): string {
  return `lf-${stamp.resource}-${stamp.attempt}-${hash(`${stamp.broker}\n${stamp.resource}\n${stamp.attempt}`).slice(0, 8)}`;
}

/** The stamp as tags, for children. */
export function stampAsTags(stamp: Stamp): Tags {
  return {
    [stampTags.broker]: stamp.broker,
    [stampTags.project]: stamp.project,
    [stampTags.resource]: stamp.resource,
    [stampTags.attempt]: String(stamp.attempt),
  };
}

/** Name and labels as tags: what may change later. @throws ProviderError `Invalid` for a label that Azure cannot carry. */
export function mutableTags(spec: Pick<InstanceWant, 'name' | 'labels'>): Tags {
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

/** Does an object carry the target's stamp? */
export function carries(tags: Tags | undefined, stamp: Target['stamp']): boolean {
  const found = stampOf(tags);
  return (
    found?.broker === stamp.broker &&
    found.resource === stamp.resource &&
    (stamp.attempt === undefined || found.attempt === stamp.attempt)
  );
}
