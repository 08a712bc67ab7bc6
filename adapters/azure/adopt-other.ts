import type { Disk, Image, Snapshot } from '@azure/arm-compute';
import type { PublicIPAddress } from '@azure/arm-network';
import { turnOf } from '../adopters.ts';
import type { Adopting, CallContext, Kind, Present, Stamp, Want } from '../contract.ts';
import {
  adoptedByAnother,
  cannotBeAdopted,
  known,
  managedBy,
  ofAnotherInstallation,
  type Tool,
  type Unmanaged,
} from '../discovery.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { namesNothing } from '../kinds.ts';
import { waitFor } from '../wait.ts';
import { type Account, ifThere } from './clients.ts';
import { discoverOver, type Pages, tools } from './discover.ts';
import { readInterface } from './interface.ts';
import { locationOf } from './machine.ts';
import { look, machineRef, partsOf, placeOf, refAt, type Seen } from './objects.ts';
import { releaseResource } from './release.ts';
import { isPassing } from './remove.ts';
import type { Adopted, OtherKind } from './resource.ts';
import { adopterTag, carries, stampAsTags, stampOf, stampTags, type Tags } from './stamp.ts';
import { changeTags } from './write-tags.ts';

/** Why something cannot be adopted. `part`: it is a part of something else, and is shown only where it is asked for. */
interface Bound {
  why: string;
  part?: boolean;
}

/** What discovery says of the objects of a kind that can be adopted. */
export interface Look<T extends Seen> {
  pages(account: Account, token?: string): Pages<T>;
  shown(account: Account, object: T): Promise<Partial<Unmanaged>>;
  /** Beside the tags of tools. */
  bound(account: Account, object: T): Promise<Bound | undefined>;
}

/** By Kubernetes' drivers and controllers, and by backups. */
const otherTools: Tool[] = [
  ...tools,
  {
    mark: /^(k8s-azure-|kubernetes\.io-created-for-|kubernetes-cluster-name$)/,
    by: () => 'a Kubernetes cluster',
  },
  { mark: /^RSVaultBackup$/, by: () => 'Azure Backup' },
];

const isMachine = (id: string): boolean =>
  /\/providers\/Microsoft\.Compute\/virtualMachines\/[^/]+$/i.test(id);

export const disks: Look<Disk> = {
  pages: (account, continuationToken) => account.compute.disks.list().byPage({ continuationToken }),
  shown: async (account, { diskSizeGB, sku, managedBy: holder }) => ({
    ...known('diskGiB', diskSizeGB),
    ...known('type', sku?.name),
    ...known('attachedTo', holder && isMachine(holder) ? machineRef(account, holder) : undefined),
  }),
  async bound(account, { id = '', managedBy: holder, managedByExtended = [] }) {
    const machines = managedByExtended.length;
    if (machines > 1) return { why: `it is attached to ${machines} machines` };
    if (!holder) return undefined;
    const place = placeOf(holder);
    if (!place || !isMachine(holder)) return { why: `it is attached to ${holder}` };
    const ref = machineRef(account, holder);
    const machine = await ifThere(account.compute.virtualMachines.get(place.group, place.name));
    const { osDisk, dataDisks = [] } = machine?.storageProfile ?? {};
    const isThis = (disk: { managedDisk?: { id?: string } } | undefined) =>
      disk?.managedDisk?.id?.toLowerCase() === id.toLowerCase();
    if (isThis(osDisk)) return { why: `it is the root disk of ${ref}`, part: true };
    return dataDisks.find(isThis)?.deleteOption === 'Delete'
      ? { why: `it is deleted with ${ref}: set its deleteOption to Detach first` }
      : undefined;
  },
};

export const snapshots: Look<Snapshot> = {
  pages: (account, continuationToken) => account.compute.snapshots.list().byPage({ continuationToken }),
  async shown(account, { diskSizeGB, creationData }) {
    const source = creationData?.sourceResourceId;
    const place = source && /\/disks\/[^/]+$/i.test(source) ? placeOf(source) : undefined;
    return {
      ...known('diskGiB', diskSizeGB),
      ...known('volume', place && refAt(account, 'disk', place)),
    };
  },
  bound: async () => undefined,
};

