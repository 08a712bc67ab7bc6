/** `landfall replace`: another machine in the place of one that is lost. */
import { body, idempotencyKey } from '../connection/broker.ts';
import { exitCodes, ProblemError, usageError } from '../errors.ts';
import { instanceKind } from '../kinds.ts';
import { confirmed } from '../prompt.ts';
import type { Session } from '../session.ts';
import type { Pending } from '../waiting.ts';
import { kindAndNames } from './get.ts';
import { finish, type WaitFlags } from './lifecycle.ts';

/** Flags of `replace`. */
export interface ReplaceFlags extends WaitFlags {
  image?: string;
  sshKey?: string[];
  yes?: boolean;
}

/** Asks first, since what was on the boot disk does not come back. */
export async function replace(
  session: Session,
  kindWord: string,
  given: string[],
  flags: ReplaceFlags,
): Promise<number> {
  const [kind, names] = kindAndNames(kindWord, given);
  if (kind !== instanceKind) throw usageError(`A ${kind.singular} is not replaced; name an instance.`);
  if (names.length === 0)
    throw usageError(
      'Which instance?',
      '`landfall get instances --filter state=Lost` lists those that are lost.',
    );
  const { client, project } = session.broker;
  const replacement = { image: flags.image, sshKeys: flags.sshKey };
  const pending: Pending[] = [];
  let code: number = exitCodes.ok;
  for (const name of names) {
    const subject = `instance/${name}`;
    const ask = (validateOnly: boolean) =>
      body(
        client.POST('/v1/projects/{project}/instances/{instance}/replace', {
          params: { path: { project, instance: name }, query: { validateOnly }, header: idempotencyKey() },
          body: replacement,
        }),
      ).catch((error: unknown) => {
        if (error instanceof ProblemError) error.subject = subject;
        throw error;
      });
    // A refusal comes before the question.
    await ask(true);
    if (!flags.yes)
      session.notice(
        `Another machine takes the place of ${subject}. What was on the boot disk of the lost one is gone for good; volumes and addresses are attached to the new one.`,
      );
    if (!(await confirmed(session, `Replace ${subject}?`, flags))) {
      session.notice(`${subject} was left as it is.`);
      code = exitCodes.failed;
      continue;
    }
    pending.push({ subject, operation: await ask(false) });
    if (!session.structured) session.out(`${subject} replacing\n`);
  }
  return (await finish(session, pending, flags)) || code;
}
