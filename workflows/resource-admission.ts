import type { Tx } from '@landfall/store';
import { referredTo } from '@landfall/store/resource-references.ts';
import { resourcePlace } from './resource-place.ts';
import { type PlacedResource, type RuleAgainst, rulesAtPlaces } from './resource-policies.ts';

/**
 * What the policies in force refuse of a resource that is asked for: at its place where that can be told already, else what they
 * refuse anywhere. It is judged again when it is placed.
 * @param referred ids of what it names.
 */
export async function resourceRefusals(
  tx: Tx,
  resource: PlacedResource,
  referred: readonly string[],
): Promise<RuleAgainst[]> {
  const named = await referredTo(tx, referred);
  if (named.every(({ site }) => site !== null)) {
    const place = await resourcePlace(tx, resource, named);
    if (!('refused' in place)) return [];
    if (place.code === 'PolicyRefused') return place.rules;
  }
  const rules = await rulesAtPlaces(tx, resource, '');
  return rules.anywhere();
}

/** What rules about labels refuse of a resource that is there, wherever it is. */
export async function labelRefusals(tx: Tx, resource: PlacedResource): Promise<RuleAgainst[]> {
  const rules = await rulesAtPlaces(tx, resource, '');
  return rules.anywhere().filter(({ pointer }) => pointer === '/labels');
}
