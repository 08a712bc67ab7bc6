/** Makes what manifests say so: creates what is absent, changes what differs, leaves the rest. */
import { CommandError, exitCodes, ProblemError } from '../errors.ts';
import { type ManifestKind, manifestKinds } from '../manifests/fields.ts';
import { locateIn, type Manifest, manifestSubject } from '../manifests/manifest.ts';
import { renderFailure } from '../output/problem.ts';
import type { Session } from '../session.ts';
import type { Pending } from '../waiting.ts';
import { renderDifferences } from './compare.ts';
import { applyInstance } from './instance.ts';
import { applyPolicy, applySite, createOnly } from './others.ts';
import type { ApplyOptions, ApplySession, Outcome } from './outcome.ts';
import { applyResource } from './resource.ts';

/** One manifest's result. */
export interface Applied {
  manifest: Manifest;
  outcome?: Outcome;
  error?: unknown;
}

/** What others refer to first: kind by kind, but what one refers to before it; the order of the files within a kind. */
export function inOrder(manifests: readonly Manifest[]): Manifest[] {
  const byKind = [...manifests].sort((a, b) => manifestKinds.indexOf(a.kind) - manifestKinds.indexOf(b.kind));
  const ordered = new Set<Manifest>();
  const visited = new Set<Manifest>();
  const visit = (manifest: Manifest): void => {
    if (visited.has(manifest)) return;
    visited.add(manifest);
    for (const [kind, name] of referencesOf(manifest)) {
      const other = byKind.find((each) => each.kind === kind && each.name === name);
      if (other) visit(other);
    }
    ordered.add(manifest);
  };
  byKind.forEach(visit);
  return [...ordered];
}

/** What a manifest names, by kind and name. */
function referencesOf({ spec }: Manifest): [ManifestKind, unknown][] {
  const from = (spec.from ?? {}) as { instance?: string; snapshot?: string };
  return [
    ['Network', spec.network],
    ['Volume', spec.volume],
    ['Snapshot', spec.snapshot ?? from.snapshot],
    ['Instance', spec.attachedTo ?? from.instance],
    ['CustomImage', spec.image],
  ];
}

/**
 * Applies all; one that fails does not keep the others from being tried, since each says for itself
 * what it lacks.
 */
export async function applyAll(
  session: Session,
  manifests: readonly Manifest[],
  options: ApplyOptions,
): Promise<Applied[]> {
  const applied: Applied[] = [];
  for (const manifest of inOrder(manifests)) {
    try {
      const outcome = await applyOne(session, manifest, options);
      applied.push({ manifest, outcome });
      if (!session.structured) tellOutcome(session, manifest, outcome, options);
    } catch (error) {
      if (!(error instanceof CommandError) || isFatal(error)) throw error;
      if (error instanceof ProblemError) error.subject = manifestSubject(manifest);
      applied.push({ manifest, error });
      session.terminal.err(renderFailure(error, { paint: session.paintErr, locate: locateIn(manifest) }));
    }
  }
  return applied;
}

/** Failures that would meet every other manifest too. */
function isFatal(error: CommandError): boolean {
  const { exitCode } = error;
  return (
    exitCode === exitCodes.unreachable ||
    exitCode === exitCodes.interrupted ||
    (error instanceof ProblemError && error.problem.status === 401)
  );
}

function tellOutcome(session: Session, manifest: Manifest, outcome: Outcome, options: ApplyOptions): void {
  const colour = outcome.action === 'created' ? 'green' : outcome.action === 'configured' ? 'yellow' : 'dim';
  const suffix = options.dryRun ? ' (dry run)' : '';
  session.out(`${manifestSubject(manifest)} ${session.paint(colour, outcome.action)}${suffix}\n`);
  if (options.dryRun && outcome.differences)
    session.out(renderDifferences(outcome.differences, session.paint));
  if (outcome.notice) session.out(`  ${outcome.notice}\n`);
}

/** Applies one manifest, by the way of its kind. */
export function applyOne(session: ApplySession, manifest: Manifest, options: ApplyOptions): Promise<Outcome> {
  const broker = session.brokerFor(manifest.project);
  switch (manifest.kind) {
    case 'Instance':
      return applyInstance(session, broker, manifest, options);
    case 'Site':
      return applySite(broker, manifest, options);
    case 'PlacementPolicy':
      return applyPolicy(broker, manifest, options);
    case 'Network':
    case 'Firewall':
    case 'Volume':
    case 'Snapshot':
    case 'Address':
    case 'CustomImage':
      return applyResource(broker, { ...manifest, kind: manifest.kind }, options);
    default:
      return createOnly(broker, manifest, options);
  }
}

/** The operations that were started, with what they are about. */
export function startedOperations(applied: readonly Applied[]): Pending[] {
  return applied.flatMap(({ manifest, outcome }) =>
    outcome?.operation ? [{ subject: manifestSubject(manifest), operation: outcome.operation }] : [],
  );
}
