/** `landfall release`: lets go of machines, volumes, networks and the like without deleting them. */
import { type Released, releasable, requestRelease, whatStays } from '../adoption.ts';
import { exitCodes, ProblemError, usageError } from '../errors.ts';
import { notFound } from '../kinds.ts';
import { confirmed } from '../prompt.ts';
import type { Session } from '../session.ts';
import type { Pending } from '../waiting.ts';
import { kindAndNames } from './get.ts';
import { finish, type WaitFlags } from './lifecycle.ts';

/** Flags of `release`. */
export interface ReleaseFlags extends WaitFlags {
  yes?: boolean;
  dryRun?: boolean;
  ignoreNotFound?: boolean;
}

/** Says what becomes of each, asks once, and lets go of them. */
export async function release(
  session: Session,
  kindWord: string,
  given: string[],
  flags: ReleaseFlags,
): Promise<number> {
  const [kind, names] = kindAndNames(kindWord, given);
  if (!(releasable as readonly string[]).includes(kind.kind))
    throw usageError(
      `A ${kind.singular} cannot be released; an instance, a volume, a snapshot, an image of yours, a network or an address can.`,
    );
  if (names.length === 0)
    throw usageError(`Which ${kind.singular}?`, `\`landfall get ${kind.plural}\` lists them.`);
  const { broker } = session;
  const items: Released[] = [];
  for (const name of names) {
    const found = await kind.get!(broker, name);
    if (found) items.push(found as Released);
    else if (!flags.ignoreNotFound) throw notFound(kind, name, broker);
  }
  if (items.length === 0) return exitCodes.ok;
  if (!session.structured)
    for (const item of items)
      session.notice(`${kind.singular}/${item.name}: ${whatStays(item).join('\n  ')}`);
  const subjects = items.map(({ name }) => `${kind.singular}/${name}`).join(', ');
  if (!flags.dryRun && !(await confirmed(session, `Release ${subjects}?`, flags))) {
    session.notice('Nothing was released.');
    return exitCodes.failed;
  }
  const pending: Pending[] = [];
  for (const item of items) {
    const subject = `${kind.singular}/${item.name}`;
    try {
      const operation = await requestRelease(broker.client, item, flags.dryRun);
      if (operation) pending.push({ subject, operation });
    } catch (error) {
      if (error instanceof ProblemError) error.subject = subject;
      throw error;
    }
    if (!session.structured)
      session.out(`${subject} ${flags.dryRun ? 'can be released (dry run)' : 'releasing'}\n`);
  }
  return flags.dryRun ? exitCodes.ok : finish(session, pending, flags);
}
