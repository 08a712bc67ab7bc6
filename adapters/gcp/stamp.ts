import { createHash } from 'node:crypto';
import type { InstanceWant, Stamp, Target, Want } from '../contract.ts';
import { ProviderError } from '../errors.ts';

/** Labels of an object at Google. */
export type Labels = Record<string, string>;

/** Label keys that are ours; a user's label may not look like one. */
export const stampLabels = {
  broker: 'landfall-broker',
  project: 'landfall-project',
  resource: 'landfall-resource',
  attempt: 'landfall-attempt',
  /** How many reboots were carried out. */
  reboots: 'landfall-reboots',
  /** User to log in as: Compute Engine itself does not know it. */
  user: 'landfall-user',
  /** The instance's name as the user gave it: Compute Engine's own is unique in the zone and never changes. */
  name: 'landfall-name',
} as const;

function digest(stamp: Stamp): string {
  return createHash('sha256').update(`${stamp.broker}\n${stamp.resource}\n${stamp.attempt}`).digest('hex');
}

/**
 * Idempotency token of one attempt: `requestId` has to be a UUID. `after`: the operation that failed before, see `create`.
 */
export function requestId(stamp: Stamp, after = ''): string {
  const hex = createHash('sha256')
    .update(`${digest(stamp)}${after}`)
    .digest('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}

/** Name of the attempt's machine and of its disk: the same for every call, so that there can be only one in a zone (A1). */
export function machineName(stamp: Stamp): string {
  return `landfall-${digest(stamp).slice(0, 40)}`;
}

/** The stamp as labels, for a machine's children. @throws ProviderError `Invalid` for what is no label at Google. */
export function stampAsLabels(stamp: Stamp): Labels {
  return checked({
    [stampLabels.broker]: stamp.broker,
    [stampLabels.project]: stamp.project,
    [stampLabels.resource]: stamp.resource,
    [stampLabels.attempt]: String(stamp.attempt),
  });
}

/** Name and labels as Google's labels: what may change later. @throws ProviderError `Invalid`. */
export function mutableLabels(spec: InstanceWant): Labels {
  const reserved = Object.keys(spec.labels).find((key) => /^(landfall|goog)-/.test(key));
  if (reserved)
    throw new ProviderError('Invalid', `the label ${reserved} is reserved on Google Cloud`, {
      field: `/labels/${reserved}`,
    });
  return { ...checked({ [stampLabels.name]: spec.name }, '/name'), ...checked(spec.labels) };
}

/** All labels of a new machine. */
export function machineLabels({ spec, stamp }: Want<'Instance'>): Labels {
  return {
    ...stampAsLabels(stamp),
    ...checked({ [stampLabels.user]: spec.image.user }, '/image/user'),
    [stampLabels.reboots]: String(spec.reboots),
    ...mutableLabels(spec),
  };
}

function checked(labels: Labels, field?: string): Labels {
  for (const [key, value] of Object.entries(labels)) {
    const at = field ?? `/labels/${key}`;
    if (!/^[a-z][a-z0-9_-]{0,62}$/.test(key))
      throw new ProviderError(
        'Invalid',
        `the label ${key} cannot be one on Google Cloud: a key has a small letter first, then at most 62 of a-z 0-9 _ -`,
        { field: at },
      );
    if (!/^[a-z0-9_-]{0,63}$/.test(value))
      throw new ProviderError(
        'Invalid',
        `${field ?? `the label ${key}`}: '${value}' cannot be a label on Google Cloud: a value has at most 63 of a-z 0-9 _ -`,
        { field: at },
      );
  }
  return labels;
}

/** The stamp that an object carries, or nothing when it is not a broker's. */
export function stampOf(labels: Labels | null | undefined): Stamp | undefined {
  const broker = labels?.[stampLabels.broker];
  const project = labels?.[stampLabels.project];
  const resource = labels?.[stampLabels.resource];
  const attempt = Number(labels?.[stampLabels.attempt]);
  if (!broker || project === undefined || !resource || !Number.isInteger(attempt)) return undefined;
  return { broker, project, resource, attempt };
}

/** Does an object carry the target's stamp? */
export function carries(labels: Labels | null | undefined, stamp: Target['stamp']): boolean {
  const found = stampOf(labels);
  return (
    found?.broker === stamp.broker &&
    found.resource === stamp.resource &&
    (stamp.attempt === undefined || found.attempt === stamp.attempt)
  );
}

/** A list's filter for what carries the stamp. */
export function stampFilter(stamp: Pick<Target['stamp'], 'broker'> & Partial<Target['stamp']>): string {
  const terms = [`labels.${stampLabels.broker} = "${stamp.broker}"`];
  if (stamp.resource !== undefined) terms.push(`labels.${stampLabels.resource} = "${stamp.resource}"`);
  if (stamp.attempt !== undefined) terms.push(`labels.${stampLabels.attempt} = "${stamp.attempt}"`);
  return terms.join(' AND ');
}
