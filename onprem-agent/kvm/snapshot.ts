import { join } from 'node:path';
import { copyDisk, diskBytes, requireSpace, userOf } from './disk-copy.ts';
import { exclusively } from './exclusive.ts';
import { bytesHeld, heldDisk, heldFolders } from './held.ts';
import { checkRef, type HeldPlan, holding, requireHeld } from './held-kind.ts';
import { exists } from './machine-files.ts';
import type { Setting } from './setting.ts';
import { volumeFile } from './volume.ts';

/** Snapshots as whole copies: each a file that needs neither its volume nor any other file. */
export function snapshotPlan(setting: Setting): HeldPlan<'Snapshot'> {
  const { libvirt, storage } = setting;
  const file = (uuid: string) => join(heldFolders.Snapshot, uuid, heldDisk);

  return {
    kind: 'Snapshot',

    check: ({ volume }) => checkRef(volume, '/volume'),

    async admit({ spec, stamp }) {
      await requireHeld(setting, 'Volume', spec.volume, stamp.broker, '/volume');
      const bytes = await bytesHeld(join(storage.here, volumeFile(spec.volume)));
      await requireSpace(setting, bytes / 2 ** 30);
    },

    async make(held, signal) {
      const { spec, stamp } = held.record;
      const path = join(storage.here, file(held.uuid));
      if (!(await exists(path))) {
        // The volume stays where it is, and what it is, meanwhile.
        await exclusively(holding(spec.volume), async () => {
          await requireHeld(setting, 'Volume', spec.volume, stamp.broker, '/volume');
          const source = volumeFile(spec.volume);
          const user = userOf(await libvirt.all(), join(storage.there, source));
          await copyDisk(setting, { file: source, user }, file(held.uuid), signal);
        });
      }
      const sizeGiB = Math.ceil((await diskBytes(setting, path)) / 2 ** 30);
      return { ...held, record: { ...held.record, sizeGiB } };
    },

    async details({ record }) {
      return { sizeGiB: record.sizeGiB ?? 0, children: [] };
    },

    diff: () => [],

    users: async () => [],
  };
}
