import { randomUUID } from 'node:crypto';
import { images, sizes, zones } from './catalogue.ts';
import { ArmError, type Body, type Content, type Estate, same, type Thing, typeOf } from './thing.ts';

/** What the simulated Compute asks of what is made and changed, what it adds to it, and what it refuses. */

export function checkCompute(estate: Estate, id: string, body: Content, existing: Thing | undefined): void {
  const type = typeOf(id);
  if (type === 'virtualmachines') checkMachine(estate, id, body);
  if (type === 'disks') checkDisk(estate, body, existing);
  if (type === 'snapshots') {
    const { creationData } = body.properties;
    const source = sourceOf(estate, creationData.sourceResourceId, 'disks');
    body.properties.diskSizeGB ??= source.properties.diskSizeGB;
    sized(estate, body.properties);
  }
  if (type === 'images') {
    const { osDisk } = body.properties.storageProfile ?? {};
    if (osDisk.blobUri) {
      if (!existing) checkBlob(estate, osDisk.blobUri, body);
      osDisk.diskSizeGB ??= blobGB;
    }
    osDisk.diskSizeGB ??= sourceOf(estate, osDisk.snapshot?.id, 'snapshots').properties.diskSizeGB;
  }
}

/** What every blob holds. */
const blobGB = 8;

function checkBlob(estate: Estate, uri: string, { properties }: Content): void {
  const invalid = (message: string, target: string) => new ArmError(400, 'InvalidParameter', message, target);
  if (uri.includes('?'))
    throw new ArmError(
      400,
      'BadRequest',
      'Images cannot be created from Shared Access Signature (SAS) URI blobs.',
    );
  if (!uri.endsWith('.vhd'))
    throw invalid(`Blob name in URL ${uri} must end with ".vhd" extension.`, 'disk.blobUri');
  if (!properties.hyperVGeneration)
    throw invalid("Required parameter 'hyperVGeneration' is missing (null).", 'hyperVGeneration');
  if (estate.isUnreadable()) throw invalid(`The source blob ${uri} is not accessible.`, 'disks');
}

/** What a disk, snapshot or image is a copy of. */
function sourceOf(estate: Estate, id: string | undefined, type: string): Body {
  const source = estate.find(id);
  if (!source || typeOf(source.body.id) !== type)
    throw new ArmError(404, 'ResourceNotFound', `The Resource '${id}' was not found.`);
  return source.body;
}

function checkMachine(estate: Estate, id: string, { properties, zones: wanted }: Content): void {
  const sold = sizes.find(({ name }) => name === properties.hardwareProfile?.vmSize);
  if (!sold) throw noSuchSize(properties.hardwareProfile?.vmSize);
  if (wanted?.some((zone) => !zones.includes(zone)))
    throw new ArmError(
      400,
      'InvalidAvailabilityZone',
      `The zone(s) '${wanted}' for resource is not supported.`,
    );
  const architecture = architectureOf(estate, properties.storageProfile?.imageReference);
  if (architecture !== sold.architecture)
    throw new ArmError(
      400,
      'BadRequest',
      `The VM size '${sold.name}' cannot boot with OS image of architecture ${architecture}.`,
    );
  for (const { id: ref } of properties.networkProfile?.networkInterfaces ?? []) {
    const user = estate.need(ref, id).body.properties.virtualMachine?.id;
    if (user && !same(user, id))
      throw new ArmError(
        400,
        'NetworkInterfaceInUse',
        `Network interface ${ref} is used by existing resource ${user}.`,
      );
  }
}

function noSuchSize(size: string): ArmError {
  const names = sizes.map(({ name }) => name).join(',');
  const message = `The value ${size} provided for the VM size is not valid. The valid sizes in the current region are: ${names}. Find out more on the available VM sizes in each region at https://aka.ms/azure-regions.`;
  return new ArmError(400, 'InvalidParameter', message, 'vmSize');
}

/** Managed images are for x64 only. */
function architectureOf(estate: Estate, wanted: Content['properties'] | undefined): string {
  if (wanted?.id) {
    if (estate.find(wanted.id)) return 'x64';
    throw new ArmError(404, 'ImageNotFound', `The image '${wanted.id}' is not available.`, 'imageReference');
  }
  const image = images.find(
    ({ publisher, offer, sku }) =>
      publisher === wanted?.publisher && offer === wanted.offer && sku === wanted.sku,
  );
  if (image) return image.architecture;
  throw new ArmError(404, 'PlatformImageNotFound', 'The platform image is not available.', 'imageReference');
}

function checkDisk(estate: Estate, { properties }: Content, existing: Thing | undefined): void {
  const { creationData } = properties;
  if (existing) {
    if (JSON.stringify(creationData) !== JSON.stringify(existing.body.properties.creationData))
      throw new ArmError(
        409,
        'PropertyChangeNotAllowed',
        "Changing property 'creationData' is not allowed.",
        'creationData',
      );
    checkGrowth(estate, existing.body, properties.diskSizeGB);
  }
  const source =
    creationData.createOption === 'Copy'
      ? sourceOf(estate, creationData.sourceResourceId, 'snapshots').properties.diskSizeGB
      : undefined;
  properties.diskSizeGB ??= source;
  if (!(properties.diskSizeGB >= (source ?? 1)))
    throw new ArmError(
      400,
      'InvalidParameter',
      `The specified disk size ${properties.diskSizeGB} GB is invalid.`,
      'diskSizeGB',
    );
  sized(estate, properties);
  properties.diskState ??= existing?.body.properties.diskState ?? 'Unattached';
}

