import { type Catalogue, loadSnapshot } from '@landfall/policies';

let shipped: Catalogue | undefined;

/**
 * The catalogue in force: the shipped price snapshot. Loaded once a process; a decision says which version it used.
 * Live prices and imported files join it here.
 */
export function currentCatalogue(): Catalogue {
  shipped ??= loadSnapshot();
  return shipped;
}
