import type { EstateMachine, InstanceSpec } from '@landfall/model';
import {
  changeInstance,
  deleteInstance,
  EstateReader,
  estateMachines,
  getInstance,
  type Queryable,
  type Store,
} from '@landfall/store';
import { openStore } from '@landfall/store/open.ts';
import { decisions } from '@landfall/workflows/decide.ts';
import { placer } from '@landfall/workflows/place.ts';
import { sql } from 'kysely';
import { type SimulatedEstate, startSimulatedEstate } from '../simulated-estate.ts';

/**
 * Limits and rules about other machines under 64 placements at once, each in a transaction of its own on real PostgreSQL:
 * exactly what the rules allow is placed, and whoever is refused is told why.
 */
const placers = 64;

let estate: SimulatedEstate;
let store: Store;

beforeAll(async () => {
  estate = await startSimulatedEstate({
    hosts: ['h1', 'h2', 'h3', 'h4'].map((name, n) => ({
      name,
      vcpus: 100,
      memoryGiB: 100,
      diskGiB: 1_000,
      gpus: [3, 2, 0, 0][n],
    })),
  });
  store = await openStore({ databaseUrl: estate.stack.databaseUrl, poolSize: placers });
}, 60_000);

afterAll(async () => {
  await store?.close();
  await estate?.close();
}, 30_000);

async function remove(name: string): Promise<void> {
  const { operation } = await deleteInstance(store.db, {
    organization: 'default',
    requestedBy: 'test',
    project: 'default',
    instance: name,
    ifMatch: null,
  });
  await estate.ended(operation!.id, 60_000);
}

let life = 0;

/** A quarter of the requests to each host: what they take of a host then does not keep them apart. */
const pinned = (n: number) => ({ placement: { hosts: [`h${(n % 4) + 1}`] } });

/** Asks for 64 machines at once; answers how many were placed, where, and what the others were told. */
async function race(
  labels: (n: number) => Record<string, string> = () => ({}),
  spec: (n: number) => Partial<InstanceSpec> = pinned,
) {
  const prefix = `race-${++life}`;
  const asked = await Promise.all(
    Array.from({ length: placers }, (_, n) =>
      estate.request(`${prefix}-${n}`, spec(n), { labels: labels(n) }),
    ),
  );
  // As 64 processes would decide at the same moment, the workers beside them: a decision is safe to repeat.
  await Promise.all(
    asked.map(({ id }) => decisions(store.db, estate.broker, placer()).decide({ instance: id })),
  );
  const ends = await Promise.all(asked.map(({ operation }) => estate.ended(operation, 60_000)));
  const machines = await estateMachines(store.db, 'default');
  const refusals = ends.filter(({ state }) => state === 'Failed').map(({ message }) => message);
  return {
    placed: ends.filter(({ state }) => state === 'Succeeded').length,
    machines,
    refusals,
    async clear() {
      await Promise.all(asked.map((_, n) => remove(`${prefix}-${n}`)));
      expect(await estateMachines(store.db, 'default')).toEqual([]);
    },
  };
}

test('a quota of 5 instances: exactly 5 are made', async () => {
  await estate.policy('q', '- {name: few, quota: {group: [project], resource: instances, limit: 5}}');
  const { placed, machines, refusals, clear } = await race();
  expect(placed).toBe(5);
  expect(machines).toHaveLength(5);
  expect(refusals).toHaveLength(placers - 5);
  for (const refusal of refusals) expect(refusal).toContain('few');
  await clear();
  await estate.noPolicy('q');
}, 120_000);

test('a budget: exactly as many as it pays for', async () => {
  // One machine of 1 vCPU and 0.25 GiB is 0.01 + 0.00025 USD an hour.
  await estate.policy('b', '- {name: spend, budget: {group: [organization], per: hour, limit: 0.072 USD}}');
  const { placed, machines, refusals, clear } = await race();
  expect(placed).toBe(7);
  expect(machines.reduce((sum, { pricePerHour }) => sum + pricePerHour, 0)).toBeLessThanOrEqual(0.072);
  for (const refusal of refusals) expect(refusal).toContain('spend');
  await clear();
  await estate.noPolicy('b');
}, 120_000);

test('anti-affinity by host: one on each host', async () => {
  await estate.policy(
    'a',
    '- {name: apart, antiAffinity: {to: "resource.labels.app == request.labels.app", by: host}}',
  );
  const { placed, machines, refusals, clear } = await race(
    () => ({ app: 'db' }),
    () => ({}),
  );
  expect(placed).toBe(4);
  expect(machines.map(({ host }) => host).sort()).toEqual(['h1', 'h2', 'h3', 'h4']);
  for (const refusal of refusals) expect(refusal).toContain('apart');
  await clear();
  await estate.noPolicy('a');
}, 120_000);

