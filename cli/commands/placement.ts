/** `landfall plan` and `landfall explain`: where, and why. */
import type { Decision, Instance, InstanceSpec } from '@landfall/model';
import { type Broker, body, bodyIfFound, idempotencyKey } from '../connection/broker.ts';
import { CommandError, exitCodes, ProblemError, usageError } from '../errors.ts';
import { instanceKind, kindNamed, notFound } from '../kinds.ts';
import { locateIn, type Manifest, manifestSubject } from '../manifests/manifest.ts';
import { readManifests } from '../manifests/read.ts';
import { renderDecision } from '../output/decision.ts';
import { renderFailure } from '../output/problem.ts';
import type { Session } from '../session.ts';
import { kindAndNames } from './get.ts';

/** Where each Instance of the manifests would land. Exit code 1 when one fits nowhere. */
export async function plan(session: Session, flags: { file: string[] }): Promise<number> {
  const manifests = await readManifests(flags.file, session.terminal);
  const instances = manifests.filter((manifest) => manifest.kind === 'Instance');
  if (instances.length === 0) throw usageError(`${flags.file.join(', ')}: no Instance in there to plan.`);
  let code: number = exitCodes.ok;
  const decisions: { name: string; decision: Decision }[] = [];
  for (const [index, manifest] of instances.entries()) {
    const decision = await planOne(session, manifest);
    if (decision === undefined) {
      code = exitCodes.usage;
      continue;
    }
    if (decision.outcome !== 'placed' && code === exitCodes.ok) code = exitCodes.failed;
    decisions.push({ name: manifest.name, decision });
    if (session.structured) continue;
    if (index > 0) session.out('\n');
    session.out(
      renderDecision(decision, {
        subject: manifestSubject(manifest),
        paint: session.paint,
        wide: session.format === 'wide',
      }),
    );
  }
  if (session.structured)
    session.outStructured(
      instances.length === 1 && decisions[0] ? decisions[0].decision : { items: decisions },
    );
  return code;
}

async function planOne(session: Session, manifest: Manifest): Promise<Decision | undefined> {
  const broker = session.brokerFor(manifest.project);
  try {
    return await body(
      broker.client.POST('/v1/projects/{project}/placements', {
        params: { path: { project: broker.project }, header: idempotencyKey() },
        body: { name: manifest.name, labels: manifest.labels, spec: manifest.spec as InstanceSpec },
      }),
    );
  } catch (error) {
    if (!(error instanceof ProblemError) || error.exitCode !== exitCodes.usage) throw error;
    error.subject = manifestSubject(manifest);
    session.terminal.err(renderFailure(error, { paint: session.paintErr, locate: locateIn(manifest) }));
    return undefined;
  }
}

/** The recorded decision of an instance, or one by its id. */
export async function explain(session: Session, kindWord: string, given: string[]): Promise<number> {
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
      renderDecision(decision, { subject: about, paint: session.paint, wide: session.format === 'wide' }),
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
