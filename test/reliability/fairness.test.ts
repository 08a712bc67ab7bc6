import { newId } from '@landfall/store';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import { type SimulatedEstate, startSimulatedEstate } from '../simulated-estate.ts';
import { until } from './estate-with.ts';

/** Calls the site has under way at most. */
const atOnce = 2;
const many = 40;

let estate: SimulatedEstate;
/** An activity that is held until it is let go, and the resources it began for, in order. */
interface Hold {
  activity: 'ensureResource' | 'decide';
  begun: string[];
  opened: Promise<void>;
  open(): void;
}
let held: Hold | undefined;

function hold(activity: Hold['activity']): Hold {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  held = { activity, begun: [], opened, open };
  return held;
}

beforeAll(async () => {
  estate = await startSimulatedEstate({
    hosts: [{ name: 'h1', vcpus: 200, memoryGiB: 100, diskGiB: 1_000 }],
    activitiesAtOnce: atOnce,
    interceptors: {
      activity: [
        (context) => {
          const inbound: ActivityInboundCallsInterceptor = {
            async execute(input, next) {
              if (context.info.activityType !== held?.activity) return next(input);
              const asked = input.args[0] as { resource: string } | { instance: string };
              held.begun.push('resource' in asked ? asked.resource : asked.instance);
              const pulse = setInterval(() => context.heartbeat(), 1_000);
              await held.opened.finally(() => clearInterval(pulse));
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

/** Activities that wait in a queue, as Temporal counts them. */
async function waiting(queue: string): Promise<number> {
  const { stats } = await estate.engine.workflowService.describeTaskQueue({
    namespace: 'default',
    taskQueue: { name: queue },
    taskQueueType: 2, // activities
    reportStats: true,
  });
  return Number(stats?.approximateBacklogCount ?? 0);
}

test.each([
  ['the same site', 'ensureResource', 'site/lab/h1'],
  ['a decision', 'decide', 'landfall'],
] as const)(
  'one machine of a project has its turn within a few calls while 40 of another wait for %s',
  async (_, activity, queue) => {
    const { begun, open } = hold(activity);
    const noisy = await Promise.all(
      Array.from({ length: many }, (_, n) => estate.request(`noisy-${activity}-${n}`.toLowerCase())),
    );
    await until('all of the noisy project wait', async () => (await waiting(queue)) >= many - atOnce, 45_000);
    const { id, operation } = await estate.request(`one-${activity}`.toLowerCase(), {}, { project: 'quiet' });
    await until('the one waits too', async () => (await waiting(queue)) >= many - atOnce + 1, 45_000);
    expect(begun).toHaveLength(atOnce);
    open();
    expect(await estate.ended(operation)).toMatchObject({ state: 'Succeeded' });
    // Those that had begun, what each poll had in hand already, and a turn of the other project.
    expect(begun.indexOf(id)).toBeLessThan(8);
    // Nothing of this is left for the next test to wait behind.
    await Promise.all(noisy.map((one) => estate.ended(one.operation, 60_000)));
  },
  120_000,
);

test('R15: an account that throttles is asked by none of its resources until it said', async () => {
  held = undefined;
  const { provider } = estate;
  provider.throttled = { untilMs: Date.now() + 4_000, refused: 0 };
  const asked = await Promise.all(Array.from({ length: 8 }, (_, n) => estate.request(`throttled-${n}`)));
  for (const { operation } of asked)
    expect(await estate.ended(operation, 60_000)).toMatchObject({ state: 'Succeeded' });
  // The first, and what was on its way as it was refused.
  expect(provider.throttled.refused).toBeGreaterThanOrEqual(1);
  expect(provider.throttled.refused).toBeLessThanOrEqual(atOnce);
}, 90_000);
