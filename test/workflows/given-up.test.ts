import type { Unmanaged } from '@landfall/adapters';
import type { InstanceSpec } from '@landfall/model';
import {
  adoptInstance,
  adoptOther,
  cancelOperation,
  compareInventory,
  deleteInstance,
  getInstance,
  getResource,
  liveIntents,
  liveResourceIntents,
  newId,
} from '@landfall/store';
import { deleteResource } from '@landfall/store/resources.ts';
import { knownOffer } from '@landfall/workflows/known-offer.ts';
import { type SimulatedEstate, startSimulatedEstate } from '../simulated-estate.ts';

/** Adoptions that come to nothing: what was to be adopted stays, and nothing of ours stays on it. */
let estate: SimulatedEstate;
const by = { organization: 'default', requestedBy: 'test', project: 'default' };

beforeAll(async () => {
  estate = await startSimulatedEstate();
}, 60_000);
afterEach(() => {
  for (const fault of Object.keys(estate.provider.faults))
    Object.assign(estate.provider.faults, { [fault]: 0 });
});
afterAll(() => estate?.close(), 30_000);

function plant(kind: 'Instance' | 'Volume'): Unmanaged {
  const found: Unmanaged = {
    kind,
    ref: `${kind.toLowerCase()}-${newId()}`,
    location: { region: 'lab', host: 'h1' },
    state: 'ready',
    diskGiB: 7,
    ...(kind === 'Instance'
      ? { power: 'running', instanceType: 'old', vcpus: 1, memoryGiB: 0.5 }
      : { attachedTo: undefined }),
    addresses: [],
    labels: {},
  };
  estate.provider.foreign.set(found.ref, found);
  return found;
}

const place = { site: 'lab', region: 'lab', host: 'h1' };
const lives = {
  Instance: {
    async adopt(name: string, externalReference: string) {
      const size = { vcpus: 1, memoryGiB: 0.5 };
      const offer = await knownOffer(estate.db, 'default', {
        ...{ ...place, ...size, zone: null, instanceType: 'old', provider: 'onprem', market: 'onDemand' },
        architecture: 'x86_64',
      });
      const spec = { ...size, diskGiB: 7, power: 'running' } as InstanceSpec;
      return adoptInstance(estate.db, { ...by, name, labels: {}, externalReference, offer, spec });
    },
    see: (name: string) => getInstance(estate.db, 'default', name),
    remove: async (instance: string) =>
      (await deleteInstance(estate.db, { ...by, instance, ifMatch: null })).operation!.id,
    intents: (id: string) => liveIntents(estate.db, id),
  },
  Volume: {
    adopt: (name: string, externalReference: string) =>
      adoptOther(estate.db, {
        ...{ ...by, kind: 'Volume', name, labels: {}, externalReference, spec: { sizeGiB: 7 } },
        at: { provider: 'onprem', ...place },
      }),
    see: (name: string) => getResource(estate.db, 'Volume', 'default', name),
    remove: async (resource: string) =>
      (await deleteResource(estate.db, 'Volume', { ...by, resource, ifMatch: null })).operation!.id,
    intents: (id: string) => liveResourceIntents(estate.db, id),
  },
};

describe.each(['Instance', 'Volume'] as const)('%s', (kind) => {
  const { adopt, see, remove, intents } = lives[kind];
  const named = (name: string) => `${name}-${kind.toLowerCase()}`;

  async function adopting(name: string): Promise<{ ref: string; id: string; operation: string }> {
    const { ref } = plant(kind);
    const { operation } = (await adopt(named(name), ref))!;
    return { ref, id: operation.resource!.id, operation: operation.id };
  }

  const isOurs = (ref: string) =>
    estate.provider.resources.things.has(ref) ||
    [...estate.provider.machines.values()].some((machine) => machine.ref === ref);

  async function isOurStamped(ref: string): Promise<void> {
    while (!isOurs(ref)) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** It is there as before, ours no more, and the store says so. */
  async function isAsItWas({ ref, id }: { ref: string; id: string }): Promise<void> {
    expect(isOurs(ref)).toBe(false);
    expect(estate.provider.foreign.get(ref)).toMatchObject({ kind, ref });
    expect(await intents(id)).toEqual([]);
    const events = await estate.db
      .selectFrom('events')
      .select('message')
      .where('resource_id', '=', id)
      .where('type', '=', `${kind.toLowerCase()}.notAdopted`)
      .execute();
    expect(events).toMatchObject([{ message: expect.stringContaining(`${ref} at lab is as it was`) }]);
  }

  test('one that is refused after the stamp got on has no stamp any more when the operation has ended', async () => {
    estate.provider.faults.stampedDenied = 1;
    const adopted = await adopting('refused');
    expect(await estate.ended(adopted.operation)).toMatchObject({
      state: 'Failed',
      message: expect.stringMatching(
        /^not adopted: simulated: may be stamped, not read; the .* is as it was$/,
      ),
    });
    await isAsItWas(adopted);
    const { status } = await see(named('refused'));
    expect(status).toMatchObject({
      state: 'Failed',
      message: expect.stringContaining('may be stamped, not read'),
    });
    expect(await estate.ended(await remove(named('refused')))).toMatchObject({ state: 'Succeeded' });
    await isAsItWas(adopted);
  });

  test('where the stamp cannot be taken off, the operation ends and says that it may still be there', async () => {
    Object.assign(estate.provider.faults, { stampedDenied: 1, unreleasable: 1 });
    const { id, operation } = await adopting('kept');
    const why = "Landfall's marks may still be on it (simulated: it cannot do without us)";
    expect(await estate.ended(operation)).toMatchObject({
      state: 'Failed',
      message: expect.stringContaining(why),
    });
    expect((await see(named('kept'))).status.message).toContain(why);
    expect(await intents(id)).toEqual([]);
    expect((await compareInventory(estate.db, [{ site: 'lab', host: 'h1' }], new Date())).orphans).toEqual(
      [],
    );
  });

  test('deleted while its site does not answer, it goes when that answers again, and what was stamped stays', async () => {
    estate.provider.faults.stampedUnavailable = 1_000;
    const adopted = await adopting('unanswered');
    await isOurStamped(adopted.ref);
    estate.provider.faults.unavailable = 1_000;
    const operation = await remove(named('unanswered'));
    while ((await see(named('unanswered'))).status.state !== 'Deleting')
      await new Promise((resolve) => setTimeout(resolve, 20));
    estate.provider.faults.unavailable = 0;
    expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded', message: 'deleted' });
    expect(await estate.ended(adopted.operation)).toMatchObject({ state: 'Cancelled' });
    await isAsItWas(adopted);
  });

  test('an adoption at a site that does not answer can be cancelled, also where the stamp got on', async () => {
    estate.provider.faults.stampedUnavailable = 1_000;
    const adopted = await adopting('cancelled');
    await isOurStamped(adopted.ref);
    await cancelOperation(estate.db, { organization: 'default' }, adopted.operation, by);
    expect(await estate.ended(adopted.operation)).toMatchObject({
      state: 'Cancelled',
      message: `cancelled; ${adopted.ref} is not Landfall's`,
    });
    await isAsItWas(adopted);
    expect((await see(named('cancelled'))).status).toMatchObject({
      state: 'Failed',
      message: 'the adoption was cancelled',
    });
    expect(await estate.ended(await remove(named('cancelled')))).toMatchObject({ state: 'Succeeded' });
    await isAsItWas(adopted);
  });
});
