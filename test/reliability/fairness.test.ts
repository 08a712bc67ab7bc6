import { newId } from '@landfall/store';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import { type SimulatedEstate, startSimulatedEstate } from '../simulated-estate.ts';
import { until } from './estate-with.ts';

/** Calls the site has under way at most. */
const atOnce = 2;
const many = 60;

let estate: SimulatedEstate;
/** Resources in the order in which the site began to create them. */
const begun: string[] = [];
let open = () => {};
const opened = new Promise<void>((resolve) => {
  open = resolve;
});

beforeAll(async () => {
  estate = await startSimulatedEstate({
    hosts: [{ name: 'h1', vcpus: 100, memoryGiB: 100, diskGiB: 1_000 }],
    activitiesAtOnce: atOnce,
    interceptors: {
      activity: [
        (context) => {
          const inbound: ActivityInboundCallsInterceptor = {
            async execute(input, next) {
              if (context.info.activityType !== 'ensureResource') return next(input);
              begun.push((input.args[0] as { resource: string }).resource);
              const pulse = setInterval(() => context.heartbeat(), 1_000);
              await opened.finally(() => clearInterval(pulse));
              return next(input);
            },
          };
          return { inbound };
        },
      ],
    },
  });
  await estate.db
    .insertInto('projects')
    .values({ id: newId(), organization: 'default', name: 'quiet', labels: '{}', limits: '{}' })
    .execute();
}, 60_000);

afterAll(() => estate?.close(), 30_000);

/** Creates that wait for the site, as Temporal counts them. */
async function waiting(): Promise<number> {
  const { stats } = await estate.engine.workflowService.describeTaskQueue({
    namespace: 'default',
    taskQueue: { name: 'site/lab/h1' },
    taskQueueType: 2, // activities
    reportStats: true,
  });
  return Number(stats?.approximateBacklogCount ?? 0);
}

test('one machine of a project is made within a few calls while 60 of another wait for the same site', async () => {
  await Promise.all(Array.from({ length: many }, (_, n) => estate.request(`noisy-${n}`)));
  await until('all of the noisy project wait', async () => (await waiting()) >= many - atOnce);
  const { id, operation } = await estate.request('one', {}, { project: 'quiet' });
  await until('the one waits too', async () => (await waiting()) >= many - atOnce + 1);
  expect(begun).toHaveLength(atOnce);
  open();
  expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
  // Those that had begun, what each poll had in hand already, and a turn of the other project.
  expect(begun.indexOf(id)).toBeLessThan(12);
}, 90_000);

test('R15: an account that throttles is asked by none of its resources until it said', async () => {
  open();
  const { provider } = estate;
  provider.throttled = { untilMs: Date.now() + 4_000, refused: 0 };
  const asked = await Promise.all(Array.from({ length: 8 }, (_, n) => estate.request(`throttled-${n}`)));
  for (const { operation } of asked)
    expect(await estate.ended(operation, 60_000)).toMatchObject({ state: 'Succeeded' });
  // The first, and what was on its way as it was refused.
  expect(provider.throttled.refused).toBeGreaterThanOrEqual(1);
  expect(provider.throttled.refused).toBeLessThanOrEqual(atOnce);
}, 90_000);
