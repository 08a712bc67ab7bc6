/** Placement for those who only ask: the dry run behind `plan` and `validateOnly`. No Temporal, nothing is claimed. */
import type { Decision, Schemas } from '@landfall/model';
import { warmUpBatches } from '@landfall/policies';
import { type Db, EstateReader, TiedPlaces } from '@landfall/store';
import { type AdmissionRefusal, admissionRefusals } from './admission.ts';
import { runPlacement } from './place.ts';
import { type BatchSubject, readPolicies, runBatch } from './place-batch.ts';
import {
  narrowedTo,
  type PlacementSubject,
  placementRequest,
  policiesInForce,
  UnreadablePolicy,
} from './place-input.ts';
import { View } from './view.ts';

export { catalogueByVersion, catalogueInForce, packCatalogue, shippedCatalogue } from './catalogue.ts';
export { knownOffer } from './known-offer.ts';
export type { BatchSubject } from './place-batch.ts';
export { type PlacementSubject, policiesInForce, siteViews, UnreadablePolicy } from './place-input.ts';
export { labelRefusals, resourceRefusals } from './resource-admission.ts';

const readers = new WeakMap<Db, EstateReader>();

function estatesOf(db: Db): EstateReader {
  const known = readers.get(db) ?? new EstateReader();
  readers.set(db, known);
  return known;
}

/**
 * Where a request would land now. With `includeUnconfigured`, providers without a site compete too, so that a plan needs no
 * account.
 */
export async function planPlacement(
  db: Db,
  subject: PlacementSubject,
  options: { includeUnconfigured: boolean },
): Promise<Decision> {
  const tied = await new TiedPlaces(db).of({ ...subject, network: null });
  const spec = tied && 'site' in tied ? narrowedTo(subject.spec, tied) : subject.spec;
  const { decision } = await runPlacement(
    new View(db, subject.organization, estatesOf(db)),
    { ...subject, spec },
    options,
  );
  return decision;
}

/**
 * Where the machines of one project's requests would land now, decided together; providers without a site compete too.
 * Ends with the signal's reason when it is aborted.
 */
export async function planBatch(
  db: Db,
  organization: string,
  wanted: readonly BatchSubject[],
  options: { gap?: number; signal: AbortSignal },
): Promise<Schemas['PlacementBatchDecision']> {
  return runBatch(new View(db, organization, estatesOf(db)), wanted, options);
}

/**
 * Readies this process for an organization's batches (see `warmUpBatches` of the policies), over its catalogue and sites, under its policies. Ends with
 * the signal's reason when it is aborted.
 */
export async function warmUpPlacement(db: Db, organization: string, signal: AbortSignal): Promise<void> {
  const view = new View(db, organization, estatesOf(db));
  const { policies } = await readPolicies(view);
  const sites = await view.sites(await view.hosts());
  await warmUpBatches(await view.catalogue(), sites, policies, signal);
}

/** What the policies refuse of a request, or of a change of these parts of a machine, whatever is on offer. */
export type Admission = (
  subject: PlacementSubject,
  changed?: readonly AdmissionRefusal['pointer'][],
) => AdmissionRefusal[];

/** Admission under the policies in force now. */
export async function admissionNow(db: Db, organization: string): Promise<Admission> {
  try {
    const policies = await policiesInForce(db, organization);
    return (subject, changed) =>
      admissionRefusals(policies, placementRequest(subject, []), new Date(), changed);
  } catch (error) {
    // Placement says so, and why.
    if (error instanceof UnreadablePolicy) return () => [];
    throw error;
  }
}
