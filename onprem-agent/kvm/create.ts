import { join } from 'node:path';
import { ProviderError } from '@landfall/adapters/errors.ts';
import { imageOf } from '@landfall/adapters/kinds.ts';
import { CommandFailed } from '../host/command.ts';
import type { Gpu } from '../host/gpus.ts';
import {
  type GoldenImage,
  prepareImage,
  publishedImage,
  publishImage,
  UnknownImage,
} from '../images/store.ts';
import { requireRoom, usedCapacity } from './capacity.ts';
import { type AttachedDisk, type DomainSpec, domainXml } from './domain-xml.ts';
import { exclusively } from './exclusive.ts';
import { gpusFor } from './hand-over.ts';
import { requireHeld } from './held-kind.ts';
import { domainName, macOf } from './identity.ts';
import {
  existingChildren,
  freeDiskGiB,
  makeFolder,
  makeRootDisk,
  makeSeed,
  pathsInside,
  readSidecar,
  spareDiskGiB,
} from './machine-files.ts';
import { keepAddressFor, requireNetworkOf } from './machine-network.ts';
import type { MachineRecord } from './machine-record.ts';
import { childRef } from './observation.ts';
import { imageKey } from './own-image.ts';
import { hostnameOf } from './seed.ts';
import type { Setting } from './setting.ts';
import type { WantedMachine } from './wanted-machine.ts';

/** Places and definitions are decided one machine at a time, so that two never take the same last room. */
export function placing(setting: Setting): string {
  return `placing:${setting.storage.here}`;
}

/**
 * Makes the machine's files and its domain, not started. Every step is idempotent and finds what an earlier, interrupted call
 * left. Throws ProviderError; `details.made` names the children that exist by then (A9).
 */
export async function createMachine(
  setting: Setting,
  wanted: WantedMachine,
  signal: AbortSignal,
): Promise<void> {
  const image = await asProviderError(() => goldenImage(setting, wanted, signal), signal);
  await exclusively(placing(setting), async () => {
    signal.throwIfAborted();
    try {
      await asProviderError(() => makeFilesAndDomain(setting, wanted, image));
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      const made = (await existingChildren(setting.storage, wanted.uuid)).map(({ file }) =>
        childRef(wanted.uuid, file),
      );
      throw new ProviderError(error.code, error.message, { ...error.details, made }, error.cause);
    }
  });
}

async function goldenImage(
  setting: Setting,
  wanted: WantedMachine,
  signal: AbortSignal,
): Promise<GoldenImage> {
  if ('own' in wanted.image) return ownImage(setting, wanted, wanted.image.own);
  let image: GoldenImage;
  try {
    image = await prepareImage(wanted.image, { progress: setting.progress, signal });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof UnknownImage)
      throw new ProviderError('Invalid', message, { field: '/image' }, error);
    throw new ProviderError(
      'Unavailable',
      `the image ${imageOf(wanted.want).name} cannot be had: ${message}`,
      { field: '/image' },
      error,
    );
  }
  await publishImage(image, setting.storage.here);
  return image;
}

/** An Image of the user's own stands among the published ones already. */
async function ownImage(setting: Setting, { want }: WantedMachine, uuid: string): Promise<GoldenImage> {
  await requireHeld(setting, 'Image', uuid, want.stamp.broker, '/image/custom');
  const image = await publishedImage(setting.storage.here, imageKey(uuid));
  if (image) return image;
  throw new ProviderError('NotFound', `the files of the Image ${uuid} are gone`, { field: '/image/custom' });
}

