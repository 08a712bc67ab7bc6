import type { VirtualMachine } from '@azure/arm-compute';
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
import { type Account, reading } from './clients.ts';
import { detailsOf, locationOf, reachedBy, readMachine, readSizes, stateOf } from './machine.ts';
import { type Place, placeOf, refAt, type Seen } from './objects.ts';
import { stampOf, stampTags } from './stamp.ts';

/** Objects on one page: a page travels through a workflow, whose payloads stay small, and each costs calls of its own. */
const pageSize = 25;

/** Tags by which other tools mark what they replace or remove by themselves. */
export const tools: Tool[] = [
  { mark: /^aks-managed-/, by: () => 'a Kubernetes cluster (AKS)' },
  { mark: /^karpenter\.(sh|azure\.com)_/, by: () => 'Karpenter' },
  { mark: /^sigs\.k8s\.io_cluster-api-provider-azure_cluster_/, by: () => 'a Kubernetes cluster' },
];

/** Why a machine that is not ours cannot be adopted, for a person; undefined where it can. */
export function whyRefused(machine: VirtualMachine): string | undefined {
  if (stateOf(machine) === 'removing') return 'it is being deleted';
  if (stampOf(machine.tags)) return ofAnotherInstallation;
  const scaleSet = machine.virtualMachineScaleSet?.id;
  if (scaleSet) return `it is managed by the scale set ${placeOf(scaleSet)?.name ?? scaleSet}`;
  if (machine.managedBy) return `it is managed by ${machine.managedBy}`;
  return managedBy(tools, machine.tags ?? {}, 'tag');
}

/** Where a discovery goes on: in one of Azure's pages, of which it takes a part at a time. */
interface Cursor {
  token?: string;
  from: number;
}

/** Azure's pages of objects, each with the way to the next. */
export type Pages<T> = AsyncIterableIterator<T[] & { continuationToken?: string }>;

/** How objects of one kind are discovered. */
export interface Discovery<T extends Seen> {
  pages(token: string | undefined): Pages<T>;
  /** The one at this place. */
  read(place: Place): Promise<T | undefined>;
  isGoing(object: T): boolean;
  /** `asked`: by its reference. */
  show(objects: T[], asked: boolean): Promise<Unmanaged[]>;
}

/** Machines without our stamp; see `discoverOver`. */
export function discoverMachines(
  account: Account,
  query: DiscoveryQuery,
  context: CallContext,
): Promise<DiscoveryPage> {
  return discoverOver<VirtualMachine>(account, query, context, {
    pages: (continuationToken) => account.compute.virtualMachines.listAll().byPage({ continuationToken }),
    read: (place) => readMachine(account, place),
    isGoing: (machine) => stateOf(machine) === 'removing',
    show: (machines) =>
      described(
        account,
        query.broker,
        machines.flatMap(({ id }) => placeOf(id) ?? []),
      ),
  });
}

/**
 * What the subscription has in the site's regions without our stamp, in whatever group.
 * @throws ProviderError `Invalid` for a page that no answer gave; what the list fails with.
 */
export async function discoverOver<T extends Seen>(
  account: Account,
  query: DiscoveryQuery,
  { signal }: CallContext,
  { pages, read, isGoing, show }: Discovery<T>,
): Promise<DiscoveryPage> {
  signal.throwIfAborted();
  const { broker, ref, page } = query;
  const theirs = (objects: T[]) =>
    objects.filter((object) => !isGoing(object) && isTheirs(account, broker, object));
  if (ref !== undefined) {
    const place = placeOf(ref);
    const found = place && (await read(place));
    return { items: await show(theirs(found ? [found] : []), true), complete: true };
  }
  const { token, from } =
    page === undefined ? { from: 0 } : readCursor<Cursor>(page, (cursor) => isCursor(account, cursor));
  const answer = await reading(pages(token).next());
  const all: T[] & { continuationToken?: string } = answer.done ? [] : answer.value;
  const following: Cursor | undefined =
    from + pageSize < all.length
      ? { ...(token === undefined ? {} : { token }), from: from + pageSize }
      : all.continuationToken
        ? { token: all.continuationToken, from: 0 }
        : undefined;
  return {
    items: await show(theirs(all.slice(from, from + pageSize)), false),
    ...(following ? { nextPage: writePage(following) } : {}),
    complete: true,
  };
}

function isCursor(account: Account, { token, from = -1 }: Partial<Cursor>): boolean {
  return Number.isInteger(from) && from >= 0 && (token === undefined || account.isOwnAddress(token));
}

function isTheirs(account: Account, broker: string, object: Seen): boolean {
  // By this tag alone, too: the network that machines share has no more.
  return account.regions.includes(locationOf(object).region) && object.tags?.[stampTags.broker] !== broker;
}

/** What the list does not tell of a machine is asked of the machine: whether it runs, and how it is reached. */
async function described(account: Account, broker: string, places: Place[]): Promise<Unmanaged[]> {
  const found = await Promise.all(
    places.map(async (place) => ({ place, machine: await readMachine(account, place) })),
  );
  const sizes = new Map<string, Sizes>();
  return Promise.all(
    found.flatMap(({ place, machine }) =>
      machine && stateOf(machine) !== 'removing' && isTheirs(account, broker, machine)
        ? [unmanaged(account, place, machine, sizes)]
        : [],
    ),
  );
}

/** By region, asked for once. */
type Sizes = ReturnType<typeof readSizes>;

async function unmanaged(
  account: Account,
  place: Place,
  machine: VirtualMachine,
  sizes: Map<string, Sizes>,
): Promise<Unmanaged> {
  const location = locationOf(machine);
  const list = sizes.get(location.region) ?? readSizes(account, location.region);
  sizes.set(location.region, list);
  const [reached, all] = await Promise.all([reachedBy(account, machine), list]);
  const size = all.find(({ name }) => name === machine.hardwareProfile?.vmSize);
  const vcpus = size?.numberOfCores ?? 0;
  const memoryGiB = (size?.memoryInMB ?? 0) / 1024;
  const { power, addresses, instanceType } = detailsOf(machine, { vcpus, memoryGiB }, reached, []);
  return {
    kind: 'Instance',
    ref: refAt(account, 'virtualMachine', place),
    name: machine.name ?? place.name,
    location,
    state: stateOf(machine),
    power,
    instanceType,
    market: machine.priority === 'Spot' || machine.priority === 'Low' ? 'spot' : 'onDemand',
    architecture: architectureOf(instanceType),
    // A size that is none any more is one of which nobody says how large it is.
    ...(vcpus > 0 ? { vcpus, memoryGiB } : {}),
    ...known('diskGiB', machine.storageProfile?.osDisk?.diskSizeGB),
    ...known('image', imageOf(machine)),
    addresses,
    labels: machine.tags ?? {},
    ...known('createdAt', machine.timeCreated?.toISOString()),
    ...known('refused', whyRefused(machine)),
  };
}

/** Azure's naming of sizes: among the small letters after the number of vCPUs, `p` is a processor of Arm's. */
function architectureOf(size: string): Unmanaged['architecture'] {
  return /^[A-Za-z]+_[A-Z]+\d+(-\d+)?[a-z]*p[a-z]*(_|$)/.test(size) ? 'arm64' : 'x86_64';
}

function imageOf({ storageProfile }: VirtualMachine): string | undefined {
  const { id, publisher, offer, sku } = storageProfile?.imageReference ?? {};
  return id ?? (publisher && offer && sku ? `${publisher}:${offer}:${sku}` : undefined);
}
