import { chmod, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { VolumeDetails, VolumeWant, Want } from '@landfall/adapters/contract.ts';
import { placing } from './create.ts';
import { copyDisk, requireSpace, userOf } from './disk-copy.ts';
import { exclusively } from './exclusive.ts';
import { type Held, heldDisk, heldFolders, writeHeld } from './held.ts';
import { checkRef, type HeldPlan, holding, requireHeld } from './held-kind.ts';
import { exists } from './machine-files.ts';
import type { Setting } from './setting.ts';
import { attach, detach, serialOf } from './volume-attachment.ts';
import { invalid } from './wanted-machine.ts';

/** Path of a volume's file in the storage folder. */
export function volumeFile(uuid: string): string {
  return join(heldFolders.Volume, uuid, heldDisk);
}

/** Block volumes as qcow2 files of their own, attached to machines of this host. */
export function volumePlan(setting: Setting): HeldPlan<'Volume'> {
  const { libvirt, storage } = setting;
  const here = (uuid: string) => join(storage.here, volumeFile(uuid));
  const there = (uuid: string) => join(storage.there, volumeFile(uuid));

  async function attachedTo({ uuid, record }: Held<'Volume'>): Promise<string | undefined> {
    const user = userOf(await libvirt.all(), there(uuid))?.uuid;
    if (user !== undefined || record.spec.attachedTo === undefined) return user;
    // Let go by the running guest, and still in the machine's next start.
    const next = await libvirt.findInactive(record.spec.attachedTo);
    return next && userOf([next], there(uuid))?.uuid;
  }

  /** What the record says of the size and of the machine it is for, written before libvirt is asked. */
  async function note(held: Held<'Volume'>, change: Partial<VolumeWant>): Promise<Held<'Volume'>> {
    const spec = { ...held.record.spec, ...change };
    return writeHeld(storage, { ...held, record: { ...held.record, spec } });
  }

  async function grow(held: Held<'Volume'>, sizeGiB: number): Promise<Held<'Volume'>> {
    const { uuid, record } = held;
    const now = record.sizeGiB ?? 0;
    if (sizeGiB === now) return held;
    if (sizeGiB < now) throw invalid('/sizeGiB', `a volume cannot shrink: it has ${now} GiB`);
    const user = userOf(await libvirt.all(), there(uuid));
    const domain = user && (await libvirt.find(user.uuid));
    await exclusively(placing(setting), async () => {
      await requireSpace(setting, sizeGiB - now);
      if (user && domain?.id !== undefined) await libvirt.growDisk(user.uuid, user.target, sizeGiB);
      else await storage.run('qemu-img', ['resize', '-q', '-f', 'qcow2', here(uuid), `${sizeGiB}G`]);
    });
    return writeHeld(storage, { ...held, record: { ...record, sizeGiB } });
  }

  return {
    kind: 'Volume',

    check({ sizeGiB, snapshot, attachedTo }) {
      if (!Number.isInteger(sizeGiB) || sizeGiB < 1)
        throw invalid('/sizeGiB', 'a volume has a whole number of GiB from 1');
      if (snapshot !== undefined) checkRef(snapshot, '/snapshot');
      if (attachedTo !== undefined) checkRef(attachedTo, '/attachedTo');
    },

    async admit({ spec, stamp }: Want<'Volume'>) {
      await requireSpace(setting, spec.sizeGiB);
      if (spec.snapshot !== undefined) {
        const { record } = await requireHeld(setting, 'Snapshot', spec.snapshot, stamp.broker, '/snapshot');
        const least = record.sizeGiB ?? 0;
        if (spec.sizeGiB < least) throw invalid('/sizeGiB', `the snapshot needs a volume of ${least} GiB`);
      }
    },

    async make(held, signal) {
      const { uuid, record } = held;
      const { sizeGiB, snapshot } = record.spec;
      const path = here(uuid);
      if (await exists(path)) return { ...held, record: { ...record, sizeGiB } };
      if (snapshot === undefined) {
        const staged = `${path}.new`;
        await storage.run('qemu-img', ['create', '-q', '-f', 'qcow2', staged, `${sizeGiB}G`]);
        await chmod(staged, 0o600);
        await rename(staged, path);
      } else {
        await exclusively(holding(snapshot), async () => {
          await requireHeld(setting, 'Snapshot', snapshot, record.stamp.broker, '/snapshot');
          const file = join(heldFolders.Snapshot, snapshot, heldDisk);
          // The size is grown before the file has its name: a volume is never smaller than was asked for.
          const unsized = `${volumeFile(uuid)}.unsized`;
          await copyDisk(setting, { file }, unsized, signal);
          const grown = join(storage.here, unsized);
          await storage.run('qemu-img', ['resize', '-q', '-f', 'qcow2', grown, `${sizeGiB}G`]);
          await rename(grown, path);
        });
      }
      return { ...held, record: { ...record, sizeGiB } };
    },

    async converge(held, spec, signal) {
      let now = held;
      const current = await attachedTo(now);
      if (current !== undefined && current !== spec.attachedTo)
        await detach(setting, { machine: current, file: there(now.uuid) }, signal);
      now = await grow(now, spec.sizeGiB);
      if (now.record.spec.attachedTo !== spec.attachedTo || now.record.spec.sizeGiB !== spec.sizeGiB)
        now = await note(now, { attachedTo: spec.attachedTo, sizeGiB: spec.sizeGiB });
      if (spec.attachedTo !== undefined) {
        const disk = { machine: spec.attachedTo, file: there(now.uuid), serial: serialOf(now.uuid) };
        await attach(setting, disk, now.record.stamp.broker);
      }
      return now;
    },

    async details(held): Promise<VolumeDetails> {
      const machine = await attachedTo(held);
      return {
        sizeGiB: held.record.sizeGiB ?? 0,
        type: held.record.spec.type,
        attachedTo: machine,
        device: machine && `/dev/disk/by-id/virtio-${serialOf(held.uuid)}`,
        children: [],
      };
    },

    diff(details, spec) {
      const diff: string[] = [];
      if (details.sizeGiB !== spec.sizeGiB) diff.push('sizeGiB');
      if (details.attachedTo !== spec.attachedTo) diff.push('attachedTo');
      return diff;
    },

    async users(held) {
      const machine = await attachedTo(held);
      return machine === undefined ? [] : [`the machine ${machine}`];
    },
  };
}
