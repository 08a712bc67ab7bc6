/** `landfall start|stop|reboot|resize|delete`. */
import type { Operation } from '@landfall/model';
import { type Broker, body, idempotencyKey } from '../connection/broker.ts';
import { adoptedThing, type Target, targetsOfManifests } from '../deletion.ts';
import { exitCodes, ProblemError, usageError } from '../errors.ts';
import { instanceKind, type Kind, notFound } from '../kinds.ts';
import { readManifests } from '../manifests/read.ts';
import type { Session } from '../session.ts';
import { operationExitCode, type Pending, waitForOperations } from '../waiting.ts';
import { kindAndNames } from './get.ts';
import { parseTimeout } from './operation.ts';

/** Flags of commands that may wait. */
export interface WaitFlags {
  wait?: boolean;
  timeout?: string;
}

/** A change of power. */
export type Action = 'start' | 'stop' | 'reboot';

const asked: Record<Action, string> = { start: 'starting', stop: 'stopping', reboot: 'rebooting' };

function instanceNames(kindWord: string, given: string[]): string[] {
  const [kind, names] = kindAndNames(kindWord, given);
  if (kind !== instanceKind)
    throw usageError(`A ${kind.singular} has no power and no size; name an instance.`);
  if (names.length === 0) throw usageError('Which instance?', '`landfall get instances` lists them.');
  return names;
}

/** Starts, stops or reboots instances. */
export async function act(
  session: Session,
  action: Action,
  kindWord: string,
  given: string[],
  flags: WaitFlags,
): Promise<number> {
  const { broker } = session;
  const pending: Pending[] = [];
  for (const name of instanceNames(kindWord, given)) {
    const params = { path: { project: broker.project, instance: name }, header: idempotencyKey() };
    const operation = await subjectOf(`instance/${name}`, () => post(broker, action, params));
    pending.push({ subject: `instance/${name}`, operation });
    if (!session.structured) session.out(`instance/${name} ${asked[action]}\n`);
  }
  return finish(session, pending, flags);
}

function post(
  { client }: Broker,
  action: Action,
  params: { path: { project: string; instance: string } },
): Promise<Operation> {
  switch (action) {
    case 'start':
      return body(client.POST('/v1/projects/{project}/instances/{instance}/start', { params }));
    case 'stop':
      return body(client.POST('/v1/projects/{project}/instances/{instance}/stop', { params }));
    case 'reboot':
      return body(client.POST('/v1/projects/{project}/instances/{instance}/reboot', { params }));
  }
}

/** Names what a problem is about. */
async function subjectOf<T>(subject: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (error instanceof ProblemError) error.subject = subject;
    throw error;
  }
}

/** The sizes that `resize` takes. */
export interface SizeFlags extends WaitFlags {
  vcpus?: string;
  memory?: string;
  disk?: string;
}

/** Changes an instance's size where it stands. */
export async function resize(
  session: Session,
  kindWord: string,
  given: string[],
  flags: SizeFlags,
): Promise<number> {
  const names = instanceNames(kindWord, given);
  const size = {
    vcpus: amount('--vcpus', flags.vcpus),
    memoryGiB: amount('--memory', flags.memory),
    diskGiB: amount('--disk', flags.disk),
  };
  if (Object.values(size).every((value) => value === undefined))
    throw usageError('Give --vcpus, --memory or --disk.');
  const { broker } = session;
  const pending: Pending[] = [];
  for (const name of names) {
    const params = { path: { project: broker.project, instance: name }, header: idempotencyKey() };
    const operation = await subjectOf(`instance/${name}`, () =>
      body(broker.client.POST('/v1/projects/{project}/instances/{instance}/resize', { params, body: size })),
    );
    pending.push({ subject: `instance/${name}`, operation });
    if (!session.structured) session.out(`instance/${name} resizing\n`);
  }
  return finish(session, pending, flags);
}

