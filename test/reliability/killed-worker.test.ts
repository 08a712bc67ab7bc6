import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import {
  adoptOther,
  getInstance,
  getResource,
  newId,
  releaseInstance,
  releaseResource,
  writeSiteOffers,
} from '@landfall/store';
import { type AwsSite, awsSite } from './aws-site.ts';
import { type Estate, startEstate, until } from './estate-with.ts';
import { machinesOf, nothingIsLeft, oneMachine, removeFully, truthOf } from './outcomes.ts';

/** R1 on AWS with a worker that really dies: SIGKILL between the provider's doing and our knowing. */
let site: AwsSite;
let estate: Estate;
let worker: ChildProcess | undefined;

function startWorker(): void {
  const program = fileURLToPath(new URL('./site-process.ts', import.meta.url));
  const { temporalAddress, databaseUrl } = estate.stack;
  worker = spawn(
    process.execPath,
    [program, temporalAddress, databaseUrl, estate.broker, site.wire.endpoint],
    { stdio: 'ignore' },
  );
}

async function killWorker(): Promise<void> {
  if (!worker) return;
  const dying = worker;
  worker = undefined;
  const dead = once(dying, 'exit');
  dying.kill('SIGKILL');
  await dead;
}

beforeAll(async () => {
  site = await awsSite({ served: false });
  estate = await startEstate([site]);
}, 300_000);
afterAll(async () => {
  await killWorker();
  await estate?.close();
  await site?.close();
}, 60_000);

test('R1: a worker killed after the provider made the machine, and again after it took the removal, leaves one machine and then none', async () => {
  startWorker();
  const killed: string[] = [];
  const kill = (when: string) => async () => {
    await killWorker();
    killed.push(when);
    startWorker();
  };
  site.wire.next('RunInstances', { kind: 'answered', meanwhile: kill('made') });
  site.wire.next('TerminateInstances', { kind: 'answered', meanwhile: kill('removed') });
  const { id, operation } = await estate.request(site, 'killed');
  expect(await estate.ended(operation, 60_000)).toMatchObject({ state: 'Succeeded' });
  await oneMachine(estate, site, id, 1);
  expect(killed).toEqual(['made']);
  // Adopted by its stamp, not asked for again.
  expect(site.calls('RunInstances', id)).toHaveLength(1);
  await removeFully(estate, site, 'killed', id);
  expect(killed).toEqual(['made', 'removed']);
}, 120_000);

test('a worker killed in the middle of a release, when a part of the machine has lost our stamp, lets go of it once and loses nothing', async () => {
  if (!worker) startWorker();
  const { id, operation } = await estate.request(site, 'released');
  expect(await estate.ended(operation, 60_000)).toMatchObject({ state: 'Succeeded' });
  const ref = await oneMachine(estate, site, id, 1);
  const made = (await truthOf(site, id)).map((thing) => thing.ref).sort();
  let kills = 0;
  site.wire.next('DeleteTags', {
    kind: 'answered',
    async meanwhile() {
      // The machine is last: until then it is ours, and the release goes on from it.
      expect(await machinesOf(site, id)).toEqual([ref]);
      await killWorker();
      kills += 1;
      startWorker();
    },
  });
  const by = { organization: 'default', requestedBy: 'test', project: 'default', ifMatch: null };
  const { operation: release } = await releaseInstance(estate.db, { ...by, instance: 'released' });
  expect(await estate.ended(release!.id, 90_000)).toMatchObject({ state: 'Succeeded', message: 'released' });
  expect(kills).toBe(1);
  await nothingIsLeft(estate, site, id);
  expect((await getInstance(estate.db, 'default', id)).status.state).toBe('Released');
  await estate.sweep();
  expect(await estate.audit()).toMatchObject({ orphans: [], missing: [], doubled: [], openIntents: 0 });
  // All of it is still there, and nobody's.
  const left = (await site.truth()).filter((thing) => made.includes(thing.ref));
  expect(left.map((thing) => thing.ref).sort()).toEqual(made);
  for (const thing of left) expect(thing).not.toMatchObject({ broker: expect.any(String) });
  expect(left.filter((thing) => thing.machine)).toMatchObject([{ ref }]);
}, 180_000);

