import { hash } from 'node:crypto';
import type { InstanceWant, Kind, Stamp, Target, Want } from '../contract.ts';
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
  /** Of what was adopted and is no machine, which has kept its name: the kind of the resource, in small letters. */
  kind: 'landfall-kind',
  /** Of an address that was released: its description says whose it was, for ever. */
  released: 'landfall-released',
} as const;

function digest(stamp: Stamp): string {
  return hash('sha256', `${stamp.broker}\n${stamp.resource}\n${stamp.attempt}`);
}

/**
 * Idempotency token of one attempt: `requestId` has to be a UUID. `after`: the operation that failed before, see `create`.
 */
export function requestId(stamp: Stamp, after = ''): string {
  const hex = hash('sha256', `${digest(stamp)}${after}`);
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

const short = (text: string, length: number) => hash('sha256', text).slice(0, length);

/**
 * Name of what is made for a resource of any other kind: the same for every call, so that there can be only one, and such that
 * a pattern finds all of a broker's, or of a resource's. `part`: of a child, what it is. At most 63 characters.
 */
export function objectName(stamp: Stamp, part?: string): string {
  const name = `landfall-${short(stamp.broker, 10)}-${short(`${stamp.broker}\n${stamp.resource}`, 20)}-${stamp.attempt}`;
  return part === undefined ? name : `${name}-${part}`;
}

/** Part of a subnetwork: a user's name may be too long for Google, or no name there. */
export const partOfSubnet = (name: string): string => `s${short(name, 8)}`;

/** The child that a name is of, empty for the object itself; nothing when the name is none of `objectName`. */
export function partOfName(name: string): string | undefined {
  const found = /^landfall-[0-9a-f]{10}-[0-9a-f]{20}-\d+(?:-(.+))?$/.exec(name);
  return found ? (found[1] ?? '') : undefined;
}

/** A list's filter for what `objectName` names: not everything at Google has labels. */
export function nameFilter(stamp: Pick<Target['stamp'], 'broker'> & Partial<Target['stamp']>): string {
  const { broker, resource, attempt } = stamp;
  const of = resource === undefined ? '[0-9a-f]{20}' : short(`${broker}\n${resource}`, 20);
  return `name eq "landfall-${short(broker, 10)}-${of}-${attempt ?? '[0-9]+'}(-.+)?"`;
}

/** What an object without labels says of itself in its description, beside its stamp. */
export interface Described {
  region?: string;
  /** A network's range: Google's own networks have none. */
  cidr?: string;
  /** A subnetwork's name as the user gave it. */
  subnet?: string;
}

export function descriptionOf({ broker, project, resource, attempt }: Stamp, more: Described = {}): string {
  return JSON.stringify({ landfall: { broker, project, resource, attempt, ...more } });
}

/** @returns nothing for a description that is not ours. */
export function readDescription(text: string | null | undefined): (Stamp & Described) | undefined {
  if (!text?.startsWith('{"landfall":')) return undefined;
  try {
    const { broker, project, resource, attempt, ...more } = JSON.parse(text).landfall as Stamp & Described;
    if (!broker || !resource || typeof project !== 'string' || !Number.isInteger(attempt)) return undefined;
    return { broker, project, resource, attempt, ...more };
  } catch {
    // Somebody else's words that begin like ours.
    return undefined;
  }
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

/** The stamp of what was adopted: its kind is in no name of ours. */
export function adoptedAsLabels(stamp: Stamp, kind: Kind): Labels {
  return { ...stampAsLabels(stamp), [stampLabels.kind]: kind.toLowerCase() };
}

/** The labels without what is ours. */
export function withoutStamp(labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([key]) => !ours.has(key)));
}

const ours = new Set<string>(Object.values(stampLabels));

/** Name and labels as Google's labels: what may change later. @throws ProviderError `Invalid`. */
export function mutableLabels(spec: Pick<InstanceWant, 'name' | 'labels'>): Labels {
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
    ...(spec.image ? checked({ [stampLabels.user]: spec.image.user }, '/image/user') : {}),
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
  return isOf(stampOf(labels), stamp);
}

/** Is this the target's stamp? */
export function isOf(found: Stamp | undefined, stamp: Target['stamp']): boolean {
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
