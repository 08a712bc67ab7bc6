import { chmod, link, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageUrl } from '@landfall/adapters/contract.ts';
import { ProviderError } from '@landfall/adapters/errors.ts';
import { checkImport, sourceOf } from '@landfall/adapters/kinds.ts';
import { fetchImage, WrongContent } from '../images/download.ts';
import type { DirectBoot } from '../images/recipe.ts';
import { publishedImage } from '../images/store.ts';
import { copyDisk, diskBytes } from './disk-copy.ts';
import { exclusively } from './exclusive.ts';
import { type Held, heldDisk, heldFolder, heldFolders } from './held.ts';
import { checkRef, type HeldPlan, holding, requireHeld } from './held-kind.ts';
import { exists, rootDisk } from './machine-files.ts';
import type { Setting } from './setting.ts';
import { invalid } from './wanted-machine.ts';

/** Folder of an Image among the golden images, which is also what a machine's record names. */
export function imageKey(uuid: string): string {
  return `own/${uuid}`;
}

/** Images of users' own, beside the golden ones and like them of mode 0444: whole copies that machines are overlays of. */
export function imagePlan(setting: Setting): HeldPlan<'Image'> {
  const { libvirt, storage } = setting;
  const file = (uuid: string) => join(heldFolders.Image, uuid, heldDisk);

  /** The machine whose disk is wanted. */
  async function machineOf(ref: string, broker: string) {
    const domain = await libvirt.find(ref);
    if (domain?.record && domain.record.stamp.broker === broker) return { ...domain, record: domain.record };
    throw new ProviderError('NotFound', `no machine ${ref} is on this host`, { field: '/source/instance' });
  }

  async function fromInstance(
    ref: string,
    held: Held<'Image'>,
    signal: AbortSignal,
  ): Promise<DirectBoot | undefined> {
    const { record } = await machineOf(ref, held.record.stamp.broker);
    const source = {
      file: join('machines', ref, rootDisk),
      backing: join('images', record.image, rootDisk),
      user: { uuid: ref, target: 'vda' },
    };
    await copyDisk(setting, source, file(held.uuid), signal);
    // A guest that is started with a kernel from outside is so in its copies, too.
    const golden = await publishedImage(storage.here, record.image);
    const folder = heldFolder(storage.here, 'Image', held.uuid);
    for (const name of golden?.boot ? [golden.boot.kernel, golden.boot.initrd] : []) {
      await rm(join(folder, name), { force: true });
      await link(join(storage.here, 'images', record.image, name), join(folder, name));
    }
    return golden?.boot;
  }

  async function fromUrl(
    { url, sha256 = '', format }: ImageUrl,
    uuid: string,
    signal: AbortSignal,
  ): Promise<void> {
    const folder = heldFolder(storage.here, 'Image', uuid);
    try {
      const checksum = { algorithm: 'sha256' as const, digest: sha256.toLowerCase() };
      // `check` has let no other format through.
      const known = format as Exclude<ImageUrl['format'], 'vmdk'>;
      await fetchImage(url, checksum, { folder, progress: setting.progress, signal }, known);
    } catch (error) {
      if (!(error instanceof WrongContent)) throw error;
      throw new ProviderError('Invalid', error.message, { field: `/source/${error.field}` }, error);
    } finally {
      await rm(join(folder, 'work'), { recursive: true, force: true });
    }
  }

  async function fetched(held: Held<'Image'>, signal: AbortSignal): Promise<DirectBoot | undefined> {
    const source = sourceOf(held.record);
    if ('instance' in source) return fromInstance(source.instance, held, signal);
    if ('url' in source) await fromUrl(source, held.uuid, signal);
    else {
      await exclusively(holding(source.snapshot), async () => {
        await requireHeld(setting, 'Snapshot', source.snapshot, held.record.stamp.broker, '/source/snapshot');
        const from = join(heldFolders.Snapshot, source.snapshot, heldDisk);
        await copyDisk(setting, { file: from }, file(held.uuid), signal);
      });
    }
    return undefined;
  }

  return {
    kind: 'Image',

    check(spec) {
      const { architecture } = spec;
      const source = sourceOf({ spec });
      if (architecture !== 'x86_64')
        throw invalid('/architecture', `this host runs x86_64 images, not ${architecture}`);
      if ('instance' in source) checkRef(source.instance, '/source/instance');
      else if ('snapshot' in source) checkRef(source.snapshot, '/source/snapshot');
      // Not file: what lies on the host is not the user's.
      else checkImport('onprem', source);
    },

    async admit({ spec, stamp }) {
      const source = sourceOf({ spec });
      if ('instance' in source) await machineOf(source.instance, stamp.broker);
      if ('snapshot' in source)
        await requireHeld(setting, 'Snapshot', source.snapshot, stamp.broker, '/source/snapshot');
    },

    async make(held, signal) {
      const folder = heldFolder(storage.here, 'Image', held.uuid);
      const index = join(folder, 'image.json');
      const disk = join(folder, heldDisk);
      if (!(await exists(index))) {
        const boot = await fetched(held, signal);
        await chmod(disk, 0o444);
        const text = JSON.stringify({ diskBytes: await diskBytes(setting, disk), boot });
        await writeFile(`${index}.new`, `${text}\n`);
        await rename(`${index}.new`, index);
      }
      const sizeGiB = Math.ceil((await diskBytes(setting, disk)) / 2 ** 30);
      return { ...held, record: { ...held.record, sizeGiB } };
    },

    async details({ record }) {
      return { sizeGiB: record.sizeGiB, children: [] };
    },

    diff: () => [],

    async users({ uuid }) {
      const domains = await libvirt.all();
      return domains
        .filter(({ record }) => record?.image === imageKey(uuid))
        .map(({ name }) => `the machine ${name}`);
    },
  };
}