test('machines that are to be alone stay so, whoever comes at the same moment and is under no rule', async () => {
  // In one region, on different hosts: what they take of a host does not keep them apart.
  await estate.policy(
    'alone',
    `- {name: alone, when: 'request.labels.app == "db"', antiAffinity: {to: 'resource.labels.app == "batch"', by: region}}`,
  );
  const { placed, machines, refusals, clear } = await race((n) => ({ app: n % 2 === 0 ? 'db' : 'batch' }));
  expect(new Set(machines.map(({ labels }) => labels.app)).size).toBe(1);
  expect(placed).toBe(placers / 2);
  for (const refusal of refusals) expect(refusal).toContain('alone');
  await clear();
  await estate.noPolicy('alone');
}, 120_000);

test('two rules, each about the machines of the other, are not both passed by', async () => {
  // Every machine is under one of the rules only; each rule counts all of the project's machines.
  await estate.policy(
    'skew',
    `- {name: blue, when: 'request.labels.side == "blue"', quota: {group: [project], resource: instances, limit: 5}}
- {name: red, when: 'request.labels.side == "red"', quota: {group: [organization], resource: instances, limit: 5}}`,
  );
  const { placed, machines, clear } = await race((n) => ({ side: n % 2 === 0 ? 'blue' : 'red' }));
  expect(placed).toBe(5);
  expect(machines).toHaveLength(5);
  await clear();
  await estate.noPolicy('skew');
}, 120_000);

test('a spread under a quota: no domain has more than its share', async () => {
  await estate.policy('s', '- {name: ha, spread: {by: host, min: 3, maxShare: 0.4, group: [project]}}');
  await estate.policy('q', '- {name: few, quota: {group: [project], resource: vcpu, limit: 10}}');
  const { placed, machines, clear } = await race(undefined, () => ({}));
  expect(placed).toBe(10);
  const byHost = Map.groupBy(machines, ({ host }) => host);
  expect(byHost.size).toBeGreaterThanOrEqual(3);
  for (const at of byHost.values()) expect(at.length).toBeLessThanOrEqual(4);
  await clear();
  await estate.noPolicy('s');
  await estate.noPolicy('q');
}, 120_000);

test('the last room of a host: exactly as many as fit', async () => {
  const { placed, machines, clear } = await race(undefined, () => ({
    vcpus: 30,
    placement: { hosts: ['h1'] },
  }));
  expect(placed).toBe(3);
  expect(machines).toHaveLength(3);
  await clear();
}, 120_000);

test('the last GPUs of two hosts: exactly as many machines as have theirs, and the others are told that GPUs are short', async () => {
  const { placed, machines, refusals, clear } = await race(undefined, () => ({
    gpu: { name: 't4', count: 1 },
  }));
  expect(placed).toBe(5);
  expect(machines.map(({ host, gpuName, gpuCount }) => `${host} ${gpuCount} ${gpuName}`).sort()).toEqual([
    ...Array(3).fill('h1 1 T4'),
    ...Array(2).fill('h2 1 T4'),
  ]);
  for (const refusal of refusals) expect(refusal).toContain('and 0 GPUs free');
  await clear();
  const pairs = await race(undefined, () => ({ gpu: { count: 2 } }));
  expect(pairs.machines.map(({ host }) => host).sort()).toEqual(['h1', 'h2']);
  await pairs.clear();
  const { rows } = await sql`select count(*)::int as n from claims where gpus > 0`.execute(store.db);
  expect(rows).toEqual([{ n: 0 }]);
}, 180_000);

test('machines that are placed in one transaction do not get the same GPU', async () => {
  const asked = await Promise.all(
    Array.from({ length: 16 }, (_, n) => estate.request(`together-${n}`, { gpu: { count: 1 } })),
  );
  const { decide } = decisions(store.db, estate.broker, placer());
  await Promise.all(asked.map(({ id }) => decide({ instance: id })));
  const ends = await Promise.all(asked.map(({ operation }) => estate.ended(operation)));
  expect(ends.filter(({ state }) => state === 'Succeeded')).toHaveLength(5);
  await Promise.all(asked.map((_, n) => remove(`together-${n}`)));
}, 60_000);

test('a machine that is resized keeps its GPUs, the last of its host', async () => {
  const trains = await estate.request('trains', { gpu: { name: 'T4', count: 3 } });
  expect(await estate.ended(trains.operation)).toMatchObject({ state: 'Succeeded' });
  const resized = await changeInstance(store.db, {
    organization: 'default',
    requestedBy: 'test',
    project: 'default',
    instance: 'trains',
    verb: 'resize',
    patch: { spec: { vcpus: 8 } },
    ifMatch: null,
  });
  expect(await estate.ended(resized.operation!.id)).toMatchObject({ state: 'Succeeded' });
  const { rows } = await sql`select host, vcpus, gpus from claims`.execute(store.db);
  expect(rows).toEqual([{ host: 'h1', vcpus: 8, gpus: 3 }]);
  expect(await estateMachines(store.db, 'default')).toMatchObject([{ gpuCount: 3, vcpus: 8 }]);
  const other = await estate.request('waits', { gpu: { count: 3 } });
  expect((await estate.ended(other.operation)).message).toContain('and 0 GPUs free');
  await remove('waits');
  await remove('trains');
}, 60_000);