test('a worker killed when it has put our stamp on a volume adopts that one volume, and releases it again', async () => {
  if (!worker) startWorker();
  const volumes = async () =>
    (await site.simulator.truth()).filter(({ providerKind }) => providerKind === 'volume');
  const before = (await volumes()).map((thing) => thing.ref);
  const externalReference = await site.simulator.plant('us-east-1', { Name: 'theirs' }, 'Volume');
  const killed: string[] = [];
  // The first tag shows the adopter, the second is the stamp.
  site.wire.next('CreateTags', { kind: 'answered', meanwhile: async () => void killed.push('shown') });
  site.wire.next('CreateTags', {
    kind: 'answered',
    async meanwhile() {
      await killWorker();
      killed.push('stamped');
      startWorker();
    },
  });
  const by = { organization: 'default', requestedBy: 'test', project: 'default' };
  const adopted = await adoptOther(estate.db, {
    ...by,
    kind: 'Volume',
    name: 'data',
    labels: {},
    externalReference,
    at: { site: 'aws', provider: 'aws', region: 'us-east-1', zone: 'us-east-1a' },
    spec: { sizeGiB: 1 },
  });
  expect(await estate.ended(adopted!.operation.id, 90_000)).toMatchObject({ state: 'Succeeded' });
  expect(killed).toEqual(['shown', 'stamped']);
  const { id, status } = await getResource(estate.db, 'Volume', 'default', 'data');
  expect(status).toMatchObject({ state: 'Ready', externalReference });
  expect((await volumes()).map((thing) => thing.ref).sort()).toEqual([...before, externalReference].sort());
  expect(await estate.audit()).toMatchObject({ orphans: [], missing: [], doubled: [], openIntents: 0 });

  const { operation } = await releaseResource(estate.db, 'Volume', {
    ...by,
    resource: 'data',
    ifMatch: null,
  });
  expect(await estate.ended(operation!.id, 90_000)).toMatchObject({
    state: 'Succeeded',
    message: 'released',
  });
  expect((await getResource(estate.db, 'Volume', 'default', id)).status.state).toBe('Released');
  const left = (await volumes()).find((thing) => thing.ref === externalReference);
  expect(left?.tags).toEqual({ Name: expect.any(String) });
  expect(await estate.audit()).toMatchObject({ orphans: [], missing: [], doubled: [], openIntents: 0 });
}, 240_000);

test('a worker killed while a spot machine that was taken away is made anew, before and after, leaves one machine and a clean audit', async () => {
  const offers = ['us-east-1a', 'us-east-1b'].map((zone) => ({
    region: 'us-east-1',
    zone,
    instanceType: 't3.small',
    market: 'spot',
    vcpus: 2,
    memoryGiB: 2,
    architecture: 'x86_64',
    gpuCount: 0,
    burstable: true,
    pricePerHour: zone === 'us-east-1a' ? 0.01 : 0.02,
  }));
  await writeSiteOffers(estate.db, { site: 'aws', run: newId(), offers, last: true });
  if (!worker) startWorker();
  const { id, operation } = await estate.request(site, 'spot', { market: 'spot' });
  expect(await estate.ended(operation, 60_000)).toMatchObject({ state: 'Succeeded' });
  const ref = await oneMachine(estate, site, id, 1);
  const killed: string[] = [];
  const kill = (when: string) => async () => {
    await killWorker();
    killed.push(when);
    startWorker();
  };
  site.simulator.faults.set({ kind: 'interrupt', ref });
  site.wire.next('DeleteSecurityGroup', { kind: 'answered', meanwhile: kill('left-overs removed') });
  site.wire.next('RunInstances', { kind: 'answered', meanwhile: kill('made anew') });
  const repair = () =>
    estate.db
      .selectFrom('operations')
      .select(['id', 'state'])
      .where('resource_id', '=', id)
      .where('verb', '=', 'repair')
      .execute();
  await until('a sweep has seen it', async () => {
    await estate.sweep();
    return (await repair()).length > 0;
  });
  expect(await estate.ended((await repair())[0]!.id, 90_000)).toMatchObject({ state: 'Succeeded' });
  expect(killed).toEqual(['left-overs removed', 'made anew']);
  expect(await oneMachine(estate, site, id, 2)).not.toBe(ref);
  // Asked for once for each attempt.
  expect(site.calls('RunInstances', id)).toHaveLength(2);
  expect(await estate.audit()).toMatchObject({ orphans: [], missing: [], doubled: [], openIntents: 0 });
  await removeFully(estate, site, 'spot', id);
}, 180_000);
