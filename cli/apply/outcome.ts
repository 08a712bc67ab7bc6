/** What applying one manifest came to. */
import type { Operation } from '@landfall/model';
import type { Broker } from '../connection/broker.ts';
import { CommandError, exitCodes } from '../errors.ts';
import { type Manifest, manifestSubject } from '../manifests/manifest.ts';
import type { Difference } from './compare.ts';

/** Flags of `apply`. */
export interface ApplyOptions {
  dryRun: boolean;
  defaultKey: boolean;
}

/** What became of one manifest. */
export interface Outcome {
  action: 'created' | 'configured' | 'unchanged';
  differences?: Difference[];
  operation?: Operation;
  /** More to say of a dry run: where it would land. */
  notice?: string;
  /** An instance left as it is may still be on its way. */
  settles?: { broker: Broker; name: string };
}

/** The error for fields that cannot change in place, one line a field. */
export function cannotChange(manifest: Manifest, fixed: Difference[], advice: string): CommandError {
  const lines = fixed.map(
    ({ field, from, to }) =>
      `  ${field}: ${JSON.stringify(from) ?? 'absent'} → ${JSON.stringify(to) ?? 'absent'}`,
  );
  return new CommandError(`${manifestSubject(manifest)} cannot change in place:\n${lines.join('\n')}`, {
    exitCode: exitCodes.conflict,
    hint: advice,
  });
}

/** All of a manifest's fields as additions, for a dry run. */
export function additions(manifest: Manifest): Difference[] {
  const flat = (value: unknown, field: string): Difference[] =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.entries(value).flatMap(([key, item]) => flat(item, `${field}.${key}`))
      : [{ field, from: undefined, to: value }];
  return [...flat(manifest.labels ?? {}, 'labels'), ...flat(manifest.spec, 'spec')];
}