/** Of a generalized Linux: any other takes no user and no keys. Managed images are for x86_64 alone. */
export const ownImages: Look<Image> = {
  pages: (account, continuationToken) => account.compute.images.list().byPage({ continuationToken }),
  shown: async (_account, { storageProfile }) => ({
    architecture: 'x86_64',
    ...known('diskGiB', storageProfile?.osDisk?.diskSizeGB),
  }),
  async bound(_account, { storageProfile }) {
    const { osType, osState } = storageProfile?.osDisk ?? {};
    if (osType !== 'Linux') return { why: `it is of ${osType ?? 'no system'}, which Landfall cannot set up` };
    return osState === 'Generalized'
      ? undefined
      : { why: 'it is specialized: what starts from it takes no user and no keys' };
  },
};

export const publicAddresses: Look<PublicIPAddress> = {
  pages: (account, continuationToken) =>
    account.network.publicIPAddresses.listAll().byPage({ continuationToken }),
  async shown(account, { ipAddress, ipConfiguration }) {
    return {
      addresses: ipAddress ? [{ type: 'external', address: ipAddress }] : [],
      ...known('attachedTo', await machineBehind(account, ipConfiguration?.id)),
    };
  },
  async bound(account, address) {
    const { publicIPAddressVersion, publicIPAllocationMethod, ipConfiguration, natGateway, deleteOption } =
      address;
    if (publicIPAddressVersion === 'IPv6') return { why: 'it is an address of IPv6' };
    if (publicIPAllocationMethod === 'Dynamic')
      return { why: 'it is dynamic, and changes when it is detached: make it static first' };
    const holder = ipConfiguration?.id ?? natGateway?.id;
    if (!holder) return undefined;
    const machine = await machineBehind(account, ipConfiguration?.id);
    if (!machine) return { why: `it leads to ${holder}, which is no machine’s` };
    return deleteOption === 'Delete'
      ? { why: `it is deleted with ${machine}: set its deleteOption to Detach first` }
      : undefined;
  },
};

/** The machine whose interface's configuration this is. */
async function machineBehind(account: Account, configuration = ''): Promise<string | undefined> {
  const place = /\/networkInterfaces\//i.test(configuration) ? placeOf(configuration) : undefined;
  const nic = place && (await readInterface(account, place.group, place.name));
  const id = nic?.virtualMachine?.id;
  return id && machineRef(account, id);
}

/** Adopting and releasing resources that are one object at Azure, by its tags alone. */
export function adoptingOther<K extends OtherKind, T extends Seen>(
  account: Account,
  resources: Adopted<K, T>,
  { pages, shown, bound }: Look<T>,
): Adopting<K> {
  const { kind } = resources;
  const [main] = partsOf[kind];

  async function whyRefused(object: T): Promise<Bound | undefined> {
    if (stampOf(object.tags)) return { why: ofAnotherInstallation };
    const tool = managedBy(otherTools, object.tags ?? {}, 'tag');
    return tool ? { why: tool } : bound(account, object);
  }

  async function unmanaged(object: T, asked: boolean): Promise<Unmanaged[]> {
    const place = placeOf(object.id);
    const refused = await whyRefused(object);
    if (!place || (refused?.part && !asked)) return [];
    const { timeCreated } = object as { timeCreated?: Date };
    return [
      {
        kind,
        ref: refAt(account, main, place),
        name: object.name ?? place.name,
        location: locationOf(object),
        state: object.provisioningState === 'Creating' ? 'creating' : 'ready',
        addresses: [],
        labels: object.tags ?? {},
        ...known('createdAt', timeCreated?.toISOString()),
        ...(await shown(account, object)),
        ...known('refused', refused?.why),
      },
    ];
  }

  return {
    discover: (query, context) =>
      discoverOver<T>(account, query, context, {
        pages: (token) => pages(account, token),
        read: (place) => look(account, place.group, main, place.name) as Promise<T | undefined>,
        isGoing: ({ provisioningState }) => provisioningState === 'Deleting',
        show: async (objects, asked) =>
          (await Promise.all(objects.map((object) => unmanaged(object, asked)))).flat(),
      }),
    adopt: (want, context) => adoptByTurns(account, resources, want, context, whyRefused),
    release: (target, context) => releaseResource(account, target, context),
  };
}

