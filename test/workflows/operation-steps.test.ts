import { deleteInstance, newId } from '@landfall/store';
import { listSteps } from '@landfall/store/operation-steps.ts';
import { sql } from 'kysely';
import { type CloudSite, gcpSite } from '../reliability/cloud-site.ts';
import { type Estate, startEstate } from '../reliability/estate-with.ts';

let site: CloudSite;
let estate: Estate;
const by = { organization: 'default', requestedBy: 'test' };

beforeAll(async () => {
  const broker = newId();
  site = await gcpSite(broker);
  estate = await startEstate([site], { broker });
}, 300_000);
afterAll(async () => {
  await estate?.close();
  await site?.subject.close();
}, 60_000);

const stepsOf = async (operation: string) => (await listSteps(estate.db, by, operation)).items;
const set = (fault: Parameters<CloudSite['subject']['faults']['set']>[0]) =>
  expect(site.subject.faults.set(fault)).toBe(true);
const ask = async (name: string) => {
  const { operation } = await estate.request(site, name, { userData: 'password: kept-nowhere', sshKeys: [] });
  expect(await estate.ended(operation, 60_000)).toMatchObject({ state: 'Succeeded' });
  return stepsOf(operation);
};

test('an operation’s timeline has a throttled try, its retry and every call of both, and nothing of what was sent', async () => {
  set({ kind: 'throttle', retryAfterMs: 1_000 });
  const [first, second, ...more] = await ask('throttled');
  expect(more).toEqual([]);
  expect(first).toMatchObject({ step: 'ensure', attempt: 1, try: 1, failed: 'Throttled', site: 'gcp' });
  expect(second).toMatchObject({ step: 'ensure', attempt: 1, try: 2, failed: null });
  const refused = first!.calls.find(({ status }) => status === 429)!;
  expect(refused).toMatchObject({ code: 'rateLimitExceeded', retry: 0 });
  expect(second!.calls).toContainEqual(expect.objectContaining({ call: refused.call, retry: 1 }));
  expect(second!.calls).toContainEqual(
    expect.objectContaining({ call: 'instances.insert', status: 200, code: null, retry: 0, count: 1 }),
  );
  const times = [first!.startedAt, refused.startedAt, second!.startedAt, second!.calls.at(-1)!.startedAt];
  expect(times.toSorted()).toEqual(times);
  expect(JSON.stringify([first, second])).not.toMatch(/kept-nowhere|simulated|bearer|[?]/i);
}, 120_000);

test('a step whose calls cannot be kept is done all the same', async () => {
  const rename = (from: string, to: string) =>
    sql`alter table ${sql.table(from)} rename to ${sql.table(to)}`.execute(estate.db);
  await rename('operation_steps', 'steps_away');
  try {
    const { operation } = await estate.request(site, 'unkept', { sshKeys: [] });
    expect(await estate.ended(operation, 60_000)).toMatchObject({ state: 'Succeeded' });
  } finally {
    await rename('steps_away', 'operation_steps');
  }
}, 120_000);

test('what was made and refused is removed again as a compensation, a deletion is none', async () => {
  set({ kind: 'capacity', times: 1 });
  const steps = await ask('elsewhere');
  // A removal is asked again until absence was seen more than once.
  const told = steps.map(({ step, attempt, failed, compensation }) =>
    [step, attempt, failed ?? 'done', compensation ? 'compensation' : ''].join(' ').trim(),
  );
  expect([...new Set(told)]).toEqual([
    'ensure 1 CapacityExhausted',
    'remove 1 done compensation',
    'ensure 2 done',
  ]);
  const { operation } = await deleteInstance(estate.db, {
    ...{ ...by, project: 'default', instance: 'elsewhere', ifMatch: null },
  });
  await estate.ended(operation!.id, 60_000);
  const removal = await stepsOf(operation!.id);
  expect(removal).not.toEqual([]);
  for (const { step, attempt, compensation } of removal)
    expect([step, attempt, compensation]).toEqual(['remove', 2, false]);
  expect(removal.flatMap(({ calls }) => calls.map(({ call }) => call))).toContain('instances.delete');
}, 120_000);
