import type { CallContext } from '@landfall/adapters/contract.ts';
import {
  type DiscoveryPage,
  type DiscoveryQuery,
  known,
  managedBy,
  notAPage,
  ofAnotherInstallation,
  type Tool,
  type Unmanaged,
} from '@landfall/adapters/discovery.ts';
import type { Domain } from './domain-xml.ts';
import { isUuid } from './identity.ts';
import { detailsOf, leasesOf } from './observation.ts';
import type { Setting } from './setting.ts';

/** Machines on one page: a page travels through a workflow, whose payloads stay small. */
const pageSize = 50;

/** Name spaces in a domain's metadata of the tools that make and remove domains by themselves. */
const tools: Tool[] = [
  { mark: /^http:\/\/openstack\.org\/xmlns\/libvirt\/nova\//, by: () => 'OpenStack Nova' },
  { mark: /^http:\/\/ovirt\.org\/vm\//, by: () => 'oVirt' },
  { mark: /^http:\/\/kubevirt\.io/, by: () => 'KubeVirt' },
];

/** Why a domain that is not ours cannot be adopted, for a person; undefined where it can. */
export function whyRefused(
  { record, tools: namespaces, hostDevices, uuid }: Domain,
  transient: ReadonlySet<string>,
): string | undefined {
  if (record) return ofAnotherInstallation;
  if (transient.has(uuid)) return 'libvirt forgets it when it stops (it is transient)';
  // The broker knows of no claim on them, and would give them to others.
  if (hostDevices.length > 0) return 'devices of the host are handed over to it';
  return managedBy(tools, Object.fromEntries(namespaces.map((namespace) => [namespace, ''])), 'metadata');
}

/**
 * Domains of this host without our record, by their UUIDs.
 * @throws ProviderError `Invalid` for a page that no answer gave.
 */
export async function discoverMachines(
  setting: Setting,
  { broker, ref, page }: DiscoveryQuery,
  { signal }: CallContext,
): Promise<DiscoveryPage> {
  signal.throwIfAborted();
  if (page !== undefined && !isUuid(page)) throw notAPage();
  const { libvirt } = setting;
  const one = ref === undefined ? undefined : await libvirt.find(ref.toLowerCase());
  const all = ref === undefined ? await libvirt.all() : one ? [one] : [];
  const theirs = all
    .filter(({ uuid, record }) => record?.stamp.broker !== broker && (page === undefined || uuid > page))
    .sort((a, b) => (a.uuid < b.uuid ? -1 : 1));
  const some = theirs.slice(0, pageSize);
  const last = some.at(-1);
  return {
    items: await described(setting, some),
    ...(last && theirs.length > some.length ? { nextPage: last.uuid } : {}),
    complete: true,
  };
}

async function described(setting: Setting, domains: Domain[]): Promise<Unmanaged[]> {
  if (domains.length === 0) return [];
  const { libvirt } = setting;
  const [statistics, transient, leases] = await Promise.all([
    libvirt.statistics(),
    libvirt.transient(),
    leasesOf(setting, domains),
  ]);
  return domains.map((domain): Unmanaged => {
    const sight = { domain, statistics: statistics.get(domain.name), leases };
    const { power, vcpus, memoryGiB, addresses } = detailsOf(setting, sight, []);
    return {
      kind: 'Instance',
      ref: domain.uuid,
      name: domain.name,
      location: setting.location,
      state: 'ready',
      power,
      instanceType: 'custom',
      market: 'onDemand',
      ...known('architecture', architectures[domain.architecture ?? '']),
      vcpus,
      memoryGiB,
      addresses,
      labels: {},
      ...known('refused', whyRefused(domain, transient)),
    };
  });
}

const architectures: Record<string, Unmanaged['architecture']> = { x86_64: 'x86_64', aarch64: 'arm64' };
