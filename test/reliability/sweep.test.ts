import { stampTags } from '@landfall/adapters/aws/stamp.ts';
import { newId } from '@landfall/store';
import { type AwsSite, awsSite } from './aws-site.ts';
import { restoreTables, snapshotTables } from './backup.ts';
import { type Estate, pause, startEstate } from './estate-with.ts';
import { machinesOf, oneMachine, removeFully } from './outcomes.ts';
import { listings } from './wire.ts';

/** R18–R20 on AWS: a sweep must not believe a broken list, another broker's machines, or an old database. */
let site: AwsSite;
let estate: Estate;
/** Another broker, with its own database and engine, on the same account. */
let otherSite: AwsSite;
let other: Estate;

/** An orphan is left alone for so long. */
const orphanGraceMs = 4_000;
/** A sweep removes so many at most, while the machines are few. */
const cap = 5;

beforeAll(async () => {
  site = await awsSite();
  otherSite = await awsSite({ account: site.simulator });
  estate = await startEstate([site], { orphanGraceMs });
  other = await startEstate([otherSite]);
}, 300_000);
afterEach(() => site?.clear());
afterAll(async () => {
  await estate?.close();
  await other?.close();
  await otherSite?.close();
  await site?.close();
}, 60_000);

async function made(broker: Estate, at: AwsSite, name: string): Promise<string> {
  const { id, operation } = await broker.request(at, name);
  expect(await broker.ended(operation)).toMatchObject({ state: 'Succeeded' });
  return id;
}

/** Makes machines with this broker's stamp that no intent stands for. */
const plantOrphans = (count: number) =>
  Promise.all(
    Array.from({ length: count }, () =>
      site.simulator.plant('us-east-1', {
        [stampTags.broker]: estate.broker,
        [stampTags.project]: 'default',
        [stampTags.resource]: newId(),
        [stampTags.attempt]: '1',
      }),
    ),
  );

const living = async (refs: string[]) => {
  const there = new Set((await site.truth()).map((thing) => thing.ref));
  return refs.filter((ref) => there.has(ref)).length;
};

test('R18: an empty list deletes nothing and changes no state, and the next whole list is clean', async () => {
  const id = await made(estate, site, 'emptied');
  expect(await estate.audit()).toMatchObject({ orphans: [], missing: [], machines: 1 });
  for (const listing of listings) site.wire.next(listing, { kind: 'blank' });
  const audit = await estate.audit();
  expect(audit).toMatchObject({ orphans: [], machines: 0 });
  expect(audit.missing).toHaveLength(1);
  for (const listing of listings) site.wire.next(listing, { kind: 'blank' });
  await estate.sweep();
  await oneMachine(estate, site, id, 1);
  expect(await estate.state('emptied')).toBe('Running');
  expect(await estate.audit()).toMatchObject({ orphans: [], missing: [], machines: 1 });
  await removeFully(estate, site, 'emptied', id);
}, 60_000);

test('R18: a list that fails half-way deletes nothing, calls nothing missing, and says that it is not whole', async () => {
  const id = await made(estate, site, 'half-listed');
  const [orphan] = await plantOrphans(1);
  await estate.audit();
  await pause(orphanGraceMs + 100);
  const broken = () => {
    for (const listing of listings.slice(0, 2))
      site.wire.next(listing, { kind: 'refused', status: 500, code: 'InternalError' });
  };
  broken();
  const audit = await estate.audit();
  expect(audit).toMatchObject({ missing: [], orphans: [], sites: [{ complete: false }] });
  broken();
  await estate.sweep();
  // Its site was not listed whole: even a ripe orphan waits for a list that is.
  expect(await living([orphan!])).toBe(1);
  await oneMachine(estate, site, id, 1);
  await estate.sweep();
  expect(await living([orphan!])).toBe(0);
  await oneMachine(estate, site, id, 1);
  await removeFully(estate, site, 'half-listed', id);
}, 60_000);

test('R18: more orphans than one sweep may remove are all left, and an event says so', async () => {
  const id = await made(estate, site, 'beside-orphans');
  const orphans = await plantOrphans(cap + 1);
  await estate.sweep();
  await pause(orphanGraceMs + 100);
  const refused = (await estate.events('sweep.refused')).length;
  await estate.sweep();
  expect(await living(orphans)).toBe(cap + 1);
  const said = (await estate.events('sweep.refused')).slice(refused);
  expect(said).toEqual([
    expect.stringContaining(`${cap + 1} orphans are more than the ${cap} that one sweep may remove`),
  ]);
  // Somebody removes one by hand: the rest is no more than a sweep may take.
  await site.simulator.direct('us-east-1', 'TerminateInstances', { 'InstanceId.1': orphans[0]! });
  await estate.sweep();
  expect(await living(orphans)).toBe(0);
  expect((await estate.events('sweep.orphanRemoved')).length).toBeGreaterThanOrEqual(cap);
  await oneMachine(estate, site, id, 1);
  await removeFully(estate, site, 'beside-orphans', id);
}, 60_000);

test('R19: two brokers on one account audit and sweep their own machines only', async () => {
  const mine = await made(estate, site, 'mine');
  const theirs = await made(other, otherSite, 'theirs');
  for (const broker of [estate, other])
    expect(await broker.audit()).toMatchObject({ orphans: [], missing: [], doubled: [], machines: 1 });
  const [orphan] = await plantOrphans(1);
  await other.sweep();
  expect(await living([orphan!])).toBe(1);
  await estate.sweep();
  await pause(orphanGraceMs + 100);
  await estate.sweep();
  expect(await living([orphan!])).toBe(0);
  await oneMachine(estate, site, mine, 1);
  await oneMachine(other, otherSite, theirs, 1);
  // What one broker removes, the other does not miss.
  await removeFully(estate, site, 'mine', mine);
  expect(await other.audit()).toMatchObject({ orphans: [], missing: [], machines: 1 });
  await removeFully(other, otherSite, 'theirs', theirs);
}, 60_000);

test('R20: after a restore to an older database nothing is removed before the grace period, and never over the cap', async () => {
  const known = await made(estate, site, 'known');
  await estate.sweep();
  await snapshotTables(estate.db);
  const machines: string[] = [];
  /** Machines made after the backup, which the restored database then knows nothing of. */
  const forget = async (count: number) => {
    const already = machines.length;
    const ids = await Promise.all(
      Array.from({ length: count }, (_, n) => made(estate, site, `after-backup-${already}-${n}`)),
    );
    for (const id of ids) machines.push(...(await machinesOf(site, id)));
    await restoreTables(estate.db);
  };
  // Few enough for one sweep: the grace period alone stands between them and their removal.
  await forget(2);
  await estate.sweep();
  expect(await living(machines)).toBe(2);
  expect((await estate.audit()).orphans.length).toBeGreaterThanOrEqual(2);
  // Too many for one sweep: past the grace period, too.
  await forget(cap - 1);
  await estate.sweep();
  await pause(orphanGraceMs + 100);
  const refused = (await estate.events('sweep.refused')).length;
  await estate.sweep();
  expect(await living(machines)).toBe(cap + 1);
  expect(await estate.events('sweep.refused')).toHaveLength(refused + 1);
  await oneMachine(estate, site, known, 1);
  await removeFully(estate, site, 'known', known);
}, 120_000);
