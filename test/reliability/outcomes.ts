import type { Truth } from '@landfall/adapters/conformance/subject.ts';
import { liveIntents } from '@landfall/store';
import type { Estate, SiteUnderTest } from './estate-with.ts';

/** What truly exists of a resource at a site. */
export async function truthOf(site: SiteUnderTest, resource: string): Promise<Truth[]> {
  return (await site.truth()).filter((thing) => thing.resource === resource);
}

/** References of the machines that truly exist of a resource. */
export async function machinesOf(site: SiteUnderTest, resource: string): Promise<string[]> {
  return (await truthOf(site, resource)).filter((thing) => thing.machine).map((thing) => thing.ref);
}

/** Expects exactly one machine, the adopted one of this attempt, and nothing of other attempts. Answers its reference. */
export async function oneMachine(
  estate: Estate,
  site: SiteUnderTest,
  id: string,
  attempt: number,
): Promise<string> {
  const live = await liveIntents(estate.db, id);
  const machines = await machinesOf(site, id);
  expect(live.map((intent) => [intent.state, intent.attempt, intent.ref])).toEqual([
    ['adopted', attempt, machines[0]],
  ]);
  expect(machines).toHaveLength(1);
  for (const thing of await truthOf(site, id))
    expect(thing).toMatchObject({ broker: estate.broker, attempt });
  return machines[0]!;
}

/** Expects that no record and nothing at the provider is left of a resource. */
export async function nothingIsLeft(estate: Estate, site: SiteUnderTest, id: string): Promise<void> {
  expect(await truthOf(site, id)).toEqual([]);
  expect(await liveIntents(estate.db, id)).toEqual([]);
  expect(await estate.db.selectFrom('claims').selectAll().where('resource', '=', id).execute()).toEqual([]);
}

/** Removes an instance and expects that nothing is left. */
export async function removeFully(
  estate: Estate,
  site: SiteUnderTest,
  name: string,
  id: string,
): Promise<void> {
  expect(await estate.ended(await estate.remove(name))).toMatchObject({ state: 'Succeeded' });
  await nothingIsLeft(estate, site, id);
}

/** Says aloud that a row was checked without a part of it, and why. */
export function notHere(row: string, reason: string): void {
  console.info(`${row}: not here: ${reason}`);
}