/**
 * Tags what exists with our stamp, and changes nothing else of it. Azure writes the tags of these objects without conditions, but adds
 * some to what is there: adopters keep out of each other's way by tags of their own (`turnOf`).
 * @throws ProviderError `NotFound` where it is gone; `Conflict` where it is another's or another tool manages it.
 */
async function adoptByTurns<K extends OtherKind, T extends Seen>(
  account: Account,
  { kind, toPresent }: Adopted<K, T>,
  want: Want<K>,
  context: CallContext,
  whyRefused: (object: T) => Promise<Bound | undefined>,
): Promise<Present<K>> {
  const { location, stamp, adopted } = want as Want<Kind>;
  if (!adopted) throw namesNothing();
  account.checkRegion(location.region);
  const { ref } = adopted;
  const [main] = partsOf[kind];
  const parsed = placeOf(ref);
  const place =
    parsed && refAt(account, main, parsed).toLowerCase() === ref.toLowerCase() ? parsed : undefined;
  if (!place) throw gone(kind, ref);
  const mine = adopterTag(stamp);
  let hasStamped = false;
  let seen: T | undefined;
  /** Left behind, the adopter's tag only says who adopted, or is passed over after a while. */
  const withdraw = async () => {
    const at = seen?.tags?.[mine];
    if (at === undefined) return;
    await changeTags(account, ref, 'Delete', { [mine]: at }, context).catch((error: unknown) => {
      if (!isProviderError(error)) throw error;
    });
  };
  try {
    const found = await waitFor(
      async () => {
        seen = (await look(account, place.group, main, place.name)) as T | undefined;
        // It was there before us: not to see it is no matter of time.
        if (!seen || seen.provisioningState === 'Deleting') throw gone(kind, ref);
        if (carries(seen.tags, stamp)) return seen;
        const refused = await whyRefused(seen);
        if (refused) throw cannotBeAdopted(ref, refused.why);
        if (await turn(account, ref, seen.tags ?? {}, { stamp, hasStamped }, kind, context))
          hasStamped = true;
        return undefined;
      },
      { context, pollMs: account.pollMs, limitMs: account.ensureWaitMs },
    );
    if (!found) throw adoptedByAnother(ref);
    await withdraw();
    return await toPresent(found, { region: location.region, ...place });
  } catch (error) {
    if (isProviderError(error, 'Conflict')) await withdraw();
    throw error;
  }
}

const gone = (kind: Kind, ref: string) =>
  new ProviderError('NotFound', `there is no ${kind} ${ref} any more`);

/** One step of an adopter among others. @returns whether it wrote the stamp. */
async function turn(
  account: Account,
  ref: string,
  tags: Tags,
  { stamp, hasStamped }: { stamp: Stamp; hasStamped: boolean },
  kind: Kind,
  context: CallContext,
): Promise<boolean> {
  const mine = adopterTag(stamp);
  const adopters = Object.entries(tags).filter(([name]) => name.startsWith(stampTags.adopter));
  const next = turnOf(mine, Object.fromEntries(adopters), hasStamped);
  if (next === 'giveUp') throw adoptedByAnother(ref);
  if (next === 'wait') return false;
  const added = next === 'show' ? { [mine]: new Date().toISOString() } : stampAsTags(stamp, kind);
  try {
    await changeTags(account, ref, 'Merge', added, context);
    return next === 'stamp';
  } catch (error) {
    // Something is under way with it: another look tells.
    if (!isPassing(error)) throw error;
    return false;
  }
}
