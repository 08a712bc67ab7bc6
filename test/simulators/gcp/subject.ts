import type { Subject, Truth } from '../../../adapters/conformance/subject.ts';
import type { InstanceWant, Kind, Want } from '../../../adapters/contract.ts';
import { createGcpAdapter, type GcpAdapterOptions } from '../../../adapters/gcp/index.ts';
import { stampLabels } from '../../../adapters/gcp/stamp.ts';
import { type Existing, type GcpSimulator, startGcpSimulator } from './index.ts';
import type { Collection, Json } from './world.ts';

/** The Google Cloud adapter before the simulator, as the conformance suite wants it. Quick polls, a short grace period. */
export async function simulatedGcp(
  options: Partial<GcpAdapterOptions> = {},
  broker = 'broker-under-test',
): Promise<Subject & { simulator: GcpSimulator }> {
  const simulator = await startGcpSimulator();
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
      set(fault, kind) {
        if (fault.kind === 'failChild' && (kind ?? 'Instance') !== 'Instance')
          return { unsupported: 'only an instance’s create is told to fail at a child' };
        simulator.faults.set(fault, kind);
        return true;
      },
      clear: () => simulator.faults.clear(),
    },
    truth: async () => simulator.truth().map(truthOf),
    async plantForeign(resource, otherBroker, kind = 'Instance') {
      planted += 1;
      const name = `foreign-${planted}`;
      const stamp = otherBroker && { broker: otherBroker, project: 'theirs', resource, attempt: 1 };
      const labels: Record<string, string> = stamp
        ? {
            [stampLabels.broker]: stamp.broker,
            [stampLabels.project]: stamp.project,
            [stampLabels.resource]: stamp.resource,
            [stampLabels.attempt]: '1',
          }
        : {};
      if (kind === 'Instance') return simulator.plant(project, location.zone, name, labels);
      const description = stamp ? JSON.stringify({ landfall: stamp }) : 'by somebody else';
      const other = (scope: string, collection: Collection, body: Json) =>
        simulator.plantOther(project, scope, collection, { name, ...body });
      const disk = (body: Json) => other(`zones/${location.zone}`, 'disks', { sizeGb: '10', ...body });
      switch (kind) {
        case 'Volume':
          return disk({ labels });
        case 'Snapshot':
        case 'Image': {
          const sourceDisk = await disk({});
          const storageLocations = [location.region];
          const collection = kind === 'Image' ? 'images' : 'snapshots';
          return other('global', collection, { labels, sourceDisk, storageLocations });
        }
        case 'Network':
          return other('global', 'networks', { description, autoCreateSubnetworks: false });
        case 'Firewall':
          return other('global', 'firewalls', { description, allowed: [{ IPProtocol: 'icmp' }] });
        case 'Address':
          return other(`regions/${location.region}`, 'addresses', { description });
      }
    },
    imports: {
      source: { url: 'gs://disks/golden.tar.gz', format: 'raw' },
      refused: [
        { source: { url: 'https://disks.example/golden.tar.gz', format: 'raw' }, field: 'url' },
        {
          source: {
            url: 'https://storage.googleapis.com/disks/golden.tar.gz?X-Goog-Signature=secret',
            format: 'raw',
          },
          field: 'url',
        },
        { source: { url: 'gs://disks/golden.tar.gz', format: 'vhd' }, field: 'format' },
        {
          source: { url: 'gs://disks/golden.tar.gz', format: 'raw', sha256: 'a'.repeat(64) },
          field: 'sha256',
        },
      ],
    },
    close: () => simulator.close(),
  };
}

/** What is known of an object without the adapter: what it says of itself, in labels or else in its description. */
export function truthOf({ ref, providerKind, name, labels, description }: Existing): Truth {
  const isOurs = description?.startsWith('{"landfall"') && labels[stampLabels.released] === undefined;
  const said = isOurs ? JSON.parse(description ?? '').landfall : undefined;
  const attempt = labels[stampLabels.attempt] ?? said?.attempt;
  return {
    ref,
    providerKind,
    machine: providerKind === 'instance',
    kind: mainKind(providerKind, name),
    broker: labels[stampLabels.broker] ?? said?.broker,
    resource: labels[stampLabels.resource] ?? said?.resource,
    attempt: attempt === undefined ? undefined : Number(attempt),
  };
}

/** A machine's disk is named by a digest alone, and a child by its parent's name with a word or a letter more. */
function mainKind(providerKind: string, name: string): Kind | undefined {
  const kinds: Record<string, Kind> = {
    instance: 'Instance',
    disk: 'Volume',
    snapshot: 'Snapshot',
    image: 'Image',
    network: 'Network',
    firewall: 'Firewall',
    address: 'Address',
  };
  return providerKind !== 'instance' && !/-\d+$/.test(name) ? undefined : kinds[providerKind];
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
