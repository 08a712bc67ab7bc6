import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { modelNames } from './gpu-models.ts';

/** A GPU that can be handed over to a guest. Those of a host are of one model. */
export interface Gpu {
  /** PCI address, `0000:06:00.0`. */
  address: string;
  model: string;
  /** PCI addresses of what is handed over together, its own first: its whole IOMMU group but for bridges. */
  functions: string[];
}

/** A display adapter that is not for guests. */
export interface RefusedGpu {
  address: string;
  model: string;
  /** For a person. */
  reason: string;
}

/** Class and subclass of VGA-compatible, 3D and other display controllers. */
const displayClasses = ['0300', '0302', '0380'];
const bridgeClass = '06';
/** NVIDIA, AMD, Intel. What others make is for the consoles of servers and virtual machines. */
const gpuVendors = ['10de', '1002', '8086'];
/** The driver by which a device is handed over. */
const vfio = 'vfio-pci';

/** A PCI device as sysfs tells of it. */
interface Device {
  address: string;
  /** Four hexadecimal digits: class and subclass. */
  class: string;
  vendor: string;
  device: string;
  /** Absent: none has it. */
  driver?: string;
  /** It has no driver, or one that lets it go. */
  canBeUnbound: boolean;
  /** The firmware shows the host's console on it. */
  hasConsole: boolean;
  isVirtualFunction: boolean;
  virtualFunctions: number;
}

/**
 * The display adapters of this host: those that are for guests, in the order of their addresses, and the others with the reason.
 * Placement knows one model of a host, so that of several it is the one that there are most of. `root`: under which sysfs, /dev
 * and the register of PCI ids are.
 */
export async function findGpus(root = '/'): Promise<{ gpus: Gpu[]; refused: RefusedGpu[] }> {
  const bus = join(root, 'sys/bus/pci/devices');
  const nameOf = await modelNames(root);
  // Without it VFIO is not there, or not for us: a container sees the host's sysfs, and not its devices.
  const hasVfio = (await names(join(root, 'dev/vfio'))).includes('vfio');
  const gpus: Gpu[] = [];
  const refused: RefusedGpu[] = [];
  for (const address of (await names(bus)).sort()) {
    const device = await readDevice(bus, address);
    if (!displayClasses.includes(device.class)) continue;
    const model = nameOf(device.vendor, device.device);
    const group = await Promise.all(
      (await names(join(bus, address, 'iommu_group/devices'))).sort().map((one) => readDevice(bus, one)),
    );
    const others = group.filter((one) => one.address !== address && !one.class.startsWith(bridgeClass));
    const reason = hasVfio
      ? whyNot(device, group.length > 0, others)
      : '/dev/vfio/vfio is not there: load the module vfio-pci, and run the agent where it sees the devices of the host';
    if (reason === undefined)
      gpus.push({ address, model, functions: [address, ...others.map((one) => one.address)] });
    else refused.push({ address, model, reason });
  }
  const [offered] = mostFirst(gpus);
  const isOffered = ({ model }: Gpu) => model === offered;
  for (const { address, model } of gpus.filter((gpu) => !isOffered(gpu)))
    refused.push({ address, model, reason: `a host offers one model, which is ${offered} here` });
  return { gpus: gpus.filter(isOffered), refused };
}

/** The models, first the one that there are most of; of equally many the first by name. */
function mostFirst(gpus: readonly Gpu[]): string[] {
  const byModel = [...Map.groupBy(gpus, ({ model }) => model)];
  return byModel.sort(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1)).map(([model]) => model);
}

/** Why a display adapter cannot be handed over with the others of its IOMMU group; undefined: it can. */
function whyNot(device: Device, hasGroup: boolean, others: readonly Device[]): string | undefined {
  if (!gpuVendors.includes(device.vendor))
    return `its vendor ${device.vendor} is none of NVIDIA, AMD and Intel: a display adapter, and no GPU`;
  if (device.isVirtualFunction) return 'it is a virtual function of another device';
  if (device.virtualFunctions > 0) return `it has ${device.virtualFunctions} virtual functions`;
  if (!hasGroup)
    return 'it is in no IOMMU group: switch the IOMMU on, in the firmware and by the kernel (intel_iommu=on, amd_iommu=on)';
  const slot = slotOf(device);
  const stranger = others.find((one) => slotOf(one) !== slot || displayClasses.includes(one.class));
  if (stranger)
    return `${stranger.address}${stranger.driver ? ` (${stranger.driver})` : ''} is in its IOMMU group and is no part of it`;
  if (device.hasConsole && device.driver !== vfio)
    return `the console of the host is on it: bind it to ${vfio} at boot`;
  const kept = [device, ...others].find((one) => !one.canBeUnbound);
  if (kept) return `the driver ${kept.driver} does not let ${kept.address} go: bind it to ${vfio} at boot`;
  return undefined;
}

/** Address without its function: what is one device. */
function slotOf({ address }: Device): string {
  return address.slice(0, address.lastIndexOf('.'));
}

async function readDevice(bus: string, address: string): Promise<Device> {
  const folder = join(bus, address);
  const hex = async (file: string) => (await text(join(folder, file))).replace(/^0x/, '');
  const driver = await linkedName(join(folder, 'driver'));
  return {
    address,
    class: (await hex('class')).slice(0, 4),
    vendor: await hex('vendor'),
    device: await hex('device'),
    driver,
    canBeUnbound: driver === undefined || (await names(join(folder, 'driver'))).includes('unbind'),
    hasConsole: (await text(join(folder, 'boot_vga'))) === '1',
    isVirtualFunction: (await linkedName(join(folder, 'physfn'))) !== undefined,
    virtualFunctions: Number(await text(join(folder, 'sriov_numvfs'))),
  };
}

/** Trimmed; empty where there is no such file. */
async function text(path: string): Promise<string> {
  return (await orIfMissing(readFile(path, 'utf8'), '')).trim();
}

/** In no order; empty where there is no such folder. */
async function names(folder: string): Promise<string[]> {
  return orIfMissing(readdir(folder), []);
}

async function linkedName(path: string): Promise<string | undefined> {
  const to = await orIfMissing(readlink(path), undefined);
  return to === undefined ? undefined : basename(to);
}

async function orIfMissing<T>(reading: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return otherwise;
    throw error;
  }
}
