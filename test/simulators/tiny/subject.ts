import { randomUUID } from 'node:crypto';
import type { InstanceWant } from '@landfall/adapters';
import type { Subject } from '@landfall/adapters/conformance/subject.ts';
import { createTinyAdapter } from './adapter.ts';
import { TinyCloud } from './cloud.ts';

/** The tiny adapter over its simulated provider, as the conformance suite wants it. */
export async function tinySubject(): Promise<Subject> {
  const cloud = new TinyCloud();
  const broker = `broker-${randomUUID()}`;
  const project = 'conformance';
  const location = { region: 'here' };
  return {
    provider: 'tiny',
    broker,
    adapter: async () => createTinyAdapter(cloud, { pollMs: 20, visibilityGraceMs: 500 }),
    want: (resource, attempt, change) => ({
      kind: 'Instance',
      spec: { ...smallest, ...change },
      stamp: { broker, project, resource, attempt },
      location,
    }),
    target: (resource, attempt) => ({
      kind: 'Instance',
      stamp: { broker, project, resource, attempt },
      location,
    }),
    faults: {
      set(fault, kind = 'Instance') {
        if (fault.kind === 'failChild' && fault.n > 2)
          return { unsupported: 'a create makes two things, the disk and the machine' };
        if (fault.kind === 'clockSkew')
          return { unsupported: 'it writes no times, and takes no signatures that have one' };
        cloud.setFault(fault, kind);
        return true;
      },
      clear: () => cloud.clearFaults(),
    },
    truth: async () =>
      cloud.all().map(({ id, type, tags }) => ({
        ref: id,
        providerKind: type,
        machine: type === 'Instance',
        kind: type === 'Disk' || tags.kind !== type ? undefined : type,
        broker: tags.broker,
        resource: tags.resource,
        attempt: tags.attempt === undefined ? undefined : Number(tags.attempt),
      })),
    plantForeign: async (resource, foreign, kind = 'Instance') =>
      cloud.plant(
        kind,
        foreign === undefined
          ? {}
          : {
              broker: foreign,
              project: foreign === broker ? project : 'theirs',
              resource,
              attempt: '1',
              kind,
            },
      ),
    close: async () => {},
  };
}

const smallest: InstanceWant = {
  name: 'conformance',
  instanceType: 'tiny.small',
  market: 'onDemand',
  vcpus: 1,
  memoryGiB: 1,
  diskGiB: 1,
  architecture: 'x86_64',
  image: { name: 'tiny', architecture: 'x86_64', onprem: { builtin: 'tiny' }, user: 'root' },
  sshKeys: [],
  labels: { purpose: 'conformance' },
  publicAddress: true,
  firewalls: [],
  power: 'running',
  reboots: 0,
};

/** What a resize changes, for the suite's conditions. */
export const resized = { instanceType: 'tiny.large', vcpus: 2, memoryGiB: 4 };
