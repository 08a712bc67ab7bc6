import type { Disk, VirtualMachine } from '@azure/arm-compute';
import type { KindAdapter } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { typeIsKept } from '../kinds.ts';
import { type Account, ifThere, reading } from './clients.ts';
import { machineRef, needMachine, needSource, placeOf } from './objects.ts';
import { type Adopted, kindAdapter } from './resource.ts';
import { stampTags, tagsToWrite } from './stamp.ts';

const skus = { standard: 'StandardSSD_LRS', ssd: 'Premium_LRS' } as const;

/**
 * A managed disk. It is attached by the machine's own operation for it, which names this disk alone: changes by others
 * are not written over, as they would be by updating the machine's list of disks.
 */
export function volumes(account: Account): KindAdapter<'Volume'> & Adopted<'Volume', Disk> {
  const { disks, virtualMachines } = account.compute;
  /** The machine that a disk is attached to. */
  const holderOf = async ({ managedBy }: Disk): Promise<VirtualMachine | undefined> => {
    const place = placeOf(managedBy);
    return place && ifThere(virtualMachines.get(place.group, place.name));
  };

  return kindAdapter<'Volume', Disk>(account, {
    kind: 'Volume',
    came: ({ diskSizeBytes }) => diskSizeBytes !== undefined,

    async check(want) {
      const { snapshot, sizeGiB } = want.spec;
      if (snapshot === undefined) return;
      const { group, name } = await needSource(account, want, 'snapshot', snapshot, '/snapshot');
      const source = await reading(account.compute.snapshots.get(group, name));
      if (sizeGiB < (source.diskSizeGB ?? 0))
        throw new ProviderError('Invalid', `the snapshot holds ${source.diskSizeGB} GiB, not ${sizeGiB}`, {
          field: '/sizeGiB',
        });
    },

    create: ({ spec, location }, { group, name }, tags, make) =>
      make(
        ['disk'],
        () =>
          disks.createOrUpdate(group, name, {
            location: location.region,
            zones: location.zone ? [location.zone] : undefined,
            tags,
            sku: { name: skus[spec.type] },
            creationData: spec.snapshot
              ? { createOption: 'Copy', sourceResourceId: spec.snapshot }
              : { createOption: 'Empty' },
            diskSizeGB: spec.sizeGiB,
          }),
        true,
      ),

    async step(disk, { spec, stamp, adopted }, { group, name }, run) {
      const id = disk.id ?? '';
      if (!adopted && disk.sku?.name !== skus[spec.type])
        throw typeIsKept(disk.sku?.name ?? '', skus[spec.type]);
      const tags = tagsToWrite(disk.tags, spec);
      if (tags) return run(() => disks.update(group, name, { tags }));
      const size = disk.diskSizeGB ?? 0;
      if (spec.sizeGiB < size)
        throw new ProviderError('Invalid', `a volume only grows: it has ${size} GiB`, { field: '/sizeGiB' });
      if (spec.sizeGiB > size) return run(() => disks.update(group, name, { diskSizeGB: spec.sizeGiB }));

      const holder = disk.managedBy && machineRef(account, disk.managedBy);
      if (holder === spec.attachedTo) return true;
      if (holder) {
        const place = placeOf(holder);
        const machine = await holderOf(disk);
        if (!place || machine?.tags?.[stampTags.broker] !== stamp.broker)
          throw new ProviderError('Conflict', `the disk is attached to ${holder}, which is not ours`, {
            providerCode: 'NotOurs',
          });
        const change = { dataDisksToDetach: [{ diskId: id }] };
        return run(() => virtualMachines.attachDetachDataDisks(place.group, place.name, change));
      }
      const { machine, place } = await needMachine(account, stamp.broker, spec.attachedTo ?? '');
      const taken = new Set(machine.storageProfile?.dataDisks?.map(({ lun }) => lun));
      let lun = 0;
      while (taken.has(lun)) lun += 1;
      const change = { dataDisksToAttach: [{ diskId: id, lun, deleteOption: 'Detach' }] };
      return run(() => virtualMachines.attachDetachDataDisks(place.group, place.name, change));
    },

    async details(disk) {
      const machine = await holderOf(disk);
      const attached = machine?.storageProfile?.dataDisks?.find(
        ({ managedDisk }) => managedDisk?.id?.toLowerCase() === disk.id?.toLowerCase(),
      );
      // Azure's udev rules name disks by their number on SCSI; on NVMe they have another scheme.
      const scsi = machine?.storageProfile?.diskControllerType !== 'NVMe';
      return {
        sizeGiB: disk.diskSizeGB ?? 0,
        type: disk.sku?.name ?? '',
        attachedTo: disk.managedBy && machineRef(account, disk.managedBy),
        device: attached && scsi ? `/dev/disk/azure/scsi1/lun${attached.lun}` : undefined,
        children: [],
      };
    },

    differences(details, spec) {
      const diff: string[] = [];
      if (details.sizeGiB !== spec.sizeGiB) diff.push('sizeGiB');
      if (details.attachedTo !== spec.attachedTo) diff.push('attachedTo');
      return diff;
    },
  });
}
