import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Fault, Subject, Truth } from '@landfall/adapters/conformance/subject.ts';
import type { InstanceWant, Target, Want } from '@landfall/adapters/contract.ts';
import { run } from '../host/command.ts';
import { type Host, lowerHost, prepareHost } from '../host/prepare.ts';
import { createKvmAdapter, type KvmOptions } from './adapter.ts';
import { readDomains } from './domain-xml.ts';
import { type FaultyHost, faultyHost } from './faults.ts';
import { uuidOf } from './identity.ts';
import { childFiles } from './machine-files.ts';
import { renderRecord } from './machine-record.ts';
import { virshRunner } from './virsh.ts';
import { element } from './xml.ts';

/** A host of its own for tests: a private libvirt in a temporary folder, beside whatever else this machine runs. */
export interface TestHost {
  host: Host;
  folder: string;
  /** Destroys the guests and removes everything; safe to call after a failure. */
  close(): Promise<void>;
}

/** Raises a test host. Fails with the missing packages' names where it cannot. */
export async function raiseTestHost(): Promise<TestHost> {
  if (process.getuid?.() !== 0)
    throw new Error('tests with real guests need root: they make a network namespace');
  const folder = await mkdtemp(join(tmpdir(), 'landfall-kvm-'));
  const close = async () => {
    await lowerHost(folder, { guests: true, files: true });
    await rm(folder, { recursive: true, force: true });
  };
  try {
    return { host: await prepareHost({ dataFolder: folder, libvirt: 'private' }), folder, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Options of an adapter for a test host: emulation, short waits. */
export function testOptions(host: Host): KvmOptions {
  return {
    host,
    acceleration: { accel: 'tcg', reason: 'tests run everywhere' },
    location: { region: 'lab', zone: 'rack-1', host: 'host-1' },
    capacity: { vcpus: 16, memoryGiB: 8 },
    currency: 'USD',
    timing: { poll: 200, shutdownAgain: 1500, shutdown: 30_000 },
  };
}

/** A tiny guest, as small as it boots. */
export function tinySpec(change: Partial<InstanceWant> = {}): InstanceWant {
  return {
    name: 'tiny',
    instanceType: 'custom',
    market: 'onDemand',
    vcpus: 1,
    memoryGiB: 0.1875,
    diskGiB: 1,
    architecture: 'x86_64',
    image: { name: 'tiny', architecture: 'x86_64', onprem: { builtin: 'tiny' }, user: 'root' },
    sshKeys: [],
    labels: {},
    publicAddress: false,
    power: 'running',
    reboots: 0,
    ...change,
  };
}

/** The KVM adapter as the conformance suite's subject: real libvirt, real guests, faults at the two seams to programs. */
export async function kvmSubject(): Promise<Subject> {
  const { host, close } = await raiseTestHost();
  const broker = `broker-${randomUUID()}`;
  const faults = faultyHost(virshRunner(host.uri), run);
  const options = testOptions(host);
  const location = { region: 'lab', host: 'host-1' };
  const stamp = { broker, project: 'conformance' };
  return {
    provider: 'onprem',
    broker,
    adapter: async () => createKvmAdapter({ ...options, virsh: faults.virsh, program: faults.program }),
    want: (resource, attempt, change): Want<'Instance'> => ({
      kind: 'Instance',
      spec: tinySpec(change),
      stamp: { ...stamp, resource, attempt },
      location,
    }),
    target: (resource, attempt): Target<'Instance'> => ({
      kind: 'Instance',
      stamp: { ...stamp, resource, attempt },
      location,
    }),
    faults: { set: (fault) => setFault(faults, fault), clear: faults.clear },
    truth: () => truthOf(host),
    plantForeign: (resource, foreignBroker) => plantForeign(host, resource, foreignBroker),
    close,
  };
}

const impossible: Partial<Record<Fault['kind'], string>> = {
  throttle: 'libvirt on the same host does not throttle its callers',
  quota: 'a host has a capacity, not quotas',
};

function setFault(host: FaultyHost, fault: Fault): true | { unsupported: string } {
  const reason = impossible[fault.kind];
  if (reason !== undefined) return { unsupported: reason };
  host.set(fault);
  return true;
}

/** Looks past the adapter: libvirt's definitions and the folders on disk. */
async function truthOf(host: Host): Promise<Truth[]> {
  const virsh = virshRunner(host.uri);
  const truths: Truth[] = [];
  for (const uuid of (await virsh(['list', '--all', '--uuid'])).split('\n').filter(Boolean)) {
    const record = readDomains(await virsh(['dumpxml', uuid.trim()]))[0]?.record;
    const { broker, resource, attempt } = record?.stamp ?? {};
    truths.push({ ref: uuid.trim(), providerKind: 'domain', machine: true, broker, resource, attempt });
  }
  const machines = join(host.storage.here, 'machines');
  for (const uuid of await readdir(machines).catch(() => [])) {
    const files = await readdir(join(machines, uuid));
    const sidecar = files.includes('machine.json')
      ? await readFile(join(machines, uuid, 'machine.json'), 'utf8')
      : '{}';
    const { broker, resource, attempt } =
      (JSON.parse(sidecar) as { stamp?: Record<string, never> }).stamp ?? {};
    for (const { file, providerKind } of childFiles) {
      if (files.includes(file)) {
        truths.push({ ref: `${uuid}/${file}`, providerKind, machine: false, broker, resource, attempt });
      }
    }
  }
  return truths;
}

/** Defines, unstarted, a machine that somebody else made. */
async function plantForeign(host: Host, resource: string, broker?: string): Promise<string> {
  const uuid = uuidOf(randomUUID());
  const stamp = { broker: broker ?? '', project: 'theirs', resource, attempt: 1 };
  const record = {
    stamp,
    name: 'theirs',
    createdAt: new Date().toISOString(),
    user: 'root',
    image: '',
    instanceType: 'custom',
    diskGiB: 1,
    reboots: 0,
    labels: {},
  };
  const xml = element('domain', { type: 'qemu' }, [
    element('name', {}, `theirs-${uuid}`),
    element('uuid', {}, uuid),
    element('metadata', {}, broker === undefined ? [] : [renderRecord(record)]),
    element('memory', { unit: 'MiB' }, 64),
    element('vcpu', {}, 1),
    element('os', {}, [element('type', { arch: 'x86_64', machine: 'q35' }, 'hvm')]),
  ]);
  const folder = await mkdtemp(join(tmpdir(), 'landfall-foreign-'));
  try {
    await writeFile(join(folder, 'domain.xml'), xml.text);
    await virshRunner(host.uri)(['define', join(folder, 'domain.xml')]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return uuid;
}
