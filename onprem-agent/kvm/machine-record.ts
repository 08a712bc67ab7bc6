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
  /** User to log in as; empty where it is not known. */
  user: string;
  /** It was there before it was ours: its definition and its disks are not by us, and nothing in it answers to us. */
  adopted?: boolean;
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

/** Begins the name space of the mark by which one adopter shows itself to the others; the rest is its broker and resource. */
const adopterNamespace = 'urn:landfall:adopter:';

/** Name of an adopter's mark. */
export function adopterOf({ broker, resource }: Stamp): string {
  return `${adopterNamespace}${encodeURIComponent(broker)}:${encodeURIComponent(resource)}`;
}

/** The marks of adopters in a parsed `<metadata>`: their names, and when they were written. */
export function readAdopters(metadata: XmlElement | undefined): Record<string, string> {
  return Object.fromEntries(
    namespacesIn(metadata)
      .filter(([namespace]) => namespace.startsWith(adopterNamespace))
      .map(([namespace, one]) => [namespace, one.attributes.at ?? '']),
  );
}

/** The elements of a parsed `<metadata>` by their name spaces: each is of some tool. */
export function namespacesIn(metadata: XmlElement | undefined): [string, XmlElement][] {
  return (metadata?.children ?? []).flatMap((one) =>
    Object.entries(one.attributes)
      .filter(([name]) => name.startsWith('xmlns'))
      .map(([, namespace]): [string, XmlElement] => [namespace, one]),
  );
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
    adopted: record.adopted ? 'yes' : undefined,
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
  const adopted = machine.attributes.adopted === 'yes';
  if (!broker || project === undefined || !resource || !attempt || name === undefined || !createdAt)
    return undefined;
  if (!user && !adopted) return undefined;
  const { rebooting, rebootingFrom, readyOn, network, subnet, firewalls } = machine.attributes;
  return {
    stamp: { broker, project, resource, attempt: Number(attempt) },
    name,
    createdAt,
    user: user ?? '',
    ...(adopted ? { adopted } : {}),
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
