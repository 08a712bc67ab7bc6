import { CommandFailed, run } from '../host/command.ts';
import { type DomainStatistics, readStatistics } from './domain-statistics.ts';
import { type Domain, readDomains } from './domain-xml.ts';
import { isUuid } from './identity.ts';
import { libvirtError } from './libvirt-errors.ts';
import { type MachineRecord, recordNamespace, recordPrefix, renderRecord } from './machine-record.ts';
import { callsOver } from './virsh-calls.ts';
import { disksOver, type LibvirtDisks } from './virsh-disks.ts';
import { type LibvirtNetworks, networksOver } from './virsh-networks.ts';
import { element } from './xml.ts';

/**
 * Runs `virsh` with arguments and answers its standard output; throws CommandFailed. The one seam to libvirt: tests put
 * faults here, and libvirt's RPC could take its place.
 */
export type VirshRunner = (args: readonly string[], options?: { signal?: AbortSignal }) => Promise<string>;

/** The runner for a connection URI. A call that takes longer than a minute has failed. */
export function virshRunner(uri: string): VirshRunner {
  return (args, options) => run('virsh', ['-q', '-c', uri, ...args], { ...options, timeoutMs: 60_000 });
}

/** libvirt's verbs as the driver uses them. Every failure is a ProviderError (A7). */
export interface Libvirt extends LibvirtDisks, LibvirtNetworks {
  /** The domain (its live definition while it runs); undefined where there is none. */
  find(uuid: string): Promise<Domain | undefined>;
  /** The definition that the next start will use. */
  findInactive(uuid: string): Promise<Domain | undefined>;
  all(): Promise<Domain[]>;
  /** All with the definitions that their next starts will use. */
  allInactive(): Promise<Domain[]>;
  statistics(uuid?: string): Promise<Map<string, DomainStatistics>>;
  define(xml: string): Promise<void>;
  start(uuid: string): Promise<void>;
  resume(uuid: string): Promise<void>;
  /** Presses the power button. */
  shutdown(uuid: string): Promise<void>;
  /** Pulls the plug. */
  destroy(uuid: string): Promise<void>;
  undefine(uuid: string): Promise<void>;
  writeRecord(uuid: string, record: MachineRecord | undefined, running: boolean): Promise<void>;
  /** Writes an adopter's mark, when it was written as its text, or takes it away. */
  writeAdopter(uuid: string, adopter: string, at: string | undefined, running: boolean): Promise<void>;
  /** UUIDs of the domains that libvirt forgets when they stop. */
  transient(): Promise<Set<string>>;
}

/** Wraps a runner in typed calls. Stateless. */
export function libvirtOver(virsh: VirshRunner): Libvirt {
  const calls = callsOver(virsh);
  const { look, change } = calls;

  async function dump(uuid: string, ...flags: string[]): Promise<Domain | undefined> {
    if (!isUuid(uuid)) return undefined;
    const text = await look(['dumpxml', uuid, ...flags], noDomain);
    return text === undefined ? undefined : readDomains(text)[0];
  }

  async function dumpAll(...flags: string[]): Promise<Domain[]> {
    const uuids = ((await look(['list', '--all', '--uuid'])) ?? '').split('\n').map((line) => line.trim());
    return dumpMany(uuids.filter(isUuid), flags, dump, virsh);
  }

  return {
    find: (uuid) => dump(uuid),
    findInactive: (uuid) => dump(uuid, '--inactive'),
    all: () => dumpAll(),
    allInactive: () => dumpAll('--inactive'),
    async statistics(uuid) {
      const groups = ['--state', '--cpu-total', '--balloon', '--block', '--interface', '--vcpu'];
      const text = await look(['domstats', ...groups, ...(uuid === undefined ? [] : [uuid])], noDomain);
      return readStatistics(text ?? '');
    },
    define: (xml) => calls.changeWith(xml, (file) => ['define', file, '--validate']),
    start: (uuid) => change(['start', uuid], /already active|already running/i),
    resume: (uuid) => change(['resume', uuid]),
    shutdown: (uuid) => change(['shutdown', uuid, '--mode', 'acpi'], notRunning),
    destroy: (uuid) => change(['destroy', uuid], new RegExp(`${notRunning.source}|${noDomain.source}`, 'i')),
    undefine: (uuid) =>
      change(
        ['undefine', uuid, '--managed-save', '--snapshots-metadata', '--checkpoints-metadata', '--nvram'],
        noDomain,
      ),
    async writeRecord(uuid, record, running) {
      const flags = running ? ['--live', '--config'] : ['--config'];
      const what = record === undefined ? ['--remove'] : ['--set', renderRecord(record, 'bare').text];
      const key = ['--key', recordPrefix];
      const already = record === undefined ? /metadata not found/i : undefined;
      await change(['metadata', uuid, '--uri', recordNamespace, ...key, ...what, ...flags], already);
    },
    async writeAdopter(uuid, adopter, at, running) {
      const flags = running ? ['--live', '--config'] : ['--config'];
      const what = at === undefined ? ['--remove'] : ['--set', element('adopter', { at }).text];
      const key = ['--key', 'adopter'];
      await change(['metadata', uuid, '--uri', adopter, ...key, ...what, ...flags], /metadata not found/i);
    },
    async transient() {
      const uuids = (await look(['list', '--all', '--transient', '--uuid'])) ?? '';
      return new Set(uuids.split('\n').map((line) => line.trim()));
    },
    ...disksOver(calls),
    ...networksOver(calls),
  };
}

const noDomain = /failed to get domain|Domain not found|no domain with matching/i;
const notRunning = /domain is not running|not running|is not active/i;

/** How many definitions one virsh process prints. */
const dumpsPerCall = 50;

/** Definitions of many domains with few processes; one that vanishes meanwhile is left out. */
async function dumpMany(
  uuids: string[],
  flags: string[],
  dump: (uuid: string, ...flags: string[]) => Promise<Domain | undefined>,
  virsh: VirshRunner,
): Promise<Domain[]> {
  const found: Domain[] = [];
  for (let from = 0; from < uuids.length; from += dumpsPerCall) {
    const some = uuids.slice(from, from + dumpsPerCall);
    try {
      found.push(
        ...readDomains(await virsh([some.map((uuid) => ['dumpxml', uuid, ...flags].join(' ')).join('; ')])),
      );
    } catch (error) {
      if (!(error instanceof CommandFailed) || !noDomain.test(error.stderr)) throw libvirtError(error, false);
      for (const uuid of some) {
        const domain = await dump(uuid, ...flags);
        if (domain) found.push(domain);
      }
    }
  }
  return found;
}