async function makeFilesAndDomain(
  setting: Setting,
  wanted: WantedMachine,
  image: GoldenImage,
): Promise<void> {
  const { spec, uuid, want } = wanted;
  const { storage } = setting;
  const leastDiskGiB = Math.ceil(image.diskBytes / 2 ** 30);
  if (spec.diskGiB < leastDiskGiB) {
    throw new ProviderError('Invalid', `the image needs a disk of ${leastDiskGiB} GiB`, {
      field: '/diskGiB',
    });
  }
  // Both may have gone while this machine waited for its turn; from here on it counts as their user.
  if ('own' in wanted.image) await ownImage(setting, wanted, wanted.image.own);
  await requireNetworkOf(setting, spec, want.stamp.broker);
  const domains = await setting.libvirt.all();
  requireRoom(setting.capacity, usedCapacity(domains, uuid), spec);
  const gpus = await gpusFor(setting, uuid, spec.gpu);
  const present = await readSidecar(storage, uuid);
  if (!present) {
    const free = await freeDiskGiB(storage);
    if (spec.diskGiB > free - spareDiskGiB) {
      throw new ProviderError(
        'CapacityExhausted',
        `this host has ${Math.floor(free)} GiB of disk free, and ${spec.diskGiB} are wanted`,
      );
    }
  }
  const { createdAt } = await makeFolder(storage, uuid, {
    stamp: want.stamp,
    createdAt: new Date().toISOString(),
  });
  const goldenDisk = join(storage.there, 'images', image.key, 'root.qcow2');
  await makeRootDisk(storage, uuid, goldenDisk, spec.diskGiB);
  const seed = {
    instanceId: uuid,
    hostname: hostnameOf(spec.name),
    sshKeys: spec.sshKeys,
    userData: spec.userData,
  };
  await makeSeed(storage, uuid, seed);
  const record: MachineRecord = {
    stamp: want.stamp,
    name: spec.name,
    createdAt,
    user: wanted.user,
    image: image.key,
    instanceType: spec.instanceType,
    diskGiB: spec.diskGiB,
    reboots: spec.reboots,
    network: spec.network,
    firewalls: spec.firewalls ?? [],
    labels: spec.labels,
  };
  if (record.network) await keepAddressFor(setting, record.network.ref, uuid);
  await setting.libvirt.define(await definition(setting, wanted, record, { volumes: [], gpus }));
}

/** The domain's definition for the wanted size, with the image and the network that the machine was made with, and what it is given. */
export async function definition(
  setting: Setting,
  wanted: WantedMachine,
  record: MachineRecord,
  { volumes, gpus }: { volumes: readonly AttachedDisk[]; gpus: readonly Gpu[] },
): Promise<string> {
  const image = await publishedImage(setting.storage.here, record.image);
  const folder = join(setting.storage.there, 'images', record.image);
  const boot = image?.boot;
  const spec: DomainSpec = {
    uuid: wanted.uuid,
    name: domainName(record.name, wanted.uuid),
    accel: setting.acceleration.accel,
    vcpus: wanted.spec.vcpus,
    memoryMiB: wanted.memoryMiB,
    record,
    ...pathsInside(setting.storage, wanted.uuid),
    network: await networkNameOf(setting, record),
    isolated: record.network !== undefined,
    volumes: [...volumes],
    hostDevices: gpus.flatMap(({ functions }) => functions),
    mac: macOf(wanted.uuid),
    boot: boot && {
      kernel: join(folder, boot.kernel),
      initrd: join(folder, boot.initrd),
      commandLine: boot.commandLine,
    },
  };
  return domainXml(spec);
}

async function networkNameOf({ libvirt, network }: Setting, record: MachineRecord): Promise<string> {
  if (!record.network) return network;
  const found = await libvirt.findNetwork(record.network.ref);
  if (found) return found.name;
  throw new ProviderError('NotFound', `no Network ${record.network.ref} is on this host`, {
    field: '/network/ref',
  });
}

/** Failures of programs and the file system in the contract's words (A7); a cancelled call ends with its signal's reason. */
export async function asProviderError<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ProviderError) throw error;
    if (signal?.aborted) throw signal.reason;
    if (error instanceof CommandFailed && error.timedOut)
      throw new ProviderError('OutcomeUnknown', error.message, {}, error);
    const words =
      error instanceof CommandFailed ? error.stderr : error instanceof Error ? error.message : String(error);
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC' || /no space left on device/i.test(words)) {
      throw new ProviderError('CapacityExhausted', 'no space is left for guests on this host', {}, error);
    }
    throw new ProviderError('Unavailable', `this host failed: ${words.trim()}`, {}, error);
  }
}