function sized(estate: Estate, properties: Content['properties']): void {
  properties.diskSizeBytes = properties.diskSizeGB * 2 ** 30;
  properties.timeCreated ??= estate.now();
  properties.uniqueId ??= randomUUID();
}

/** Disks only grow, and past 4 TiB not while a running machine has them. */
function checkGrowth(estate: Estate, disk: Body, sizeGB: number | undefined): void {
  const before = disk.properties.diskSizeGB;
  if (sizeGB === undefined || sizeGB === before) return;
  if (sizeGB < before)
    throw new ArmError(
      409,
      'ResizeDiskError',
      `Disk size reduction is not supported. Current size is ${before * 2 ** 30} bytes, requested size is ${sizeGB * 2 ** 30} bytes.`,
      'disk.diskSizeGB',
    );
  const holder = disk.managedBy && estate.find(disk.managedBy);
  if (holder && holder.power !== 'deallocated' && before <= 4095 && sizeGB > 4095)
    throw new ArmError(
      409,
      'OperationNotAllowed',
      `Cannot resize disk ${disk.name} while it is attached to running VM ${holder.body.id}.`,
    );
}

/** Before properties are changed. */
export function checkPatch(estate: Estate, { body }: Thing, change: Partial<Body>): void {
  const size = change.properties?.hardwareProfile?.vmSize;
  if (size && !sizes.some(({ name }) => name === size)) throw noSuchSize(size);
  if (typeOf(body.id) !== 'disks') return;
  checkGrowth(estate, body, change.properties?.diskSizeGB);
  if (change.properties?.diskSizeGB) change.properties.diskSizeBytes = change.properties.diskSizeGB * 2 ** 30;
}

interface DiskChanges {
  dataDisksToAttach?: { diskId: string; lun?: number; deleteOption?: string }[];
  dataDisksToDetach?: { diskId: string }[];
}

/** Takes the changes of a machine's disks. @returns what the operation does when its time is over. */
export function changeDisks(estate: Estate, { body }: Thing, changes: DiskChanges): () => void {
  const { attach, detach } = {
    attach: changes.dataDisksToAttach ?? [],
    detach: changes.dataDisksToDetach ?? [],
  };
  const { storageProfile, hardwareProfile, provisioningState } = body.properties;
  if (provisioningState !== 'Succeeded')
    throw new ArmError(
      409,
      'AnotherOperationInProgress',
      `Another operation on ${body.name} is in progress.`,
    );
  storageProfile.dataDisks ??= [];
  const most = 2 * (sizes.find(({ name }) => name === hardwareProfile.vmSize)?.vcpus ?? 1);
  if (storageProfile.dataDisks.length - detach.length + attach.length > most)
    throw new ArmError(
      409,
      'OperationNotAllowed',
      `The maximum number of data disks allowed to be attached to a VM of this size is ${most}.`,
      'dataDisks',
    );
  const joining = attach.map(({ diskId, lun, deleteOption = 'Detach' }) => {
    const disk = estate.need(diskId, body.id).body;
    if (disk.managedBy)
      throw new ArmError(
        409,
        'ConflictingUserInput',
        `Disk '${diskId}' cannot be attached as the disk is already owned by VM '${disk.managedBy}'.`,
      );
    if (disk.zones?.[0] !== body.zones?.[0])
      throw new ArmError(
        400,
        'BadRequest',
        `Disk ${diskId} cannot be attached to the VM because it is not in zone '${body.zones?.[0]}'.`,
      );
    if (storageProfile.dataDisks.some((one: { lun: number }) => one.lun === lun))
      throw new ArmError(400, 'InvalidParameter', `A disk at LUN ${lun} already exists.`, 'dataDisk.lun');
    const managedDisk = { id: disk.id, storageAccountType: disk.sku?.name };
    return { disk, entry: { lun, name: disk.name, createOption: 'Attach', deleteOption, managedDisk } };
  });
  const leaving = detach.map(({ diskId }) => {
    if (!same(estate.find(diskId)?.body.managedBy, body.id))
      throw new ArmError(400, 'InvalidParameter', `Disk ${diskId} is not attached.`, 'dataDisksToDetach');
    return diskId;
  });
  return () => {
    for (const { disk, entry } of joining) {
      storageProfile.dataDisks.push(entry);
      disk.managedBy = body.id;
      disk.properties.diskState = 'Attached';
    }
    for (const id of leaving) release(estate, id);
    storageProfile.dataDisks = storageProfile.dataDisks.filter(
      (one: { managedDisk: { id: string } }) => !leaving.some((id) => same(id, one.managedDisk.id)),
    );
  };
}

/** The disk is nobody's from now on. */
export function release(estate: Estate, diskId: string): void {
  const disk = estate.find(diskId)?.body;
  if (!disk) return;
  delete disk.managedBy;
  disk.properties.diskState = 'Unattached';
}

/** @throws ArmError while a machine has the disk. */
export function refuseAttached({ body }: Thing): void {
  if (typeOf(body.id) === 'disks' && body.managedBy)
    throw new ArmError(409, 'OperationNotAllowed', `Disk ${body.name} is attached to VM ${body.managedBy}.`);
}

/** The run-time view of a machine. */
export function instanceView({ body, power, failure }: Thing): object {
  const state = String(body.properties.provisioningState).toLowerCase();
  const statuses: object[] = [
    failure
      ? {
          code: `ProvisioningState/failed/${failure.code}`,
          level: 'Error',
          displayStatus: 'Provisioning failed',
          message: failure.message,
        }
      : { code: `ProvisioningState/${state}`, level: 'Info', displayStatus: state },
  ];
  if (power) statuses.push({ code: `PowerState/${power}`, level: 'Info', displayStatus: `VM ${power}` });
  return { statuses };
}