/** `1`, `0.25`, also with the unit that the field has: `4GiB`. */
function amount(flag: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const value = Number(given.replace(flag === '--vcpus' ? /$^/ : /\s*Gi?B?$/i, ''));
  if (!Number.isFinite(value) || value <= 0)
    throw usageError(`${flag} must be a number above 0, not "${given}".`);
  return value;
}

/** Waits where that is asked for, and shows the operations. */
export async function finish(session: Session, pending: Pending[], flags: WaitFlags): Promise<number> {
  let operations = pending.map(({ operation }) => operation).filter(Boolean);
  let code: number = exitCodes.ok;
  if (flags.wait) {
    const waitable = pending.filter(({ operation }) => Boolean(operation));
    operations = await waitForOperations(session, waitable, parseTimeout(flags.timeout));
    for (const operation of operations) code ||= operationExitCode(operation);
  }
  if (session.structured)
    session.outStructured(operations.length === 1 ? operations[0] : { items: operations });
  return code;
}

/** Flags of `delete`. */
export interface DeleteFlags extends WaitFlags {
  file: string[];
  dryRun?: boolean;
  ignoreNotFound?: boolean;
}

/** Deletes what is named, or what the manifests name (in reverse order of applying). */
export async function remove(
  session: Session,
  kindWord: string | undefined,
  given: string[],
  flags: DeleteFlags,
): Promise<number> {
  const targets = await targetsOf(session, kindWord, given, flags);
  const pending: Pending[] = [];
  let code: number = exitCodes.ok;
  for (const [index, { kind, name, broker }] of targets.entries()) {
    if (!kind.remove)
      throw usageError(
        `${kind.plural} cannot be deleted.`,
        kind.kind === 'Operation' ? 'Cancel it: `landfall operation cancel <id>`.' : undefined,
      );
    const subject = `${kind.singular}/${name}`;
    const isMachine = kind === (instanceKind as Kind<unknown>);
    const known = isMachine || kind.inProject ? await kind.get?.(broker, name) : undefined;
    const adopted = known ? adoptedThing(known) : undefined;
    const result = await subjectOf(subject, () => kind.remove!(broker, name, flags.dryRun === true));
    if (result === false) {
      if (flags.ignoreNotFound) continue;
      const error = notFound(kind, name, broker);
      if (targets.length === 1) throw error;
      session.notice(error.message);
      code ||= error.exitCode;
      continue;
    }
    if (typeof result === 'object') pending.push({ subject, operation: result });
    if (!session.structured)
      session.out(
        `${subject} ${typeof result === 'object' ? 'deleting' : 'deleted'}${flags.dryRun ? ' (dry run)' : ''}\n`,
      );
    if (adopted && !session.structured)
      session.notice(
        `${subject} was adopted: the ${isMachine ? 'machine' : kind.singular} ${adopted} itself ${flags.dryRun ? 'would be' : 'is being'} deleted${isMachine ? ', with its disk' : ''}.`,
      );
    // Sites and projects can go only when the instances before them in the list are gone.
    const next = targets[index + 1];
    if (flags.wait && next && next.kind !== kind && pending.length > 0) {
      for (const operation of await waitForOperations(
        session,
        pending.splice(0),
        parseTimeout(flags.timeout),
      ))
        code ||= operationExitCode(operation);
    }
  }
  return code || finish(session, pending, flags);
}

async function targetsOf(
  session: Session,
  kindWord: string | undefined,
  given: string[],
  flags: DeleteFlags,
): Promise<Target[]> {
  if (flags.file.length > 0) {
    if (kindWord !== undefined) throw usageError('Give a kind and names, or -f, not both.');
    const manifests = await readManifests(flags.file, session.terminal);
    return targetsOfManifests(session, manifests);
  }
  if (kindWord === undefined) throw usageError('Delete what?', 'Give a kind and a name, or -f <file>.');
  const [kind, names] = kindAndNames(kindWord, given);
  if (names.length === 0)
    throw usageError(`Which ${kind.singular}?`, `\`landfall get ${kind.plural}\` lists them.`);
  return names.map((name) => ({ kind, name, broker: session.broker }));
}
