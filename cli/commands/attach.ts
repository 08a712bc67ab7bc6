/** `landfall attach|detach`: volumes and addresses, and the instance that they are at. */
import type { Operation } from '@landfall/model';
import { body, bodyIfFound } from '../connection/broker.ts';
import { exitCodes, ProblemError, usageError } from '../errors.ts';
import { notFound } from '../kinds.ts';
import { callsOf, type ResourceKind } from '../resource-kinds.ts';
import type { Session } from '../session.ts';
import type { Pending } from '../waiting.ts';
import { kindAndNames } from './get.ts';
import { finish, type WaitFlags } from './lifecycle.ts';

/** Attaches what is named to an instance, or, without one, detaches it. Already so is success. */
export async function attach(
  session: Session,
  kindWord: string,
  given: string[],
  flags: WaitFlags & { to?: string },
): Promise<number> {
  const [kind, names] = kindAndNames(kindWord, given);
  if (kind.kind !== 'Volume' && kind.kind !== 'Address')
    throw usageError(`A ${kind.singular} cannot be attached; a volume or an address can.`);
  if (names.length === 0)
    throw usageError(`Which ${kind.singular}?`, `\`landfall get ${kind.plural}\` lists them.`);
  const { broker } = session;
  const calls = callsOf(broker.client, kind.kind as ResourceKind);
  const attachedTo = flags.to?.replace(/^instance\//, '') ?? null;
  const pending: Pending[] = [];
  for (const name of names) {
    const path = { project: broker.project, resource: name };
    const subject = `${kind.singular}/${name}`;
    try {
      if (!(await bodyIfFound(calls.get(path)))) throw notFound(kind, name, broker);
      const params = { path, header: { 'If-Match': '*' }, query: { validateOnly: false } };
      const result = await body(calls.change(params, { spec: { attachedTo } }));
      const operation = (result as { kind: string }).kind === 'Operation' ? (result as Operation) : undefined;
      const doing = attachedTo ? `attaching to instance/${attachedTo}` : 'detaching';
      const already = attachedTo ? `already attached to instance/${attachedTo}` : 'already detached';
      if (operation) pending.push({ subject, operation });
      if (!session.structured) session.out(`${subject} ${operation ? doing : already}\n`);
    } catch (error) {
      if (error instanceof ProblemError) error.subject = subject;
      throw error;
    }
  }
  return pending.length === 0 ? exitCodes.ok : finish(session, pending, flags);
}
