import {
  createResource,
  deleteResource,
  getInstance,
  getResource,
  newId,
  replaceInstance,
  writeSiteOffers,
} from '@landfall/store';
import { createSshKey } from '@landfall/store/ssh-keys.ts';
import { awsSite } from './aws-site.ts';
import { azureSite, type CloudSite, gcpSite } from './cloud-site.ts';
import { type Estate, pause, type SiteUnderTest, startEstate } from './estate-with.ts';
import { type Interruption, interrupter } from './interrupter.ts';
import { machinesOf, oneMachine, removeFully } from './outcomes.ts';

/** Machines that their provider took away, that somebody stopped or removed: seen by a sweep, and put right. */
interface Interruptible extends SiteUnderTest {
  /** The provider takes a spot machine away. */
  interrupt(ref: string): void;
  /** From now on machines take so long to go. */
  goSlowly(ms: number): void;
  /** Somebody removes a machine, or stops it, in the provider's console. */
  destroy(ref: string): Promise<void>;
  stop(ref: string): Promise<void>;
  clear(): void;
  close(): Promise<void>;
  /** What the event says of an interruption. */
  told: RegExp;
  /** What it sells in one region: two sizes, cheapest first, in two zones (none where the provider's offers are of the region). */
  sells: {
    region: string;
    zones: string[];
    types: { instanceType: string; vcpus: number; memoryGiB: number }[];
  };
}

/** The catalogue that Landfall ships with has no spot prices. */
async function offer({ name, sells: { region, zones, types } }: Interruptible): Promise<void> {
  const offers = types.flatMap((type, size) =>
    (['spot', 'onDemand'] as const).flatMap((market) =>
      (zones.length > 0 ? zones : [undefined]).map((zone, index) => ({
        ...type,
        region,
        zone,
        market,
        architecture: 'x86_64',
        gpuCount: 0,
        burstable: false,
        pricePerHour: (market === 'spot' ? 1 : 5) + size + index / 10,
      })),
    ),
  );
  await writeSiteOffers(estate.db, { site: name, run: newId(), offers, last: true });
}

let estate: Estate;
const activities = interrupter();
const sites: Record<string, Interruptible> = {};

beforeAll(async () => {
  const broker = newId();
  const aws = await awsSite({ visibilityGraceMs: 1_500 });
  const byHand = async (action: string, ref: string) => {
    await aws.simulator.direct('us-east-1', action, { 'InstanceId.1': ref });
  };
  sites.aws = {
    ...aws,
    interrupt: (ref) => aws.simulator.faults.set({ kind: 'interrupt', ref }),
    goSlowly: (ms) => aws.simulator.faults.set({ kind: 'slowDelete', ms }),
    destroy: (ref) => byHand('TerminateInstances', ref),
    stop: (ref) => byHand('StopInstances', ref),
    told: /^aws us-east-1.? took the spot machine i-\w+ away \(Server.SpotInstanceTermination\); another is made$/,
    sells: {
      region: 'us-east-1',
      zones: ['us-east-1a', 'us-east-1b'],
      types: [
        { instanceType: 't3.small', vcpus: 2, memoryGiB: 2 },
        { instanceType: 't3.medium', vcpus: 2, memoryGiB: 4 },
      ],
    },
  };
  const cloud = (of: CloudSite, stopUrl: (ref: string) => string) => ({
    ...of,
    interrupt: (ref: string) => {
      of.subject.faults.set({ kind: 'interrupt', ref });
    },
    goSlowly: (ms: number) => {
      of.subject.faults.set({ kind: 'slowDelete', ms });
    },
    async stop(ref: string) {
      const headers = { authorization: 'Bearer somebody-else' };
      const answer = await fetch(stopUrl(ref), { method: 'POST', headers });
      if (!answer.ok) throw new Error(`stop ${ref}: ${answer.status} ${await answer.text()}`);
    },
    clear: () => of.subject.faults.clear(),
    close: () => of.subject.close(),
  });
  const azure = await azureSite(broker);
  sites.azure = {
    ...cloud(azure, (ref) => `${azure.endpoint}${ref}/deallocate?api-version=2026-04-01`),
    told: /^azure \S+ took the spot machine \S+ away \(Microsoft.Compute\/virtualMachines\/evictSpotVM\/action\); another is made$/,
    sells: {
      region: 'westeurope',
      zones: ['1', '2'],
      types: [
        { instanceType: 'Standard_D2s_v5', vcpus: 2, memoryGiB: 8 },
        { instanceType: 'Standard_D4s_v5', vcpus: 4, memoryGiB: 16 },
      ],
    },
  };
  const gcp = await gcpSite(broker);
  const project = `${gcp.endpoint}/compute/v1/projects/simulated-project`;
  sites.gcp = {
    ...cloud(gcp, (ref) => `${project}/${ref}/stop`),
    told: /^gcp us-central1-a took the spot machine \S+ away \(compute.instances.preempted\); another is made$/,
    sells: {
      region: 'us-central1',
      zones: ['us-central1-a', 'us-central1-b'],
      types: [
        { instanceType: 'e2-small', vcpus: 2, memoryGiB: 2 },
        { instanceType: 'e2-medium', vcpus: 2, memoryGiB: 4 },
      ],
    },
  };
  estate = await startEstate(Object.values(sites), { interceptors: activities.interceptors, broker });
  for (const site of Object.values(sites)) await offer(site);
  const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0kQ2vQ3xQf0y8hC5j0Jm0m5Zk1l1m1n1o1p1q1r1s1 test';
  await createSshKey(
    estate.db,
    'default',
    { name: 'key', publicKey },
    { organization: 'default', requestedBy: 'test' },
  );
}, 300_000);
afterEach(async () => {
  activities.interrupt(undefined);
  for (const site of Object.values(sites)) site.clear();
  await estate?.db.deleteFrom('set_asides').execute();
});
afterAll(async () => {
  await estate?.close();
  for (const site of Object.values(sites)) await site.close();
}, 60_000);

