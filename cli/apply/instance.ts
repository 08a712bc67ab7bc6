/** Applies one Instance. */
import type { Decision, Instance, NewInstanceSpec, Operation } from '@landfall/model';
import { pricePerHour, pricePerMonth } from '@landfall/model/quantities.ts';
import { answer, type Broker, body, bodyIfFound, idempotencyKey } from '../connection/broker.ts';
import { CommandError, exitCodes, ProblemError } from '../errors.ts';
import { type Manifest, manifestSubject } from '../manifests/manifest.ts';
import { printable } from '../output/colours.ts';
import { offerPlace } from '../output/places.ts';
import { compareInstance } from './compare.ts';
import { ensureProjectKey } from './default-key.ts';
import { type ApplyOptions, type ApplySession, additions, cannotChange, type Outcome } from './outcome.ts';

/** Status reports move the ETag too, so a stale one is read again this often. */
const attempts = 5;

/** Creates the instance, changes what differs, or leaves it. */
export async function applyInstance(
  session: ApplySession,
  broker: Broker,
  manifest: Manifest,
  options: ApplyOptions,
): Promise<Outcome> {
  const path = { project: broker.project, instance: manifest.name };
  for (let attempt = 1; ; attempt++) {
    const existing = await bodyIfFound(
      broker.client.GET('/v1/projects/{project}/instances/{instance}', { params: { path } }),
    );
    if (!existing || existing.body.status.state === 'Deleted')
      return create(session, broker, manifest, options);
    const instance = existing.body;
    if (instance.status.state === 'Deleting' || instance.deletedAt) {
      throw new CommandError(`${manifestSubject(manifest)} is being deleted.`, {
        exitCode: exitCodes.conflict,
        hint: `Apply again when it is gone: \`landfall delete instance ${manifest.name} --wait\`.`,
      });
    }
    const change = compareInstance(manifest, instance);
    if (change.fixed.length > 0) {
      const advice = `Delete it and apply again (\`landfall delete instance ${manifest.name} --wait\`), or give the new one another name.`;
      throw cannotChange(manifest, change.fixed, advice);
    }
    const settles = { broker, name: manifest.name };
    if (change.differences.length === 0) {
      const { state, message = '' } = instance.status;
      if (state !== 'Failed') return { action: 'unchanged', settles };
      const advice = `to try again: landfall delete instance ${manifest.name} --wait, and apply`;
      return { action: 'unchanged', notice: `it is Failed (${printable(message)}); ${advice}`, settles };
    }
    try {
      const changed = await body(
        broker.client.PATCH('/v1/projects/{project}/instances/{instance}', {
          params: { path, header: { 'If-Match': existing.etag }, query: { validateOnly: options.dryRun } },
          body: change.patch as never,
          headers: { 'Content-Type': 'application/merge-patch+json' },
        }),
      );
      const operation = isOperation(changed) ? changed : undefined;
      return { action: 'configured', differences: change.differences, operation, before: instance, settles };
    } catch (error) {
      if (attempt < attempts && error instanceof ProblemError && error.problem.status === 412) continue;
      throw error;
    }
  }
}

async function create(
  session: ApplySession,
  broker: Broker,
  manifest: Manifest,
  options: ApplyOptions,
): Promise<Outcome> {
  const spec = { ...manifest.spec } as NewInstanceSpec;
  const post = (validateOnly: boolean) =>
    answer(
      broker.client.POST('/v1/projects/{project}/instances', {
        params: { path: { project: broker.project }, header: idempotencyKey(), query: { validateOnly } },
        body: { name: manifest.name, labels: manifest.labels, spec },
      }),
    );
  // A dry run makes no key: which key a machine has does not change where it lands.
  if (options.defaultKey && !options.dryRun && spec.sshKeys === undefined)
    spec.sshKeys = [await ensureProjectKey(session, broker, () => post(true))];
  const { body: made } = await post(options.dryRun);
  if (isOperation(made)) return { action: 'created', differences: additions(manifest), operation: made };
  return { action: 'created', differences: additions(manifest), notice: landing(made), decision: made };
}

function isOperation(value: Operation | Instance | Decision): value is Operation {
  return 'kind' in value && value.kind === 'Operation';
}

/** One line on where a dry run would land. */
function landing({ winner, reasons }: Decision): string {
  if (!winner) return `would fit nowhere: ${reasons.join('; ')}`;
  const price = `${pricePerHour(winner.pricePerHour, winner.currency)} an hour, ${pricePerMonth(winner.pricePerMonth, winner.currency)} a month`;
  return `would land on ${offerPlace(winner)}: ${winner.instanceType}, ${price}`;
}
