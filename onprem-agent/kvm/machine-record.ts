import type { Stamp } from '@landfall/adapters/contract.ts';
import { element, type Markup, type XmlElement } from './xml.ts';

/** Our XML name space in a domain's `<metadata>`. */
export const recordNamespace = 'urn:landfall:machine:1';
/** Prefix libvirt keeps it under. */
export const recordPrefix = 'landfall';

/** What we keep about a machine, inside the domain itself: no other state is needed to find and judge it. */
export interface MachineRecord {
  stamp: Stamp;
  name: string;
  /** ISO time. */
  createdAt: string;
  /** User to log in as. */
  user: string;
  image: string;
  instanceType: string;
  diskGiB: number;
  /** Reboots done so far. */
  reboots: number;
  /** A reboot under way: its number, and the domain id it began on (another id = the reboot has happened). */
  rebooting?: { number: number; domainId: string };
  /** Domain id of the boot in which the guest was seen to answer. */
  readyOn?: string;
  /** The Network of ours that it is in, and the subnet of it; absent = the site's default network. */
  network?: { ref: string; subnet: string };
  /** UUIDs of the Firewalls that hold for it. */
  firewalls: string[];
  labels: Record<string, string>;
}

/**
 * The record as the element that stands in `<metadata>`; `bare`, without prefix and name space, for `virsh metadata`, which
 * adds both.
 */
export function renderRecord(record: MachineRecord, form: 'qualified' | 'bare' = 'qualified'): Markup {
  const { stamp } = record;
  const prefix = form === 'qualified' ? `${recordPrefix}:` : '';
  const attributes = {
    [`xmlns:${recordPrefix}`]: form === 'qualified' ? recordNamespace : undefined,
    broker: stamp.broker,
    project: stamp.project,
    resource: stamp.resource,
    attempt: stamp.attempt,
    name: record.name,
    createdAt: record.createdAt,
    user: record.user,
    image: record.image,
    instanceType: record.instanceType,
    diskGiB: record.diskGiB,
    reboots: record.reboots,
    rebooting: record.rebooting?.number,
    rebootingFrom: record.rebooting?.domainId,
    readyOn: record.readyOn,
    network: record.network?.ref,
    subnet: record.network?.subnet,
    firewalls: record.firewalls.length > 0 ? record.firewalls.join(' ') : undefined,
  };
  const labels = Object.entries(record.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return element(
    `${prefix}machine`,
    attributes,
    labels.map(([key, value]) => element(`${prefix}label`, { key }, value)),
  );
}

/** The record in a parsed `<metadata>`; undefined for a domain that is not ours or whose record is damaged. */
export function readRecord(metadata: XmlElement | undefined): MachineRecord | undefined {
  const machine = metadata?.children.find(
    (one) => one.name.endsWith(':machine') && Object.values(one.attributes).includes(recordNamespace),
  );
  if (!machine) return undefined;
  const { broker, project, resource, attempt, name, createdAt, user, image, instanceType, diskGiB, reboots } =
    machine.attributes;
  if (!broker || project === undefined || !resource || !attempt || name === undefined || !createdAt || !user)
    return undefined;
  const { rebooting, rebootingFrom, readyOn, network, subnet, firewalls } = machine.attributes;
  return {
    stamp: { broker, project, resource, attempt: Number(attempt) },
    name,
    createdAt,
    user,
    image: image ?? '',
    instanceType: instanceType ?? 'custom',
    diskGiB: Number(diskGiB ?? 0),
    reboots: Number(reboots ?? 0),
    rebooting:
      rebooting && rebootingFrom ? { number: Number(rebooting), domainId: rebootingFrom } : undefined,
    readyOn,
    network: network && subnet ? { ref: network, subnet } : undefined,
    firewalls: firewalls ? firewalls.split(' ') : [],
    labels: Object.fromEntries(machine.children.map((label) => [label.attributes.key ?? '', label.text])),
  };
}
