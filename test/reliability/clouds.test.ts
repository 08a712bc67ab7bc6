import { cancelOperation, liveIntents, newId } from '@landfall/store';
import { createSshKey } from '@landfall/store/ssh-keys.ts';
import { azureSite, type CloudSite, gcpSite } from './cloud-site.ts';
import { type Estate, pause, startEstate, until } from './estate-with.ts';
import { interrupter } from './interrupter.ts';
import { machinesOf, nothingIsLeft, oneMachine, removeFully, truthOf } from './outcomes.ts';

/** R1–R11 and R17–R20 on Azure and Google Cloud: both sites of one estate, the real adapters before simulated clouds. */
const sites: Record<string, CloudSite> = {};
let estate: Estate;
const activities = interrupter();
const by = { organization: 'default', requestedBy: 'test' };
/** An orphan is left alone for so long, ms: longer than one sweep takes, which lists both clouds before it judges. */
const orphanGraceMs = 5_000;
/** A sweep removes so many at most, while the machines are few. */
const cap = 5;

beforeAll(async () => {
  const broker = newId();
  sites.azure = await azureSite(broker);
  sites.gcp = await gcpSite(broker);
  estate = await startEstate(Object.values(sites), {
    interceptors: activities.interceptors,
    orphanGraceMs,
    broker,
  });
  // Azure makes no machine without one.
  const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0kQ2vQ3xQf0y8hC5j0Jm0m5Zk1l1m1n1o1p1q1r1s1 test';
  await createSshKey(estate.db, 'default', { name: 'key', publicKey }, by);
}, 300_000);
afterEach(async () => {
  activities.interrupt(undefined);
  for (const { subject } of Object.values(sites)) subject.faults.clear();
  await estate?.db.deleteFrom('set_asides').execute();
});
afterAll(async () => {
  await estate?.close();
  for (const { subject } of Object.values(sites)) await subject.close();
}, 60_000);

const isGone = async (id: string) =>
  (await estate.db.selectFrom('instances').select('gone_at').where('id', '=', id).executeTakeFirst())
    ?.gone_at != null;

