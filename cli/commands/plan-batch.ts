/** `landfall plan` of several machines: decided together, in one table a project. */
import type { NewInstanceSpec } from '@landfall/model';
import { body, idempotencyKey } from '../connection/broker.ts';
import { isAboutRequest } from '../errors.ts';
import { locateIn, type Manifest, manifestSubject } from '../manifests/manifest.ts';
import { type PlannedBatch, renderBatch } from '../output/batch.ts';
import { type Locate, renderFailure } from '../output/problem.ts';
import type { Session } from '../session.ts';

/** Where `count` machines of each of a project's Instances would land; the exit code when they are refused, which is told. */
export async function planTogether(
  session: Session,
  instances: readonly Manifest[],
  count: number,
): Promise<PlannedBatch | number> {
  const broker = session.brokerFor(instances[0]!.project);
  try {
    const decision = await body(
      broker.client.POST('/v1/projects/{project}/placementBatches', {
        params: { path: { project: broker.project }, header: idempotencyKey() },
        body: {
          requests: instances.map(({ name, labels, spec }) => ({
            name,
            labels,
            spec: spec as NewInstanceSpec,
            count,
          })),
          gap: 1e-3,
        },
      }),
    );
    return { project: broker.project, requests: instances.map(({ name }) => ({ name, count })), decision };
  } catch (error) {
    if (!isAboutRequest(error)) throw error;
    if (instances.length === 1) error.subject = manifestSubject(instances[0]!);
    session.terminal.err(renderFailure(error, { paint: session.paintErr, locate: locateInBatch(instances) }));
    return error.exitCode;
  }
}

/** Maps `/requests/3/spec/vcpus` to the place in the fourth manifest. */
function locateInBatch(instances: readonly Manifest[]): Locate {
  return (pointer) => {
    const [, index, rest = ''] = /^\/requests\/(\d+)(\/.*)?$/.exec(pointer) ?? [];
    const manifest = index === undefined ? undefined : instances[Number(index)];
    return manifest && locateIn(manifest)(rest);
  };
}

/** Writes batches for a reader. */
export function showBatches(session: Session, batches: readonly PlannedBatch[], full: boolean): void {
  const shown = batches.map((batch) =>
    renderBatch(batch, {
      paint: session.paint,
      wide: session.format === 'wide',
      full,
      ...(batches.length > 1 ? { title: `project ${batch.project}` } : {}),
    }),
  );
  session.out(shown.join('\n'));
}
