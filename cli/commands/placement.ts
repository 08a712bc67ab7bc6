/** `landfall plan` and `landfall explain`: where, and why. */
import type { Decision, Instance, NewInstanceSpec } from '@landfall/model';
import { type Broker, body, bodyIfFound, idempotencyKey } from '../connection/broker.ts';
import { CommandError, exitCodes, isAboutRequest, usageError } from '../errors.ts';
import { instanceKind, kindNamed, notFound } from '../kinds.ts';
import { locateIn, type Manifest, manifestError, manifestSubject } from '../manifests/manifest.ts';
import { readManifests } from '../manifests/read.ts';
import type { PlannedBatch } from '../output/batch.ts';
import { renderDecision } from '../output/decision.ts';
import { renderFailure } from '../output/problem.ts';
import type { Session } from '../session.ts';
import { kindAndNames } from './get.ts';
import { planTogether, showBatches } from './plan-batch.ts';

/** What ends a plan of several requests, the gravest last. */
const GRAVITY: readonly number[] = [exitCodes.ok, exitCodes.failed, exitCodes.refused, exitCodes.usage];

/**
 * Where each Instance of the manifests would land; several together. Exit code 1 when one fits nowhere, 7 when a policy
 * refuses one whatever is on offer.
 */
export async function plan(
  session: Session,
  flags: { file: string[]; full?: boolean; count?: string },
): Promise<number> {
  const count = countOf(flags.count);
  const manifests = await readManifests(flags.file, session.terminal);
  const instances = manifests.filter((manifest) => manifest.kind === 'Instance');
  if (instances.length === 0) throw usageError(`${flags.file.join(', ')}: no Instance in there to plan.`);
  const many = instances.length > 1 || count > 1;
  // Rules of a request's own cannot be in a batch.
  const alone = instances.filter((manifest) => !many || hasOwnRules(manifest));
  if (alone.length > 0 && count > 1)
    throw manifestError(
      alone[0]!.source,
      ['spec', 'placement', 'rules'],
      'spec.placement.rules: an Instance with rules of its own is planned without --count',
    );
  let code: number = exitCodes.ok;
  const note = (other: number): void => {
    if (GRAVITY.indexOf(other) > GRAVITY.indexOf(code)) code = other;
  };
  const batches: PlannedBatch[] = [];
  for (const together of byProject(instances.filter((manifest) => !alone.includes(manifest)))) {
    const batch = await planTogether(session, together, count);
    if (typeof batch === 'number') {
      note(batch);
      continue;
    }
    if (batch.decision.unplaced.length > 0) note(exitCodes.failed);
    batches.push(batch);
  }
  if (!session.structured) showBatches(session, batches, flags.full === true);
  const decisions: { name: string; decision: Decision }[] = [];
  for (const [index, manifest] of alone.entries()) {
    const decision = await planOne(session, manifest);
    if (typeof decision === 'number') {
      note(decision);
      continue;
    }
    if (decision.outcome !== 'placed') note(exitCodes.failed);
    decisions.push({ name: manifest.name, decision });
    if (session.structured) continue;
    if (index > 0 || batches.length > 0) session.out('\n');
    session.out(
      renderDecision(decision, {
        subject: manifestSubject(manifest),
        paint: session.paint,
        wide: session.format === 'wide',
        full: flags.full === true,
      }),
    );
  }
  if (session.structured) session.outStructured(structured(batches, decisions));
  return code;
}

/** One answer as it is; several as items. */
function structured(batches: PlannedBatch[], decisions: { name: string; decision: Decision }[]): unknown {
  const items = [...batches.map(({ decision, ...asked }) => ({ ...asked, ...decision })), ...decisions];
  if (items.length !== 1) return { items };
  return decisions[0]?.decision ?? items[0];
}

function countOf(given: string | undefined): number {
  if (given === undefined) return 1;
  if (!/^[1-9][0-9]{0,4}$/.test(given) || Number(given) > 10_000)
    throw usageError(`--count ${given}: must be a whole number from 1 to 10000.`);
  return Number(given);
}

function hasOwnRules({ spec }: Manifest): boolean {
  const { rules } = (spec.placement ?? {}) as { rules?: unknown };
  return Array.isArray(rules) && rules.length > 0;
}

function byProject(instances: readonly Manifest[]): Manifest[][] {
  return [...Map.groupBy(instances, ({ project }) => project).values()];
}

/** The decision; or the exit code where the request is refused, which is told. */
async function planOne(session: Session, manifest: Manifest): Promise<Decision | number> {
  const broker = session.brokerFor(manifest.project);
  try {
    return await body(
      broker.client.POST('/v1/projects/{project}/placements', {
        params: { path: { project: broker.project }, header: idempotencyKey() },
        body: { name: manifest.name, labels: manifest.labels, spec: manifest.spec as NewInstanceSpec },
      }),
    );
  } catch (error) {
    if (!isAboutRequest(error)) throw error;
    error.subject = manifestSubject(manifest);
    session.terminal.err(renderFailure(error, { paint: session.paintErr, locate: locateIn(manifest) }));
    return error.exitCode;
  }
}

/** The recorded decision of an instance, or one by its id. */
export async function explain(
  session: Session,
  kindWord: string,
  given: string[],
  flags: { full?: boolean },
): Promise<number> {
  const [kind, names] = kindAndNames(kindWord, given);
  const [name] = names;
  if (name === undefined || names.length > 1)
    throw usageError('Explain one thing: `landfall explain instance <name>`.');
  const { broker } = session;
  let decision: Decision | undefined;
  let about: string;
  if (kind === instanceKind) {
    const instance = await instanceKind.get!(broker, name);
    if (!instance) throw notFound(kind, name, broker);
    decision = await decisionOf(broker, instance);
    about = `instance/${instance.name}`;
    if (!decision) {
      const message = instance.status.message ? `: ${instance.status.message}` : '';
      throw new CommandError(
        `No decision is recorded for ${about} yet (it is ${instance.status.state}${message}).`,
      );
    }
  } else if (kind === kindNamed('decision')) {
    decision = (await kind.get!(broker, name)) as Decision | undefined;
    if (!decision) throw notFound(kind, name, broker);
    about = decision.resource
      ? `${decision.resource.kind.toLowerCase()}/${decision.resource.name}`
      : `decision/${name}`;
  } else {
    throw usageError(`A ${kind.singular} is not placed; explain an instance or a decision.`);
  }
  if (session.structured) session.outStructured(decision);
  else
    session.out(
      renderDecision(decision, {
        subject: about,
        paint: session.paint,
        wide: session.format === 'wide',
        full: flags.full === true,
      }),
    );
  return exitCodes.ok;
}

/** The decision that put the instance where it is; the latest one where it is nowhere yet. */
export async function decisionOf(broker: Broker, instance: Instance): Promise<Decision | undefined> {
  const path = { project: instance.project };
  const id = instance.status.decision;
  if (id !== undefined) {
    const params = { path: { ...path, decision: id } };
    return (await bodyIfFound(broker.client.GET('/v1/projects/{project}/decisions/{decision}', { params })))
      ?.body;
  }
  const query = { filter: `resource=${instance.id}`, pageSize: 1 };
  const latest = await body(
    broker.client.GET('/v1/projects/{project}/decisions', { params: { path, query } }),
  );
  return latest.items[0];
}
