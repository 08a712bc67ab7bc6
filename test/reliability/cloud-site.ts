import type { Subject } from '@landfall/adapters/conformance/subject.ts';
import { simulatedAzure } from '../simulators/azure/subject.ts';
import { simulatedGcp } from '../simulators/gcp/subject.ts';
import type { SiteUnderTest } from './estate-with.ts';

/** A site whose adapter is the real one, before the simulator that the conformance suite knows. */
export interface CloudSite extends SiteUnderTest {
  subject: Subject;
  /** Of the simulator. */
  endpoint: string;
  /** Removes a machine as its user would in the provider's console. */
  destroy(ref: string): Promise<void>;
  /** The next start of a stopped machine finds no room. */
  refuseStart(): void;
}

/** How long what was made may be invisible, ms; short, because the tests wait it out. */
const graceMs = 1_500;

type Simulated = Pick<CloudSite, 'spec' | 'subject' | 'endpoint' | 'destroy' | 'refuseStart'>;

async function cloudSite({ spec, subject, ...rest }: Simulated): Promise<CloudSite> {
  return {
    ...rest,
    name: spec.provider,
    spec,
    subject,
    adapter: await subject.adapter(),
    request: {
      image: 'debian-12',
      vcpus: 2,
      memoryGiB: 2,
      diskGiB: 30,
      power: 'running',
      architecture: 'x86_64',
      market: 'onDemand',
      publicAddress: true,
      sshKeys: ['key'],
      placement: { providers: [spec.provider] },
    },
    truth: () => subject.truth(),
  };
}

export async function gcpSite(broker: string): Promise<CloudSite> {
  const subject = await simulatedGcp({ visibilityGraceMs: graceMs }, broker);
  const { simulator } = subject;
  return cloudSite({
    spec: { provider: 'gcp', regions: ['us-central1'], project: 'simulated-project' },
    subject,
    endpoint: simulator.endpoint,
    destroy: (ref) => simulator.destroy(ref),
    refuseStart: () => simulator.faults.set({ kind: 'capacity', times: 1 }),
  });
}

export async function azureSite(broker: string): Promise<CloudSite> {
  const subject = await simulatedAzure({ visibilityGraceMs: graceMs }, broker);
  const { simulator } = subject;
  return cloudSite({
    spec: {
      provider: 'azure',
      regions: ['westeurope'],
      subscription: '00000000-0000-0000-0000-000000000001',
    },
    subject,
    endpoint: simulator.endpoint,
    async destroy(ref) {
      const answer = await fetch(`${simulator.endpoint}${ref}?api-version=2026-04-01`, {
        method: 'DELETE',
        headers: { authorization: 'Bearer somebody-else' },
      });
      if (!answer.ok) throw new Error(`DELETE ${ref}: ${answer.status} ${await answer.text()}`);
    },
    refuseStart: () => simulator.faults.set({ kind: 'allocation', of: 'start' }),
  });
}