describe.each(['azure', 'gcp'])('on %s', (provider) => {
  const site = () => sites[provider]!;
  const name = (of: string) => `${provider}-${of}`;
  const set = (...[fault, kind]: Parameters<CloudSite['subject']['faults']['set']>) => {
    const has = site().subject.faults.set(fault, kind);
    if (has !== true) throw new Error(`${provider} has no ${fault.kind}: ${has.unsupported}`);
  };

  /** Asks for a machine and expects one of this attempt; answers the instance's id and the machine's reference. */
  async function made(of: string, attempt = 1): Promise<{ id: string; ref: string }> {
    const { id, operation } = await estate.request(site(), name(of));
    expect(await estate.ended(operation)).toEqual({
      state: 'Succeeded',
      message: expect.stringMatching(/^Running/),
    });
    return { id, ref: await oneMachine(estate, site(), id, attempt) };
  }
  const removed = (of: string, id: string) => removeFully(estate, site(), name(of), id);

  test('R1, R2: an error after the effect of each activity in turn leaves one machine, and nothing after its removal', async () => {
    const life = async (of: string) => {
      const { id } = await made(of);
      await removed(of, id);
    };
    activities.interrupt(undefined);
    await life('calm');
    const total = activities.calls();
    expect(total).toBeGreaterThanOrEqual(5);
    for (let nth = 1; nth <= total; nth++) {
      activities.interrupt({ mode: 'after', nth });
      await life(`after-${nth}`);
    }
  }, 120_000);

  test('R2: every activity may run twice, through a whole life', async () => {
    activities.interrupt({ mode: 'twice' });
    const { id, ref } = await made('twice');
    for (const verb of ['stop', 'start'] as const)
      expect(await estate.ended(await estate.change(name('twice'), verb))).toMatchObject({
        state: 'Succeeded',
      });
    expect(await oneMachine(estate, site(), id, 1)).toBe(ref);
    await removed('twice', id);
  }, 60_000);

  test.each(['requestLost', 'responseLost'] as const)(
    'R1, R2, R6: a create with its %s, which no list shows yet, is one machine of one attempt',
    async (kind) => {
      set({ kind: 'lag', lists: 4 });
      set({ kind });
      const { id } = await made(kind.toLowerCase());
      await removed(kind.toLowerCase(), id);
    },
    60_000,
  );

  test('R3: without capacity the next attempt has another offer, and nothing of the first is left', async () => {
    set({ kind: 'capacity' });
    const { id } = await made('fallback', 2);
    const intents = await estate.db.selectFrom('intents').selectAll().where('resource', '=', id).execute();
    const offers = intents.map(({ offer, zone }) => `${offer.instanceType} ${zone} ${offer.market}`);
    expect(new Set(offers).size).toBe(2);
    await removed('fallback', id);
  }, 60_000);

  test('R4: what was destroyed from outside is not answered for by its token: asked for again, it is another machine', async () => {
    const first = await made('again');
    await site().destroy(first.ref);
    await until('the machine is gone', async () => (await machinesOf(site(), first.id)).length === 0);
    await removed('again', first.id);
    const second = await made('again');
    expect(second.id).not.toBe(first.id);
    await removed('again', second.id);
  }, 60_000);

  test('R7: while a machine is going slowly its instance is not gone, and everything is gone when it is', async () => {
    const { id } = await made('slow-delete');
    set({ kind: 'slowDelete', ms: 2_000 });
    const operation = await estate.remove(name('slow-delete'));
    let looks = 0;
    while (!(await isGone(id))) {
      looks++;
      await pause(100);
    }
    expect(looks).toBeGreaterThan(10);
    await nothingIsLeft(estate, site(), id);
    expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  }, 60_000);

  test('R8: deleted while the create call is under way, before its id is known', async () => {
    set({ kind: 'latency', ms: 700, times: 20 });
    const { id, operation } = await estate.request(site(), name('mid-create'));
    await until('the create is under way', async () => (await truthOf(site(), id)).length > 0);
    await estate.remove(name('mid-create'));
    await until('the deletion has ended', () => isGone(id), 40_000);
    expect(await estate.ended(operation)).toMatchObject({ state: 'Cancelled' });
    await nothingIsLeft(estate, site(), id);
  }, 90_000);

  test('R8: a create that is cancelled while its call is under way removes what the call makes', async () => {
    set({ kind: 'responseLost' });
    const { id, operation } = await estate.request(site(), name('cancelled'));
    await until('the create is under way', async () => (await truthOf(site(), id)).length > 0);
    await cancelOperation(estate.db, { organization: 'default' }, operation, by);
    expect(await estate.ended(operation)).toMatchObject({ state: 'Cancelled' });
    await nothingIsLeft(estate, site(), id);
    await removed('cancelled', id);
  }, 60_000);

  describe('with lists that lag by three looks', () => {
    const refused = async (of: string) => {
      set({ kind: 'lag', lists: 3 });
      const { id, operation } = await estate.request(site(), name(of));
      expect(await estate.ended(operation)).toMatchObject({ state: 'Failed' });
      await nothingIsLeft(estate, site(), id);
      site().subject.faults.clear();
      await removed(of, id);
    };

    if (provider === 'azure')
      test.each([1, 2, 3])(
        'R9, R17: Azure refuses child %d of the create for its quota: nothing is left of those before it',
        async (n) => {
          set({ kind: 'failChild', n });
          await refused(`child-${n}`);
        },
        60_000,
      );
    else
      test.each([2, 3])(
        'R9, R17: Google Cloud fails once at child %d of the create: one machine is made, and nothing stays behind',
        async (n) => {
          set({ kind: 'lag', lists: 3 });
          set({ kind: 'failChild', n });
          const { id, operation } = await estate.request(site(), name(`child-${n}`));
          expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
          await oneMachine(estate, site(), id, (await liveIntents(estate.db, id))[0]!.attempt);
          await removed(`child-${n}`, id);
        },
        60_000,
      );

    test('R9: the machine itself is refused for a quota: its children go, too', async () => {
      set({ kind: 'quota' });
      await refused('quota');
    }, 60_000);
  });

  test('R11: a stopped machine whose start is refused is kept, and starts later', async () => {
    const { id, ref } = await made('kept');
    expect(await estate.ended(await estate.change(name('kept'), 'stop'))).toMatchObject({
      state: 'Succeeded',
    });
    site().refuseStart();
    expect(await estate.ended(await estate.change(name('kept'), 'start'))).toMatchObject({ state: 'Failed' });
    expect(await machinesOf(site(), id)).toEqual([ref]);
    site().subject.faults.clear();
    expect(await estate.ended(await estate.change(name('kept'), 'start'))).toMatchObject({
      state: 'Succeeded',
    });
    expect(await oneMachine(estate, site(), id, 1)).toBe(ref);
    await removed('kept', id);
  }, 60_000);

  const living = async (refs: string[]) => {
    const there = new Set((await site().truth()).map(({ ref }) => ref));
    return refs.filter((ref) => there.has(ref)).length;
  };
  /** Makes machines that no intent stands for, by default with this broker's stamp. */
  const plant = (count: number, broker: string | undefined = estate.broker) =>
    Promise.all(Array.from({ length: count }, () => site().subject.plantForeign(newId(), broker)));

  test('R18: a list that fails half-way deletes nothing, calls nothing missing, and says that it is not whole', async () => {
    const { id } = await made('half-listed');
    const [orphan] = await plant(1);
    await estate.sweep();
    await pause(orphanGraceMs + 100);
    set({ kind: 'brokenList', times: 10_000 });
    const audit = await estate.audit();
    expect(audit.missing).toEqual([]);
    expect(audit.sites.find((one) => one.site === provider)).toMatchObject({ complete: false });
    await estate.sweep();
    // Its site was not listed whole: even a ripe orphan waits for a list that is.
    expect(await living([orphan!])).toBe(1);
    await oneMachine(estate, site(), id, 1);
    site().subject.faults.clear();
    await estate.sweep();
    expect(await estate.events('sweep.orphanKept')).toEqual([]);
    expect(await living([orphan!])).toBe(0);
    await removed('half-listed', id);
  }, 60_000);

  test('R18, R20: more orphans than one sweep may remove are all left, and an event says so', async () => {
    const { id } = await made('beside-orphans');
    const orphans = await plant(cap + 1);
    await estate.sweep();
    await pause(orphanGraceMs + 100);
    const refusals = (await estate.events('sweep.refused')).length;
    await estate.sweep();
    expect(await living(orphans)).toBe(cap + 1);
    expect((await estate.events('sweep.refused')).slice(refusals)).toEqual([
      expect.stringContaining(`${cap + 1} orphans are more than the ${cap} that one sweep may remove`),
    ]);
    await site().destroy(orphans[0]!);
    await until('one orphan is gone', async () => (await living(orphans)) === cap);
    await estate.sweep();
    expect(await living(orphans)).toBe(0);
    await oneMachine(estate, site(), id, 1);
    await removed('beside-orphans', id);
  }, 60_000);

  test('R19: machines of another broker, and of nobody, are neither counted nor swept', async () => {
    const { id } = await made('mine');
    const theirs = [...(await plant(1, newId())), await site().subject.plantForeign('nobody')];
    expect(await estate.audit()).toMatchObject({ orphans: [], missing: [], doubled: [], machines: 1 });
    await estate.sweep();
    await pause(orphanGraceMs + 100);
    await estate.sweep();
    expect(await living(theirs)).toBe(2);
    await oneMachine(estate, site(), id, 1);
    await removed('mine', id);
  }, 60_000);
});
