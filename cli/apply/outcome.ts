/** What applying one manifest came to. */
import type { Decision, Instance, Operation } from '@landfall/model';
import type { Broker } from '../connection/broker.ts';
import { CommandError, exitCodes } from '../errors.ts';
import { type Manifest, manifestSubject } from '../manifests/manifest.ts';
import type { Session } from '../session.ts';
import type { Terminal } from '../terminal.ts';
import type { Difference } from './compare.ts';

/** Flags of `apply`. */
export interface ApplyOptions {
  dryRun: boolean;
  defaultKey: boolean;
}

/** What applying needs of its surroundings: a command's session has it, and an editor. */
export type ApplySession = Pick<Session, 'brokerFor' | 'notice'> & { terminal: Pick<Terminal, 'env'> };

/** What became of one manifest. */
export interface Outcome {
  action: 'created' | 'configured' | 'unchanged';
  differences?: Difference[];
  operation?: Operation;
  /** More to say of a dry run: where it would land. */
  notice?: string;
  /** Of a dry run that would create an instance: the whole of where and why. */
  decision?: Decision;
  /** The instance before it is changed. */
  before?: Instance;
  /** An instance left as it is may still be on its way. */
  settles?: { broker: Broker; name: string };
}

/** Fields that differ from what there is, and cannot change in place. */
export class CannotChangeError extends CommandError {
  readonly fixed: readonly Difference[];

  constructor(message: string, fixed: readonly Difference[], hint: string) {
    super(message, { exitCode: exitCodes.conflict, hint });
    this.fixed = fixed;
  }
}

/** The error for fields that cannot change in place, one line a field. */
export function cannotChange(manifest: Manifest, fixed: Difference[], advice: string): CannotChangeError {
  const lines = fixed.map(
    ({ field, from, to }) =>
      `  ${field}: ${JSON.stringify(from) ?? 'absent'} → ${JSON.stringify(to) ?? 'absent'}`,
  );
  const message = `${manifestSubject(manifest)} cannot change in place:\n${lines.join('\n')}`;
  return new CannotChangeError(message, fixed, advice);
}

/** All of a manifest's fields as additions, for a dry run. */
export function additions(manifest: Manifest): Difference[] {
  const flat = (value: unknown, field: string): Difference[] =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.entries(value).flatMap(([key, item]) => flat(item, `${field}.${key}`))
      : [{ field, from: undefined, to: value }];
  return [...flat(manifest.labels ?? {}, 'labels'), ...flat(manifest.spec, 'spec')];
}
