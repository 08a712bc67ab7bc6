/** What differs between a manifest and what there is, and whether it can change in place. */
import { createHash } from 'node:crypto';
import type { Instance } from '@landfall/model';
import type { Manifest } from '../manifests/manifest.ts';
import { type Paint, plainPaint, printable } from '../output/colours.ts';

/** One field that differs. */
export interface Difference {
  /** Dotted: `spec.vcpus`. */
  field: string;
  from: unknown;
  to: unknown;
}

type Tree = Record<string, unknown>;

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function canonical(value: unknown): string {
  // The API's lists of plain values are sets: their order means nothing.
  if (Array.isArray(value)) return JSON.stringify(value.map(canonical).sort());
  if (!isTree(value)) return JSON.stringify(value) ?? 'absent';
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return JSON.stringify(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, canonical(item)]),
  );
}

/** Fields that differ, leaf by leaf. Null, absent and empty maps or lists are the same. */
export function differences(from: unknown, to: unknown, field = ''): Difference[] {
  const empty = (value: unknown): boolean =>
    value === undefined || value === null || (typeof value === 'object' && Object.values(value).every(empty));
  if (empty(from) && empty(to)) return [];
  if (isTree(from) || isTree(to)) {
    const [before, after] = [isTree(from) ? from : {}, isTree(to) ? to : {}];
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => differences(before[key], after[key], field ? `${field}.${key}` : key));
  }
  return canonical(from) === canonical(to) ? [] : [{ field, from, to }];
}

/** `sha256:` of user data, as the broker shows it. */
export function userDataDigest(userData: string): string {
  return `sha256:${createHash('sha256').update(userData).digest('hex')}`;
}

/** The API's defaults, for fields whose absence from a manifest means the default. */
const instanceDefaults: Tree = { architecture: 'x86_64', market: 'onDemand', publicAddress: false };

/**
 * Fields that others than the manifest may set: commands (`stop`, `resize`) and the default key. One
 * that the manifest does not name is left as it is.
 */
const unowned = ['diskGiB', 'power', 'sshKeys'];

/** The fields of an instance's spec that the API changes in place. */
const changeable = ['vcpus', 'memoryGiB', 'diskGiB', 'power', 'ttl'];

/** What applying a manifest would do to the instance there is. */
export interface InstanceChange {
  differences: Difference[];
  /** Those that the API cannot change in place. */
  fixed: Difference[];
  /** The merge patch for the others. */
  patch: { labels?: Record<string, string | null>; spec?: Record<string, unknown> };
}

/** Compares a manifest with the instance it names. */
export function compareInstance(
  manifest: Pick<Manifest, 'spec' | 'labels'>,
  instance: Pick<Instance, 'spec' | 'labels'>,
): InstanceChange {
  const wanted: Tree = { ...instanceDefaults, ...manifest.spec };
  const actual: Tree = { ...instanceDefaults, ...instance.spec };
  for (const field of unowned) if (wanted[field] === undefined) wanted[field] = actual[field];
  if (typeof wanted.userData === 'string') wanted.userDataDigest = userDataDigest(wanted.userData);
  for (const tree of [wanted, actual]) {
    delete tree.userData;
    delete tree.reboots;
  }
  const found = differences(actual, wanted, 'spec');
  const root = (difference: Difference): string => difference.field.split('.')[1] ?? '';
  const fixed = found.filter((difference) => !changeable.includes(root(difference)));
  const patch: InstanceChange['patch'] = {};
  for (const difference of found) {
    if (fixed.includes(difference)) continue;
    patch.spec ??= {};
    patch.spec[root(difference)] = wanted[root(difference)] ?? null;
  }
  const labels = labelDifferences(manifest.labels, instance.labels);
  if (labels.length > 0) {
    patch.labels = Object.fromEntries(
      labels.map(({ field, to }) => [field.slice('labels.'.length), (to as string) ?? null]),
    );
  }
  return { differences: [...labels, ...found], fixed, patch };
}

/** Labels that differ; a manifest without labels leaves them as they are. */
export function labelDifferences(
  wanted: Record<string, string> | undefined,
  actual: Record<string, string> | undefined,
): Difference[] {
  if (wanted === undefined) return [];
  const names = [...new Set([...Object.keys(actual ?? {}), ...Object.keys(wanted)])];
  return names
    .filter((name) => actual?.[name] !== wanted[name])
    .map((name) => ({ field: `labels.${name}`, from: actual?.[name], to: wanted[name] }));
}

/** A site's spec with the defaults that the API fills in. */
export function siteWithDefaults(spec: Tree): Tree {
  const filled: Tree = {
    ...spec,
    overcommit: { vcpu: 4, ...(spec.overcommit as Tree | undefined) },
    credentials: { source: 'default', ...(spec.credentials as Tree | undefined) },
  };
  if (isTree(spec.pricing)) filled.pricing = { currency: 'USD', ...spec.pricing };
  return filled;
}

function shown(value: unknown): string {
  return printable(typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).replaceAll('\n', '\\n');
}

/** A line or two per field: what goes and what comes. */
export function renderDifferences(list: Difference[], paint: Paint = plainPaint): string {
  return list
    .map(({ field, from, to }) => {
      if (from === undefined || from === null) return `${paint('green', `  + ${field}: ${shown(to)}`)}\n`;
      if (to === undefined || to === null) return `${paint('red', `  - ${field}: ${shown(from)}`)}\n`;
      return `${paint('yellow', `  ~ ${field}: ${shown(from)} → ${shown(to)}`)}\n`;
    })
    .join('');
}