test('what is being removed counts until it is gone, and then makes room', async () => {
  await estate.policy('q', '- {name: one, quota: {group: [project], resource: instances, limit: 1}}');
  const first = await estate.request('first-one');
  expect(await estate.ended(first.operation)).toMatchObject({ state: 'Succeeded' });
  expect(await estateMachines(store.db, 'default')).toMatchObject([
    {
      id: first.id,
      name: 'first-one',
      site: 'lab',
      host: expect.any(String),
      vcpus: 1,
      memoryGiB: 0.25,
      diskGiB: 1,
    },
  ]);
  expect(await estate.ended((await estate.request('second-one')).operation)).toMatchObject({
    state: 'Failed',
  });
  await remove('first-one');
  const third = await estate.request('third-one');
  expect(await estate.ended(third.operation)).toMatchObject({ state: 'Succeeded' });
  await estate.noPolicy('q');
});

test('machines read on from the last time are those that there are, whatever was changed, moved or rolled back', async () => {
  const { db } = store;
  const reader = new EstateReader();
  const asked = await Promise.all(Array.from({ length: 12 }, (_, n) => estate.request(`read-${n}`)));
  await Promise.all(asked.map(({ operation }) => estate.ended(operation)));
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  const change = async (tx: Queryable) => {
    const { id } = asked[random(asked.length)]!;
    const kind = random(4);
    const intents = tx.updateTable('intents').where('resource', '=', id);
    if (kind === 0) await intents.set({ state: 'removed' }).execute();
    if (kind === 1) await intents.set({ state: 'adopted' }).execute();
    if (kind === 2) await intents.set({ region: `r${random(3)}` }).execute();
    if (kind === 3)
      await tx
        .updateTable('instances')
        .set({ labels: JSON.stringify({ n: String(random(5)) }) })
        .where('id', '=', id)
        .execute();
  };
  const sorted = (machines: readonly EstateMachine[]) => [...machines].sort((a, b) => (a.id < b.id ? -1 : 1));
  for (let round = 0; round < 150; round++) {
    // Two at once, one of which reads amid its own changes; either may be rolled back.
    await Promise.all(
      [0, 1].map((n) =>
        db
          .transaction()
          .execute(async (tx) => {
            await change(tx);
            if (n === 0) await reader.read(tx, 'default');
            await change(tx);
            if (random(2) === 0) throw new Error('rolled back');
          })
          .catch((error: Error) => {
            // Two that change the same two machines crosswise: the database ends one of them.
            if (!/rolled back|deadlock/.test(error.message)) throw error;
          }),
      ),
    );
    const { machines } = await reader.read(db, 'default');
    expect(sorted(machines)).toEqual(sorted(await estateMachines(db, 'default')));
    expect((await reader.read(db, 'default')).machines).toBe(machines);
  }
  const ids = asked.map(({ id }) => id);
  await db
    .updateTable('intents')
    .set({ state: 'adopted', region: 'lab' })
    .where('resource', 'in', ids)
    .execute();
  await Promise.all(asked.map((_, n) => remove(`read-${n}`)));
}, 60_000);

test('a ttl rule gives an end to a machine that asks for none', async () => {
  await estate.policy('t', '- {name: short, ttl: {max: 72h, default: 24h}}');
  const { operation } = await estate.request('mortal');
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  const { createdAt, status } = await getInstance(store.db, 'default', 'mortal');
  expect(Date.parse(status.expiresAt!) - Date.parse(createdAt)).toBe(24 * 3_600_000);
  await estate.noPolicy('t');
});

test('a policy that can no longer be read stops placement with its name, its line and what to do, and no stack', async () => {
  await estate.policy('broken', "- {name: r, deny: 'offer.burstable'}");
  await store.db
    .updateTable('policies')
    .set({
      source:
        'apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: broken}\nspec:\n  ruless: []\n',
      version: 'older',
    })
    .where('name', '=', 'broken')
    .execute();
  const end = await estate.ended((await estate.request('unlucky')).operation);
  expect(end).toMatchObject({ state: 'Failed' });
  expect(end.message).toContain('policy broken cannot be read (line 5');
  expect(end.message).toContain('landfall policy put');
  await estate.noPolicy('broken');
  expect(await estate.ended((await estate.request('lucky')).operation)).toMatchObject({ state: 'Succeeded' });
});