/** The repairs of a resource, oldest first. */
const repairs = (id: string) =>
  estate.db
    .selectFrom('operations')
    .select(['id', 'state', 'message', 'requested_by'])
    .where('resource_id', '=', id)
    .where('verb', '=', 'repair')
    .orderBy('id')
    .execute();

/** Sweeps until the instance has so many repairs, and waits for the last. */
async function repaired(id: string, count = 1): Promise<{ state: string; message: string }> {
  for (let look = 0; (await repairs(id)).length < count && look < 50; look++) await estate.sweep();
  const all = await repairs(id);
  expect(all).toHaveLength(count);
  return estate.ended(all[count - 1]!.id);
}

const hourAgo = () => new Date(Date.now() - 3_600_000);

const offersOf = async (id: string) =>
  (
    await estate.db.selectFrom('intents').selectAll().where('resource', '=', id).orderBy('attempt').execute()
  ).map(({ offer, region, zone }) => `${offer.instanceType} ${region} ${zone} ${offer.market}`);

/** The account of a machine that was taken away ends with it, and not when what is left of it is gone. */
const account = async (id: string) =>
  (
    await estate.db
      .selectFrom('usage_intervals as u')
      .innerJoin('events as e', 'e.resource_id', 'u.instance')
      .select(['u.ended_at', 'e.time'])
      .where('u.instance', '=', id)
      .where('e.type', 'in', ['instance.interrupted', 'instance.vanished'])
      .orderBy('u.id')
      .execute()
  ).map(({ ended_at, time }) =>
    ended_at === null ? 'runs' : ended_at <= time ? 'ended before it was told' : 'ended',
  );

const cleanAudit = async () =>
  expect(await estate.audit()).toMatchObject({ orphans: [], missing: [], doubled: [], openIntents: 0 });

