import { jest } from '@jest/globals';
import { simulatedAws } from '../../test/simulators/aws/subject.ts';
import { textAt } from '../../test/simulators/aws/xml.ts';
import { ensureReady, observeSettled, removeFully } from '../conformance/probe.ts';
import type { Adapter, Present } from '../contract.ts';

jest.setTimeout(60_000);

let aws: Awaited<ReturnType<typeof simulatedAws>>;
let adapter: Adapter;

beforeAll(async () => {
  aws = await simulatedAws();
  adapter = await aws.adapter();
}, 300_000);
afterEach(() => aws.faults.clear());
afterAll(() => aws?.close());

const spot = (resource: string) => ensureReady(adapter, aws.want(resource, 1, { market: 'spot' }));
const target = (resource: string, { ref }: Present) => ({ ...aws.target(resource, 1), ref });

test('a spot machine that EC2 took away says so after its tags have gone, too, and can still be removed', async () => {
  const machine = await spot('bare');
  aws.faults.set({ kind: 'interrupt', ref: machine.ref });
  const told = { presence: 'absent', interrupted: { reason: 'Server.SpotInstanceTermination' } };
  // It goes within 200 ms, and a busy machine looks later.
  const going = await adapter.observe(target('bare', machine));
  expect(going.presence === 'present' ? going.details : going).toMatchObject({
    interrupted: told.interrupted,
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await adapter.observe(target('bare', machine))).toEqual(told);
  const tags = (await aws.simulator.direct('us-east-1', 'DescribeTags', {})).children.flatMap(
    ({ name, children }) => (name === 'tagSet' ? children : []),
  );
  const ours = tags.filter((tag) => textAt(tag, 'resourceId') === machine.ref);
  expect(ours.length).toBeGreaterThan(0);
  const keys = ours.map((tag, index) => [`Tag.${index + 1}.Key`, textAt(tag, 'key') ?? '']);
  await aws.simulator.direct('us-east-1', 'DeleteTags', {
    'ResourceId.1': machine.ref,
    ...Object.fromEntries(keys),
  });
  expect(await adapter.observe(target('bare', machine))).toEqual(told);
  await removeFully(adapter, target('bare', machine));
});

test('a spot machine that somebody terminated is gone, and nobody says that EC2 took it', async () => {
  const machine = await spot('terminated');
  await aws.simulator.direct('us-east-1', 'TerminateInstances', { 'InstanceId.1': machine.ref });
  expect(await observeSettled(adapter, target('terminated', machine))).toEqual({ presence: 'absent' });
  await removeFully(adapter, target('terminated', machine));
});

test('hours later, when EC2 shows the machine no more, its spot request still says by which word it was taken', async () => {
  const machine = await spot('forgotten');
  aws.simulator.faults.set({ kind: 'interrupt', ref: machine.ref, forgotten: true });
  expect(await observeSettled(adapter, target('forgotten', machine))).toEqual({
    presence: 'absent',
    interrupted: { reason: 'instance-terminated-no-capacity' },
  });
  const onDemand = aws.want('forgotten', 1, { market: 'onDemand' });
  const calls = () =>
    aws.simulator.calls.filter(({ action }) => action === 'DescribeSpotInstanceRequests').length;
  const before = calls();
  expect(await adapter.observe(target('forgotten', machine), onDemand)).toEqual({ presence: 'absent' });
  expect(calls()).toBe(before);
  await removeFully(adapter, target('forgotten', machine));
});

test('who may not read spot requests is told that the machine is gone, and warned', async () => {
  const warned: string[] = [];
  const poor = await aws.adapter({ warn: (message) => void warned.push(message) });
  const machine = await spot('denied');
  aws.simulator.faults.set({ kind: 'interrupt', ref: machine.ref, forgotten: true });
  await observeSettled(adapter, target('denied', machine));
  aws.simulator.faults.set({ kind: 'denied', action: 'DescribeSpotInstanceRequests' });
  expect(await poor.observe(target('denied', machine))).toEqual({ presence: 'absent' });
  expect(warned).toEqual([expect.stringContaining(`the spot request of ${machine.ref} could not be read`)]);
  await removeFully(adapter, target('denied', machine));
});
