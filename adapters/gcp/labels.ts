import type { Stamp } from '../contract.ts';
import { type Labels, mutableLabels, stampAsLabels, stampLabels } from './stamp.ts';

/** What every kind is told for people. */
interface Named {
  name: string;
  labels: Record<string, string>;
}

/** The stamp, where one is given, the name and the labels, as Google's labels. @throws ProviderError `Invalid`. */
export function kindLabels(spec: Named, stamp?: Stamp): Labels {
  return { ...(stamp ? stampAsLabels(stamp) : {}), ...mutableLabels(spec) };
}

/** The object's labels as they should be, or nothing when they are. */
export function betterLabels({ labels }: { labels: Labels }, spec: Named): Labels | undefined {
  const wanted = mutableLabels(spec);
  const same = Object.entries(wanted).every(([key, value]) => labels[key] === value);
  return same ? undefined : { ...labels, ...wanted };
}

/** `name` and `labels`, where the object's differ from the wanted ones. */
export function differsInLabels({ labels }: { labels: Labels }, spec: Named): string[] {
  const diff: string[] = [];
  if (labels[stampLabels.name] !== spec.name) diff.push('name');
  if (Object.entries(spec.labels).some(([key, value]) => labels[key] !== value)) diff.push('labels');
  return diff;
}
