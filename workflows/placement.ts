/** Placement for those who only ask: the dry run behind `plan` and `validateOnly`. No Temporal, nothing is claimed. */
import type { Decision } from '@landfall/model';
import type { Db } from '@landfall/store';
import { type PlacementSubject, runPlacement } from './place.ts';

export { catalogueInForce, shippedCatalogue } from './catalogue.ts';
export { type PlacementSubject, siteViews } from './place.ts';

/**
 * Where a request would land now. With `includeUnconfigured`, providers without a site compete too, so that a plan needs no
 * account.
 */
export async function planPlacement(
  db: Db,
  subject: PlacementSubject,
  options: { includeUnconfigured: boolean },
): Promise<Decision> {
  const { decision } = await runPlacement(db, subject, options);
  return decision;
}
