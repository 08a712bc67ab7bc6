import { type AwsAdapterOptions, createAwsAdapter } from '../../../adapters/aws/index.ts';
import { stampTags } from '../../../adapters/aws/stamp.ts';
import type { Fault, Subject } from '../../../adapters/conformance/subject.ts';
import type { Adapter, InstanceWant, Kind, Want } from '../../../adapters/contract.ts';
import { type AwsSimulator, startAwsSimulator } from './index.ts';

/** The AWS adapter before the simulator, as the conformance suite wants it. Quick polls, a short grace period. */
export async function simulatedAws(options: Partial<AwsAdapterOptions> = {}): Promise<
  Omit<Subject, 'adapter'> & {
    simulator: AwsSimulator;
    /** The adapter with other options. */
    adapter(options?: Partial<AwsAdapterOptions>): Promise<Adapter>;
  }
> {
  const simulator = await startAwsSimulator();
  const broker = 'broker-under-test';
  const location = { region: 'us-east-1', zone: 'us-east-1b' };
  return {
    simulator,
    provider: 'aws',
    broker,
    adapter: async (change = {}) =>
      createAwsAdapter({
        site: 'simulated',
        regions: ['us-east-1'],
        endpoint: simulator.endpoint,
        credentials: { accessKeyId: 'simulated', secretAccessKey: 'simulated' },
        pollMs: 50,
        visibilityGraceMs: 3000,
        warn: () => {},
        ...options,
        ...change,
      }),
    want: (resource, attempt, change = {}) =>
      wantOf({ broker, project: 'test', resource, attempt }, location, change),
    target: (resource, attempt) => ({
      kind: 'Instance',
      stamp: { broker, project: 'test', resource, attempt },
      location,
    }),
    faults: {
      set(fault, kind = 'Instance') {
        const unsupported = cannot(fault.kind, kind);
        if (unsupported) return { unsupported };
        simulator.faults.set(fault, kind);
        return true;
      },
      clear: () => simulator.faults.clear(),
    },
    async truth() {
      return (await simulator.truth()).map(({ ref, providerKind, tags }) => ({
        ref,
        providerKind,
        machine: providerKind === 'instance',
        kind: kindOfMain(providerKind, tags),
        broker: tags[stampTags.broker],
        resource: tags[stampTags.resource],
        attempt: tags[stampTags.attempt] === undefined ? undefined : Number(tags[stampTags.attempt]),
      }));
    },
    async plantForeign(resource, otherBroker, kind = 'Instance') {
      const tags: Record<string, string> = otherBroker
        ? {
            [stampTags.broker]: otherBroker,
            [stampTags.project]: 'theirs',
            [stampTags.resource]: resource,
            [stampTags.attempt]: '1',
            [stampTags.kind]: kind,
          }
        : { Name: 'somebody else’s' };
      return simulator.plant('us-east-1', tags, kind);
    },
    imports: {
      source: { url: 's3://disks/golden.vmdk', format: 'vmdk' },
      refused: [
        { source: { url: 'https://disks.example/golden.vmdk', format: 'vmdk' }, field: 'url' },
        {
          source: {
            url: 'https://disks.s3.us-east-1.amazonaws.com/golden.vmdk?X-Amz-Signature=secret',
            format: 'vmdk',
          },
          field: 'url',
        },
        { source: { url: 's3://disks/golden.qcow2', format: 'qcow2' }, field: 'format' },
        {
          source: { url: 's3://disks/golden.vmdk', format: 'vmdk', sha256: 'a'.repeat(64) },
          field: 'sha256',
        },
      ],
    },
    close: () => simulator.close(),
  };
}

const mains: Record<Kind, string> = {
  Instance: 'instance',
  Volume: 'volume',
  Snapshot: 'snapshot',
  Image: 'image',
  Network: 'vpc',
  Firewall: 'securityGroup',
  Address: 'address',
};

/** The kind of the resource that an object stands for, by our tag; undefined of a child, and of what is not tagged. */
export function kindOfMain(providerKind: string, tags: Record<string, string>): Kind | undefined {
  const kind = tags[stampTags.kind] as Kind | undefined;
  // Until there is an image, its import stands for it.
  if (providerKind === 'importTask') return kind;
  return kind && mains[kind] === providerKind ? kind : undefined;
}

/** Why EC2 cannot have a fault for a kind. */
function cannot(fault: Fault['kind'], kind: Kind): string | undefined {
  if (fault === 'deleteReturns' && kind !== 'Instance') return 'only machines come back in the simulator';
  if (fault === 'slowDelete' && !['Instance', 'Volume'].includes(kind))
    return `EC2 deletes the object of a ${kind} at once`;
  if (fault === 'interrupt' && kind !== 'Instance') return 'only machines are spot';
  if (fault === 'capacity' && kind !== 'Instance') return 'the simulator has pools of machines only';
  if (fault === 'failChild' && !['Instance', 'Network'].includes(kind))
    return `making a ${kind} is one call at EC2`;
  return undefined;
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
      instanceType: 't3.micro',
      market: 'onDemand',
      vcpus: 2,
      memoryGiB: 1,
      diskGiB: 8,
      architecture: 'x86_64',
      image: {
        name: 'debian-12',
        architecture: 'x86_64',
        aws: { owner: '136693071363', nameFilter: 'debian-12-amd64-*' },
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
export const resized = { instanceType: 't3.small', vcpus: 2, memoryGiB: 2 };
