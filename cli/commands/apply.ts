/** `landfall apply` and `landfall site add`. */
import type { Instance } from '@landfall/model';
import { pricePerHour } from '@landfall/model/quantities.ts';
import { type Applied, applyAll, startedOperations } from '../apply/apply.ts';
import { CommandError, exitCodes, usageError } from '../errors.ts';
import { mainAddress } from '../kind-columns.ts';
import { instanceKind, notFound } from '../kinds.ts';
import { type Manifest, manifestSubject } from '../manifests/manifest.ts';
import { readManifests } from '../manifests/read.ts';
import type { Session } from '../session.ts';
import { pause } from '../terminal.ts';
import { operationExitCode, sessionProgress, waitForOperations } from '../waiting.ts';
import { parseTimeout } from './operation.ts';

/** Flags of `apply`. */
export interface ApplyFlags {
  file: string[];
  wait?: boolean;
  dryRun?: boolean;
  defaultKey?: boolean;
  timeout?: string;
}

/** Applies manifests; with `--wait`, until all that was started has ended. */
export async function apply(session: Session, flags: ApplyFlags): Promise<number> {
  const timeout = parseTimeout(flags.timeout);
  return applyManifests(session, await readManifests(flags.file, session.terminal), flags, timeout);
}

/** Applies the sites of a manifest, which must have nothing else. */
export async function addSites(session: Session, flags: ApplyFlags): Promise<number> {
  const manifests = await readManifests(flags.file, session.terminal);
  const other = manifests.find((manifest) => manifest.kind !== 'Site');
  if (other)
    throw usageError(`${manifestSubject(other)} is not a site.`, 'Use `landfall apply -f` for other kinds.');
  return applyManifests(session, manifests, flags, undefined);
}

async function applyManifests(
  session: Session,
  manifests: Manifest[],
  flags: ApplyFlags,
  timeout: number | undefined,
): Promise<number> {
  const dryRun = flags.dryRun === true;
  const applied = await applyAll(session, manifests, { dryRun, defaultKey: flags.defaultKey !== false });
  let code: number = firstFailure(applied);
  if (flags.wait && !dryRun) {
    const ended = await waitForOperations(session, startedOperations(applied), timeout);
    for (const operation of ended) code ||= operationExitCode(operation);
    code ||= await settle(session, applied, timeout);
    if (!session.structured) await tellWhere(session, applied);
  }
  if (session.structured) session.outStructured({ items: applied.map(resultOf) });
  return code;
}

function firstFailure(applied: Applied[]): number {
  const failed = applied.find(({ error }) => error !== undefined);
  return failed
    ? failed.error instanceof CommandError
      ? failed.error.exitCode
      : exitCodes.failed
    : exitCodes.ok;
}

function resultOf({ manifest, outcome, error }: Applied): object {
  return {
    kind: manifest.kind,
    name: manifest.name,
    result: outcome?.action ?? 'failed',
    ...(outcome?.operation ? { operation: outcome.operation.id } : {}),
    ...(error instanceof Error ? { error: error.message } : {}),
  };
}

const onTheWay = new Set([
  'Pending',
  'Adopting',
  'Provisioning',
  'Starting',
  'Stopping',
  'Rebooting',
  'Resizing',
]);

/** Waits for instances that an earlier apply may have started. */
async function settle(session: Session, applied: Applied[], timeout: number | undefined): Promise<number> {
  const { interrupted } = session.terminal;
  const progress = sessionProgress(session);
  const deadline = timeout === undefined ? undefined : Date.now() + timeout;
  let code: number = exitCodes.ok;
  for (const { manifest, outcome } of applied) {
    if (!outcome?.settles || outcome.operation) continue;
    const { broker, name } = outcome.settles;
    const subject = manifestSubject(manifest);
    for (let waited = false; ; waited = true) {
      const instance = await instanceKind.get!(broker, name);
      if (!instance) throw notFound(instanceKind, name, broker);
      const { state, message } = instance.status;
      const text = message ? `${state}: ${message}` : state;
      if (state === 'Failed' || state === 'Lost') {
        progress.end(subject, text, false);
        code ||= exitCodes.failed;
        break;
      }
      if (!onTheWay.has(state) && instance.status.observedGeneration >= instance.generation) {
        if (waited) progress.end(subject, text, true);
        break;
      }
      progress.update(subject, text);
      if (deadline !== undefined && Date.now() >= deadline)
        throw new CommandError(`${subject} is still ${state}; it goes on in the broker.`);
      await pause(1000, interrupted);
      if (interrupted.aborted) {
        progress.stop();
        throw new CommandError(`Interrupted; ${subject} goes on in the broker.`, {
          exitCode: exitCodes.interrupted,
          hint: `Follow it with \`landfall get instance ${name} --watch\`.`,
        });
      }
    }
  }
  return code;
}

/** A line on standard error per instance that runs: where, at what price, and how to log in. */
async function tellWhere(session: Session, applied: Applied[]): Promise<void> {
  for (const { manifest, outcome } of applied) {
    if (manifest.kind !== 'Instance' || !outcome || outcome.action === 'unchanged') continue;
    const instance = await instanceKind.get!(session.brokerFor(manifest.project), manifest.name);
    if (instance?.status.state === 'Running') session.notice(whereLine(instance));
  }
}

function whereLine({ name, status }: Instance): string {
  const place = [status.site, status.region, status.host]
    .filter((part, index, all) => part && all.indexOf(part) === index)
    .join('/');
  const price =
    status.pricePerHour === undefined
      ? ''
      : ` for ${pricePerHour(status.pricePerHour, status.currency)} an hour`;
  const address = mainAddress(status);
  return `${name} runs at ${place}${price}${address ? `, ${address}` : ''}${status.ssh ? `. Log in: landfall ssh ${name}` : ''}`;
}
