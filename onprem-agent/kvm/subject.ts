import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Fault, Subject, Truth } from '@landfall/adapters/conformance/subject.ts';
import type { InstanceWant, Kind, Stamp, Target, Want } from '@landfall/adapters/contract.ts';
import { run } from '../host/command.ts';
import { type Host, lowerHost, prepareHost } from '../host/prepare.ts';
import { createKvmAdapter, type KvmOptions } from './adapter.ts';
import { readDomains } from './domain-xml.ts';
import { type FaultyHost, faultyHost } from './faults.ts';
import { type HeldKind, heldDisk, heldFolders, heldKinds } from './held.ts';
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
  const folder = await mkdtemp(join(tmpdir(), `landfall-kvm-${process.pid}-`));
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
    gpus: [],
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
    faults: { set: (fault, kind) => setFault(faults, fault, kind), clear: faults.clear },
    truth: async () => [...(await machinesOf(host)), ...(await heldOf(host))],
    plantForeign: (resource, foreignBroker, kind = 'Instance') =>
      kind === 'Instance'
        ? plantForeign(host, resource, foreignBroker)
        : plantHeld(host, resource, foreignBroker, kind as HeldKind),
    close,
  };
}

const impossible: Partial<Record<Fault['kind'], string>> = {
  throttle: 'libvirt on the same host does not throttle its callers',
  duplicate: 'the agent starts a program once; there is no network in between',
  deleteReturns: 'what libvirt has undefined and the file system has removed stays away',
  quota: 'a host has a capacity, not quotas',
  clockSkew: 'the agent reads the clock of its own host',
};

/** What can befall the creation of each kind: it goes by the program that makes it. */
const faultsOf: Record<Kind, readonly Fault['kind'][]> = {
  Instance: [
    'latency',
    'lag',
    'capacity',
    'requestLost',
    'responseLost',
    'failChild',
    'slowDelete',
    'brokenList',
  ],
  Network: ['latency', 'lag', 'requestLost', 'responseLost', 'slowDelete'],
  Volume: ['latency', 'capacity', 'requestLost', 'responseLost'],
  Snapshot: ['latency', 'requestLost', 'responseLost'],
  Image: ['latency', 'requestLost', 'responseLost'],
  // A record in a file of the agent's own: nobody is asked.
  Firewall: ['latency'],
  Address: [],
};

function setFault(host: FaultyHost, fault: Fault, kind: Kind = 'Instance'): true | { unsupported: string } {
  const reason = impossible[fault.kind];
  if (reason !== undefined) return { unsupported: reason };
  if (!faultsOf[kind].includes(fault.kind))
    return { unsupported: `no program stands between the agent and a ${kind} that could have it` };
  host.set(fault, kind);
  return true;
}

/** Looks past the adapter: libvirt's definitions and the folders on disk. */
async function machinesOf(host: Host): Promise<Truth[]> {
  const virsh = virshRunner(host.uri);
  const truths: Truth[] = [];
  for (const uuid of (await virsh(['list', '--all', '--uuid'])).split('\n').filter(Boolean)) {
    const record = readDomains(await virsh(['dumpxml', uuid.trim()]))[0]?.record;
    const { broker, resource, attempt } = record?.stamp ?? {};
    truths.push({
      ref: uuid.trim(),
      providerKind: 'domain',
      machine: true,
      kind: 'Instance',
      broker,
      resource,
      attempt,
    });
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

/** What else the host holds: folders and, of networks, what libvirt has. */
async function heldOf(host: Host): Promise<Truth[]> {
  const virsh = virshRunner(host.uri);
  const truths: Truth[] = [];
  const networks = (await virsh(['net-list', '--all', '--uuid'])).split('\n').map((line) => line.trim());
  const standard = (await virsh(['net-uuid', host.network])).trim();
  for (const kind of heldKinds) {
    const refs = new Set(await readdir(join(host.storage.here, heldFolders[kind])).catch(() => []));
    if (kind === 'Network') for (const uuid of networks) if (uuid && uuid !== standard) refs.add(uuid);
    for (const ref of refs) {
      const path = join(host.storage.here, heldFolders[kind], ref, 'record.json');
      const record = JSON.parse(await readFile(path, 'utf8').catch(() => '{}')) as { stamp?: Partial<Stamp> };
      const { broker, resource, attempt } = record.stamp ?? {};
      truths.push({ ref, providerKind: kind.toLowerCase(), machine: false, kind, broker, resource, attempt });
    }
  }
  return truths;
}

/** A folder like ours, or in libvirt a network, that somebody else made. */
async function plantHeld(
  host: Host,
  resource: string,
  broker: string | undefined,
  kind: HeldKind,
): Promise<string> {
  const uuid = uuidOf(randomUUID());
  const folder = join(host.storage.here, heldFolders[kind], uuid);
  if (kind === 'Network') {
    const bridge = `theirs${uuid.slice(0, 8)}`;
    const xml = element('network', {}, [
      element('name', {}, `theirs-${uuid}`),
      element('uuid', {}, uuid),
      element('bridge', { name: bridge }),
    ]);
    await writeFile(join(host.storage.here, `${uuid}.xml`), xml.text);
    await virshRunner(host.uri)(['net-define', join(host.storage.here, `${uuid}.xml`)]);
    if (broker === undefined) return uuid;
  }
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, heldDisk), 'theirs');
  const stamp = { broker, project: 'theirs', resource, attempt: 1 };
  const subnets = [{ name: 'theirs', cidr: '10.99.0.0/24' }];
  const spec = { name: 'theirs', labels: {}, subnets, network: '', rules: [] };
  const record = { stamp, createdAt: new Date().toISOString(), spec, made: true };
  if (broker !== undefined) await writeFile(join(folder, 'record.json'), JSON.stringify(record));
  return uuid;
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
    firewalls: [],
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
