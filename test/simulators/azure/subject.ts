import { type AzureAdapterOptions, createAzureAdapter } from '../../../adapters/azure/index.ts';
import { idOf, kindOf, partsOf } from '../../../adapters/azure/objects.ts';
import { groupName, kindOfTags, stampAsTags, stampTags } from '../../../adapters/azure/stamp.ts';
import type { Subject } from '../../../adapters/conformance/subject.ts';
import type { InstanceWant, Kind, Want } from '../../../adapters/contract.ts';
import { type AzureSimulator, startAzureSimulator } from './index.ts';

const subscription = '00000000-0000-0000-0000-000000000001';

/** The Azure adapter before the simulator, as the conformance suite wants it. Quick polls, a short grace period. */
export async function simulatedAzure(
  options: Partial<AzureAdapterOptions> = {},
  broker = 'broker-under-test',
): Promise<Subject & { simulator: AzureSimulator }> {
  const simulator = await startAzureSimulator();
  const location = { region: 'westeurope', zone: '1' };
  let planted = 0;
  return {
    simulator,
    provider: 'azure',
    broker,
    adapter: async () =>
      createAzureAdapter({
        site: 'simulated',
        subscription,
        regions: ['westeurope'],
        endpoint: simulator.endpoint,
        credentials: { token: 'simulated' },
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
        if (kind !== undefined && kind !== 'Instance' && ['capacity', 'failChild'].includes(fault.kind))
          return { unsupported: `Azure documents no ${fault.kind} of a ${kind}` };
        simulator.faults.set(fault, kind);
        return true;
      },
      clear: () => simulator.faults.clear(),
    },
    async truth() {
      return simulator.truth().flatMap(({ id, type, tags = {} }) => {
        const providerKind = kindOf(type);
        if (!providerKind) return [];
        const attempt = tags[stampTags.attempt];
        // The network that machines share stays, with the broker's tag alone: it is no resource's.
        if (tags[stampTags.broker] && attempt === undefined) return [];
        const kind = kindOfTags(tags);
        return [
          {
            ref: id,
            providerKind,
            kind: providerKind === partsOf[kind][0] ? kind : undefined,
            machine: providerKind === 'virtualMachine',
            broker: tags[stampTags.broker],
            resource: tags[stampTags.resource],
            attempt: attempt === undefined ? undefined : Number(attempt),
          },
        ];
      });
    },
    async plantForeign(resource, otherBroker, kind = 'Instance') {
      planted += 1;
      // In a group of its own, and of a name of its own, with our stamp too.
      const adoptable: Kind[] = ['Instance', 'Volume', 'Snapshot', 'Image', 'Network', 'Address'];
      const group = adoptable.includes(kind) ? 'theirs' : groupName(broker, location.region);
      const stamp = { broker: otherBroker ?? '', project: 'theirs', resource, attempt: 1 };
      const name = `foreign-${planted}`;
      const id = idOf({ subscription }, group, partsOf[kind][0], name);
      const tags: Record<string, string> = otherBroker
        ? stampAsTags(stamp, kind)
        : { purpose: 'somebody else’s' };
      simulator.plant(id, {
        location: location.region,
        tags,
        properties: structuredClone(bodies[kind] ?? {}),
      });
      if (kind === 'Network')
        simulator.plant(`${id}/subnets/Front_1`, { properties: { addressPrefix: '10.200.1.0/24' } });
      return id;
    },
    imports: {
      source: { url: 'https://landfalldisks.blob.core.windows.net/vhds/golden.vhd', format: 'vhd' },
      refused: [
        { source: { url: 'https://disks.example/golden.vhd', format: 'vhd' }, field: 'url' },
        {
          source: {
            url: 'https://landfalldisks.blob.core.windows.net/vhds/golden.vhd?sv=2024-11-04&sig=secret',
            format: 'vhd',
          },
          field: 'url',
        },
        {
          source: { url: 'https://landfalldisks.blob.core.windows.net/vhds/golden.vhd', format: 'vmdk' },
          field: 'format',
        },
        {
          source: {
            url: 'https://landfalldisks.blob.core.windows.net/vhds/golden.vhd',
            format: 'vhd',
            sha256: 'a'.repeat(64),
          },
          field: 'sha256',
        },
      ],
    },
    close: () => simulator.close(),
  };
}

/** What Azure's schema asks of somebody else's objects. */
const bodies: Partial<Record<Kind, object>> = {
  Instance: { hardwareProfile: { vmSize: 'Standard_B1s' }, storageProfile: { dataDisks: [] } },
  Volume: { creationData: { createOption: 'Empty' }, diskSizeGB: 4, diskSizeBytes: 4 * 2 ** 30 },
  Snapshot: { creationData: { createOption: 'Copy' }, diskSizeGB: 4, diskSizeBytes: 4 * 2 ** 30 },
  Image: { storageProfile: { osDisk: { osType: 'Linux', osState: 'Generalized', diskSizeGB: 30 } } },
  Network: { addressSpace: { addressPrefixes: ['10.200.0.0/16'] } },
  Address: { publicIPAllocationMethod: 'Static', ipAddress: '203.0.113.77' },
};

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
      instanceType: 'Standard_B1s',
      market: 'onDemand',
      vcpus: 1,
      memoryGiB: 1,
      diskGiB: 30,
      architecture: 'x86_64',
      image: {
        name: 'debian-12',
        architecture: 'x86_64',
        azure: { publisher: 'Debian', offer: 'debian-12', sku: '12-gen2' },
        user: 'debian',
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
export const resized = { instanceType: 'Standard_B2s', vcpus: 2, memoryGiB: 4 };
