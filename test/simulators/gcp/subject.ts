import type { Subject } from '../../../adapters/conformance/subject.ts';
import type { InstanceWant, Want } from '../../../adapters/contract.ts';
import { createGcpAdapter, type GcpAdapterOptions } from '../../../adapters/gcp/index.ts';
import { stampLabels } from '../../../adapters/gcp/stamp.ts';
import { type GcpSimulator, startGcpSimulator } from './index.ts';

/** The Google Cloud adapter before the simulator, as the conformance suite wants it. Quick polls, a short grace period. */
export async function simulatedGcp(
  options: Partial<GcpAdapterOptions> = {},
): Promise<Subject & { simulator: GcpSimulator }> {
  const simulator = await startGcpSimulator();
  const broker = 'broker-under-test';
  const project = 'simulated-project';
  const location = { region: 'us-central1', zone: 'us-central1-b' };
  let planted = 0;
  return {
    simulator,
    provider: 'gcp',
    broker,
    adapter: async () =>
      createGcpAdapter({
        site: 'simulated',
        regions: ['us-central1'],
        project,
        endpoint: simulator.endpoint,
        credentials: { accessToken: 'simulated' },
        pollMs: 50,
        visibilityGraceMs: 1500,
        warn: () => {},
        ...options,
      }),
    want: (resource, attempt, change = {}) =>
      wantOf({ broker, project: 'test', resource, attempt }, location, change),
    target: (resource, attempt) => ({
      kind: 'Instance',
      stamp: { broker, project: 'test', resource, attempt },
      location,
    }),
    faults: {
      set(fault) {
        if (fault.kind === 'deleteReturns') return { unsupported: 'the simulator has no such knob yet' };
        if (fault.kind === 'failChild' && fault.n > 2)
          return { unsupported: 'a create makes two things, the disk and the machine' };
        simulator.faults.set(fault);
        return true;
      },
      clear: () => simulator.faults.clear(),
    },
    truth: async () =>
      simulator.truth().map(({ ref, providerKind, labels }) => ({
        ref,
        providerKind,
        machine: providerKind === 'instance',
        broker: labels[stampLabels.broker],
        resource: labels[stampLabels.resource],
        attempt: labels[stampLabels.attempt] === undefined ? undefined : Number(labels[stampLabels.attempt]),
      })),
    async plantForeign(resource, otherBroker) {
      const labels: Record<string, string> = otherBroker
        ? {
            [stampLabels.broker]: otherBroker,
            [stampLabels.project]: 'theirs',
            [stampLabels.resource]: resource,
            [stampLabels.attempt]: '1',
          }
        : {};
      planted += 1;
      return simulator.plant(project, location.zone, `foreign-${planted}`, labels);
    },
    close: () => simulator.close(),
  };
}

/** An instance as the tests want it: small, Debian 12. */
export function wantOf(
  stamp: Want['stamp'],
  location: Want['location'],
  change: Partial<InstanceWant> = {},
): Want<'Instance'> {
  return {
    kind: 'Instance',
    stamp,
    location,
    spec: {
      name: 'conformance',
      instanceType: 'e2-micro',
      market: 'onDemand',
      vcpus: 2,
      memoryGiB: 1,
      diskGiB: 10,
      architecture: 'x86_64',
      image: {
        name: 'debian-12',
        architecture: 'x86_64',
        gcp: { project: 'debian-cloud', family: 'debian-12' },
        user: 'admin',
      },
      sshKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0kQ2vQ3xQf0y8hC5j0Jm0m5Zk1l1m1n1o1p1q1r1s1 test'],
      labels: { purpose: 'conformance' },
      publicAddress: true,
      power: 'running',
      reboots: 0,
      ...change,
    },
  };
}

/** What a resize changes, for the suite's conditions. */
export const resized = { instanceType: 'e2-small', vcpus: 2, memoryGiB: 2 };
