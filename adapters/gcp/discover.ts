import type { CallContext } from '../contract.ts';
import {
  type DiscoveryPage,
  type DiscoveryQuery,
  known,
  managedBy,
  ofAnotherInstallation,
  readPage as readCursor,
  type Tool,
  type Unmanaged,
  writePage,
} from '../discovery.ts';
import { isProviderError } from '../errors.ts';
import type { Account } from './clients.ts';
import { type Collection, parseRef, read, readPage, scopesOf, type Thing } from './collections.ts';
import {
  addSize,
  detailsOf,
  instanceState,
  isGoing,
  locationOf,
  type Machine,
  machineOf,
  machineRef,
  type Sizes,
} from './machine.ts';
import { lastOf, regionOf } from './places.ts';
import { stampOf } from './stamp.ts';

/** Objects on one page: a page travels through a workflow, whose payloads stay small. */
const pageSize = 50;

/** Labels by which other tools mark what they replace or remove by themselves. */
export const byLabel: Tool[] = [
  { mark: /^goog-k8s-cluster-name$/, by: (value) => `the Kubernetes cluster ${value}` },
  { mark: /^goog-gke-(node|node-pool-.*|volume)$/, by: () => 'a Kubernetes cluster' },
  { mark: /^goog-dataproc-cluster-name$/, by: (value) => `the Dataproc cluster ${value}` },
  { mark: /^goog-dataflow-job-id$/, by: (value) => `the Dataflow job ${value}` },
  { mark: /^goog-dm$/, by: (value) => `the deployment ${value} of Deployment Manager` },
  { mark: /^goog-terraform-provisioned$/, by: () => 'Terraform' },
];
/** The same in the metadata: an instance group says there that it made the machine. */
const byMetadata: Tool[] = [
  { mark: /^created-by$/, by: (value) => `the instance group ${lastOf(value)}` },
  { mark: /^cluster-name$/, by: (value) => `the Kubernetes cluster ${value}` },
];

/** Why a machine that is not ours cannot be adopted, for a person; undefined where it can. */
export function whyRefused(machine: Machine): string | undefined {
  if (isGoing(machine)) return 'it is being deleted';
  if (stampOf(machine.labels)) return ofAnotherInstallation;
  const metadata = Object.fromEntries(
    (machine.metadata?.items ?? []).flatMap(({ key, value }) =>
      key && (key !== 'created-by' || value?.includes('/instanceGroupManagers/')) ? [[key, value ?? '']] : [],
    ),
  );
  return managedBy(byLabel, machine.labels, 'label') ?? managedBy(byMetadata, metadata, 'metadata');
}

/** Where a discovery goes on: one place, one of Google's pages at a time. */
interface Cursor {
  /** Places not read yet, as `zones/…`, `regions/…` or `global`; the first is being read. */
  left: string[];
  token?: string;
}

/** What of a collection is shown, and how. `asked`: by its reference. */
export type Show<C extends Collection> = (things: Thing<C>[], asked: boolean) => Promise<Unmanaged[]>;

/** Machines of the site's regions without our stamp; see `discoverOver`. */
export function discoverMachines(
  account: Account,
  query: DiscoveryQuery,
  context: CallContext,
): Promise<DiscoveryPage> {
  return discoverOver(account, query, context, 'instances', (things) =>
    described(
      account,
      things.map(({ body }) => machineOf(body)).filter((machine) => !isGoing(machine)),
    ),
  );
}

/**
 * What a collection has in the site's regions without our stamp. A place that cannot be read is skipped with `complete: false`, as in
 * a list.
 * @throws ProviderError `Invalid` for a page that no answer gave; `Denied` when nothing may be read.
 */
export async function discoverOver<C extends Collection>(
  account: Account,
  query: DiscoveryQuery,
  { signal }: CallContext,
  collection: C,
  show: Show<C>,
): Promise<DiscoveryPage> {
  signal.throwIfAborted();
  const { broker, ref, page } = query;
  const theirs = (things: Thing<C>[]) =>
    things.filter(
      ({ stamp, location }) => stamp?.broker !== broker && account.regions.includes(location.region),
    );
  if (ref !== undefined) {
    const at = parseRef(collection, ref);
    const thing = at && (await read(account, { ...at, collection }));
    return { items: await show(theirs(thing ? [thing] : []), true), complete: true };
  }
  const { left, token } =
    page === undefined
      ? { left: await placesOf(account, collection), token: undefined }
      : readCursor<Cursor>(page, (cursor) => isCursor(account, cursor));
  const [scope = '', ...others] = left;
  const after: Cursor | undefined = others.length > 0 ? { left: others } : undefined;
  const next = (cursor: Cursor | undefined) => (cursor ? { nextPage: writePage(cursor) } : {});
  try {
    const found = await readPage(account, collection, scope, undefined, token, pageSize);
    if (!found.reached)
      account.warn(`discovery of ${scope} failed`, new Error('Google Cloud could not reach it'));
    return {
      items: await show(theirs(found.things), false),
      ...next(found.token ? { left, token: found.token } : after),
      complete: found.reached,
    };
  } catch (error) {
    if (!isProviderError(error) || error.code === 'Denied') throw error;
    account.warn(`discovery of ${scope} failed: ${error.message}`, error);
    return { items: [], ...next(after), complete: false };
  }
}

async function placesOf(account: Account, collection: Collection): Promise<string[]> {
  const scopes = await Promise.all(
    account.regions.map((region) => scopesOf(account, collection, { region })),
  );
  return [...new Set(scopes.flat())];
}

function isCursor({ regions }: Account, { left, token }: Partial<Cursor>): boolean {
  return (
    Array.isArray(left) &&
    left.length > 0 &&
    left.every((scope) => isScope(scope, regions)) &&
    (token === undefined || typeof token === 'string')
  );
}

function isScope(scope: string, regions: string[]): boolean {
  const [, level, place = ''] = /^(?:(zones|regions)\/([a-z0-9-]+)|global)$/.exec(scope) ?? [];
  return level ? regions.includes(level === 'zones' ? regionOf(place) : place) : scope === 'global';
}

async function described(account: Account, machines: Machine[]): Promise<Unmanaged[]> {
  const sizes: Sizes = new Map();
  for (const machine of machines) await addSize(account, sizes, machine);
  return machines.map((machine) => unmanaged(machine, sizes));
}

const architectures: Record<string, Unmanaged['architecture']> = { X86_64: 'x86_64', ARM64: 'arm64' };

function unmanaged(machine: Machine, sizes: Sizes): Unmanaged {
  const { power, addresses, instanceType, vcpus, memoryGiB } = detailsOf(machine, sizes);
  const { scheduling, creationTimestamp } = machine;
  const boot = machine.disks?.find((disk) => disk.boot);
  return {
    kind: 'Instance',
    ref: machineRef(machine),
    name: machine.name,
    location: locationOf(machine),
    state: instanceState(machine),
    power,
    instanceType,
    market: scheduling?.provisioningModel === 'SPOT' || scheduling?.preemptible ? 'spot' : 'onDemand',
    ...known('architecture', architectures[String(boot?.architecture)]),
    // A type that is none any more has no size that anybody says.
    ...(vcpus > 0 ? { vcpus, memoryGiB } : {}),
    ...known('diskGiB', boot?.diskSizeGb ? Number(boot.diskSizeGb) : undefined),
    addresses,
    labels: machine.labels,
    ...known('createdAt', creationTimestamp ? new Date(creationTimestamp).toISOString() : undefined),
    ...known('refused', whyRefused(machine)),
  };
}
