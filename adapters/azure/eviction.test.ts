import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { simulatedAzure } from '../../test/simulators/azure/subject.ts';
import { ensureReady, removeFully } from '../conformance/probe.ts';
import type { Adapter, Observation, Present, Target } from '../contract.ts';

jest.setTimeout(60_000);

let azure: Awaited<ReturnType<typeof simulatedAzure>>;
let adapter: Adapter;
const warned: string[] = [];

beforeAll(async () => {
  azure = await simulatedAzure({ warn: (message) => void warned.push(message) });
  adapter = await azure.adapter();
}, 300_000);
afterEach(() => azure.faults.clear());
afterAll(() => azure?.close());

const spot = (resource: string) => ensureReady(adapter, azure.want(resource, 1, { market: 'spot' }));
const target = (resource: string, { ref }: Present) => ({ ...azure.target(resource, 1), ref });
/** Deleting takes a while. */
async function untilGone(gone: Target<'Instance'>): Promise<Observation> {
  for (;;) {
    const seen = await adapter.observe(gone);
    if (seen.presence === 'absent') return seen;
    await sleep(50);
  }
}

const readings = () => azure.simulator.calls.filter(({ path }) => /eventtypes/i.test(path)).length;

test('a spot machine that Azure evicted is gone by the word of the Activity Log, which is not read of one on demand', async () => {
  const machine = await spot('evicted');
  azure.faults.set({ kind: 'interrupt', ref: machine.ref });
  expect(await untilGone(target('evicted', machine))).toEqual({
    presence: 'absent',
    interrupted: { reason: 'Microsoft.Compute/virtualMachines/evictSpotVM/action' },
  });
  const before = readings();
  const onDemand = azure.want('evicted', 1, { market: 'onDemand' });
  expect(await adapter.observe(target('evicted', machine), onDemand)).toEqual({ presence: 'absent' });
  expect(readings()).toBe(before);
  await removeFully(adapter, target('evicted', machine));
});

test('a spot machine that somebody deleted is gone, and nobody says that Azure took it', async () => {
  const other = await spot('other');
  azure.faults.set({ kind: 'interrupt', ref: other.ref });
  const machine = await spot('deleted');
  const url = `${azure.simulator.endpoint}${machine.ref}?api-version=2026-04-01`;
  await fetch(url, { method: 'DELETE', headers: { authorization: 'Bearer somebody-else' } });
  const before = readings();
  expect(await untilGone(target('deleted', machine))).toEqual({ presence: 'absent' });
  expect(readings()).toBeGreaterThan(before);
  await removeFully(adapter, target('deleted', machine));
  await removeFully(adapter, target('other', other));
});

test('an eviction that the log has, by a clock of Azure’s that is ahead, for a time to come is found', async () => {
  const machine = await spot('ahead');
  azure.faults.set({ kind: 'clockSkew', ms: 20 * 60_000 });
  azure.faults.set({ kind: 'interrupt', ref: machine.ref });
  expect(await untilGone(target('ahead', machine))).toMatchObject({ interrupted: {} });
  await removeFully(adapter, target('ahead', machine));
});

test('who may not read the Activity Log is told that the machine is gone, and warned', async () => {
  warned.length = 0;
  const machine = await spot('denied');
  azure.faults.set({ kind: 'interrupt', ref: machine.ref });
  await untilGone(target('denied', machine));
  azure.simulator.faults.set({ kind: 'denied', of: 'values' });
  expect(await adapter.observe(target('denied', machine))).toEqual({ presence: 'absent' });
  expect(warned).toEqual([expect.stringContaining(`the Activity Log of ${machine.ref} could not be read`)]);
  await removeFully(adapter, target('denied', machine));
});