describe.each(['aws', 'azure', 'gcp'])('on %s', (provider) => {
  const site = () => sites[provider]!;
  const name = (of: string) => `${provider}-${of}`;
  const removed = (of: string, id: string) => removeFully(estate, site(), name(of), id);

  async function made(
    of: string,
    market: 'spot' | 'onDemand' = 'spot',
  ): Promise<{ id: string; ref: string }> {
    const { id, operation } = await estate.request(site(), name(of), { market });
    expect(await estate.ended(operation)).toEqual({
      state: 'Succeeded',
      message: expect.stringMatching(/^Running/),
    });
    return { id, ref: await oneMachine(estate, site(), id, 1) };
  }

  test('a spot machine that was taken away is made anew on another offer, and everybody can read what happened', async () => {
    const { id, ref } = await made('taken');
    site().interrupt(ref);
    expect(await repaired(id)).toEqual({ state: 'Succeeded', message: expect.stringMatching(/^Running/) });
    expect(await oneMachine(estate, site(), id, 2)).not.toBe(ref);
    const [first, second] = await offersOf(id);
    expect(second).not.toBe(first);
    expect(second).toContain('spot');
    const { status } = await getInstance(estate.db, 'default', name('taken'));
    expect(status).toMatchObject({ state: 'Running', message: '' });
    const told = [
      ...(await estate.events('instance.interrupted')),
      ...(await estate.events('instance.vanished')),
    ];
    const [event] = told.filter((message) => message.includes(ref));
    expect(event).toMatch(site().told);
    expect(status.lastRepair?.message).toBe(event!.replace('is made', 'was made'));
    expect(await repairs(id)).toMatchObject([{ requested_by: 'landfall (repair)' }]);
    expect(await account(id)).toEqual(['ended before it was told', 'runs']);
    await cleanAudit();
    await estate.sweep();
    expect(await repairs(id)).toHaveLength(1);
    await removed('taken', id);
  }, 60_000);

  test('while a machine that was taken away is still going, no other is made', async () => {
    const { id, ref } = await made('going');
    site().goSlowly(4_000);
    site().interrupt(ref);
    let most = 0;
    for (let look = 0; (await repairs(id)).at(-1)?.state !== 'Succeeded' && look < 300; look++) {
      if (look % 20 === 0) await estate.sweep();
      most = Math.max(most, (await machinesOf(site(), id)).length);
      await pause(50);
    }
    expect(most).toBe(1);
    expect(await oneMachine(estate, site(), id, 2)).not.toBe(ref);
    site().clear();
    await cleanAudit();
    await removed('going', id);
  }, 60_000);

  test('every activity of a replacement may run twice, and an error after each in turn leaves one machine', async () => {
    const replaced = async (of: string, interruption?: Interruption) => {
      const { id, ref } = await made(of);
      site().interrupt(ref);
      activities.interrupt(interruption);
      expect(await repaired(id)).toEqual({
        state: 'Succeeded',
        message: expect.stringMatching(/^Running/),
      });
      expect(await oneMachine(estate, site(), id, 2)).not.toBe(ref);
      const calls = activities.calls();
      activities.interrupt(undefined);
      await cleanAudit();
      await removed(of, id);
      await estate.db.deleteFrom('set_asides').execute();
      return calls;
    };
    const calls = await replaced('calm');
    expect(calls).toBeGreaterThanOrEqual(8);
    await replaced('twice', { mode: 'twice' });
    // The workflow is the same everywhere, so that elsewhere three of them will do.
    const step = provider === 'aws' ? 1 : Math.ceil(calls / 3);
    for (let nth = 1; nth <= calls; nth += step) await replaced(`after-${nth}`, { mode: 'after', nth });
  }, 300_000);

  test('a volume stays where it is, and follows to the machine that takes the place of the one that was taken', async () => {
    const { id, ref } = await made('data');
    const by = { organization: 'default', requestedBy: 'test', project: 'default' };
    const spec = { sizeGiB: 1, attachedTo: name('data') };
    const asked = await createResource(estate.db, 'Volume', { ...by, name: name('disk'), spec });
    expect(await estate.ended(asked!.operation.id)).toMatchObject({ state: 'Succeeded' });
    const volume = () => getResource(estate.db, 'Volume', 'default', name('disk'));
    const { status: before } = await volume();
    expect(before.attachedTo).toBe(ref);
    // The cheapest that is left is in another zone: a machine there could not have the volume.
    site().interrupt(ref);
    expect(await repaired(id)).toMatchObject({ state: 'Succeeded' });
    const [next] = await machinesOf(site(), id);
    const [follows] = await repairs(asked!.resource.id);
    expect(await estate.ended(follows!.id)).toMatchObject({ state: 'Succeeded' });
    const { status: after } = await volume();
    expect(after).toMatchObject({ externalReference: before.externalReference, attachedTo: next });
    expect((await getInstance(estate.db, 'default', name('data'))).status.zone).toBe(before.zone);
    await cleanAudit();
    await removed('data', id);
    expect((await volume()).status.externalReference).toBe(before.externalReference);
    const gone = { ...by, resource: name('disk'), ifMatch: null };
    const deletion = await deleteResource(estate.db, 'Volume', gone);
    expect(await estate.ended(deletion.operation!.id)).toMatchObject({ state: 'Succeeded' });
  }, 90_000);

  test('a spot machine that somebody removed is made anew; one on demand is Lost, told once, and replaced by a person’s word alone', async () => {
    const spot = await made('removed');
    const kept = await made('precious', 'onDemand');
    await site().destroy(spot.ref);
    await site().destroy(kept.ref);
    expect(await repaired(spot.id)).toMatchObject({ state: 'Succeeded' });
    expect(await oneMachine(estate, site(), spot.id, 2)).not.toBe(spot.ref);
    expect((await estate.events('instance.vanished')).at(-1)).toContain(spot.ref);
    expect(await repaired(kept.id)).toEqual({ state: 'Failed', message: expect.stringContaining('is gone') });
    expect(await estate.state(name('precious'))).toBe('Lost');
    expect(await machinesOf(site(), kept.id)).toEqual([]);
    await estate.db.updateTable('operations').set({ finished_at: hourAgo() }).execute();
    await estate.sweep();
    expect(await repairs(kept.id)).toHaveLength(1);
    const { operation } = await replaceInstance(estate.db, {
      organization: 'default',
      requestedBy: 'ada',
      project: 'default',
      instance: name('precious'),
      replacement: {},
      ifMatch: null,
    });
    expect(await estate.ended(operation!.id)).toMatchObject({ state: 'Succeeded' });
    expect(await oneMachine(estate, site(), kept.id, 2)).not.toBe(kept.ref);
    expect((await offersOf(kept.id)).at(-1)).toContain('onDemand');
    await removed('removed', spot.id);
    await removed('precious', kept.id);
  }, 90_000);

  test('a machine that somebody stopped is started again, and one that is wanted stopped stays so', async () => {
    const { id, ref } = await made('halted', 'onDemand');
    await site().stop(ref);
    expect(await repaired(id)).toMatchObject({ state: 'Succeeded' });
    expect(await oneMachine(estate, site(), id, 1)).toBe(ref);
    const { status } = await getInstance(estate.db, 'default', name('halted'));
    expect(status).toMatchObject({ state: 'Running', lastRepair: { message: expect.stringContaining(ref) } });
    expect(await estate.ended(await estate.change(name('halted'), 'stop'))).toMatchObject({
      state: 'Succeeded',
    });
    await estate.sweep();
    expect(await repairs(id)).toHaveLength(1);
    expect(await estate.state(name('halted'))).toBe('Stopped');
    await removed('halted', id);
  }, 60_000);

  test('where nothing else complies the repair fails with the reason, and is tried again when the offer is no longer set aside', async () => {
    const { id, operation } = await estate.request(site(), name('only'), {
      market: 'spot',
      instanceType: site().sells.types[0]!.instanceType,
      placement: { providers: [provider as 'aws'], zones: site().sells.zones.slice(0, 1) },
    });
    expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
    site().interrupt(await oneMachine(estate, site(), id, 1));
    expect(await repaired(id)).toMatchObject({ state: 'Failed' });
    expect(await estate.state(name('only'))).toBe('Failed');
    await estate.sweep();
    expect(await repairs(id)).toHaveLength(1);
    await estate.db.deleteFrom('set_asides').execute();
    await estate.db.updateTable('operations').set({ finished_at: hourAgo() }).execute();
    expect(await repaired(id, 2)).toMatchObject({ state: 'Succeeded' });
    await oneMachine(estate, site(), id, 2);
    await removed('only', id);
  }, 60_000);
});
