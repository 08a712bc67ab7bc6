import { createAwsAdapter } from '@landfall/adapters/aws/index.ts';
import { stampTags } from '@landfall/adapters/aws/stamp.ts';
import type { Call } from '../simulators/aws/index.ts';
import { type AwsSimulator, startAwsSimulator } from '../simulators/aws/index.ts';
import type { SiteUnderTest } from './estate-with.ts';
import { listings, startWire, type Wire } from './wire.ts';

/** The real AWS adapter before the simulator, with a line between the two that loses things. */
export interface AwsSite extends SiteUnderTest {
  simulator: AwsSimulator;
  wire: Wire;
  /** Calls of an action so far that reached EC2, with the resource's stamp in them where one is given. */
  calls(action: string, resource?: string): Call[];
  /** Lets what lag hides become visible: looks are the simulator's clock. */
  settle(): Promise<void>;
  clear(): void;
  close(): Promise<void>;
}

/**
 * How long what was made may be invisible; short, because the tests wait it out. Long enough for the four looks that lag
 * hides things from (`lag` counts looks) on a machine where one takes a second.
 */
export const graceMs = 7_000;

/** Quick polls and a short grace period, so that tests do not wait minutes; one place for every process of a test. */
export function awsAdapter(endpoint: string, visibilityGraceMs = graceMs) {
  return createAwsAdapter({
    site: 'aws',
    regions: ['us-east-1'],
    endpoint,
    credentials: { accessKeyId: 'simulated', secretAccessKey: 'simulated' },
    pollMs: 50,
    visibilityGraceMs,
    warn: () => {},
  });
}

/**
 * A site over a simulator of its own, or over `account`: another broker's site on the same account.
 * @param served false: the test serves the site's queue by a process of its own.
 * @param visibilityGraceMs where nothing is hidden from lists it may be shorter.
 */
export async function awsSite({
  account,
  served = true,
  visibilityGraceMs,
}: {
  account?: AwsSimulator;
  served?: boolean;
  visibilityGraceMs?: number;
} = {}): Promise<AwsSite> {
  const simulator = account ?? (await startAwsSimulator());
  const wire = await startWire(simulator.endpoint, async (parameters) => {
    // EC2 starts no machine with a security group that is gone; moto does.
    const group = parameters.get('NetworkInterface.1.SecurityGroupId.1');
    if (parameters.get('Action') !== 'RunInstances' || !group) return undefined;
    const exists = (await simulator.truth()).some((thing) => thing.ref === group);
    return exists ? undefined : 'InvalidGroup.NotFound';
  });
  return {
    name: 'aws',
    spec: { provider: 'aws', regions: ['us-east-1'], endpoint: wire.endpoint },
    adapter: served ? awsAdapter(wire.endpoint, visibilityGraceMs) : undefined,
    request: {
      image: 'debian-12',
      vcpus: 2,
      memoryGiB: 2,
      diskGiB: 8,
      power: 'running',
      architecture: 'x86_64',
      market: 'onDemand',
      // Two calls make the security group then, and each can fail.
      publicAddress: true,
      placement: { providers: ['aws'] },
    },
    simulator,
    wire,
    calls: (action, resource) =>
      simulator.calls.filter(
        (call) =>
          call.action === action &&
          (resource === undefined || Object.values(call.parameters).includes(resource)),
      ),
    async truth() {
      return (await simulator.truth()).map(({ ref, providerKind, tags }) => ({
        ref,
        providerKind,
        machine: providerKind === 'instance',
        broker: tags[stampTags.broker],
        resource: tags[stampTags.resource],
        attempt: tags[stampTags.attempt] === undefined ? undefined : Number(tags[stampTags.attempt]),
      }));
    },
    async settle() {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      for (let look = 0; look < 12; look++)
        for (const action of listings) {
          const body = `Action=${action}&Version=2016-11-15`;
          await (await fetch(simulator.endpoint, { method: 'POST', headers, body })).text();
        }
    },
    clear() {
      simulator.faults.clear();
      wire.clear();
    },
    async close() {
      await wire.close();
      if (!account) await simulator.close();
    },
  };
}
