import {
  type MachineRecord,
  namespacesIn,
  readAdopters,
  readRecord,
  renderRecord,
} from './machine-record.ts';
import { child, element, type Markup, parseXml, type XmlElement } from './xml.ts';

/** A domain as we define it. Paths are as libvirt sees them and always inside our own storage folder. */
export interface DomainSpec {
  uuid: string;
  name: string;
  accel: 'kvm' | 'tcg';
  vcpus: number;
  memoryMiB: number;
  record: MachineRecord;
  rootDisk: string;
  seed: string;
  consoleLog: string;
  /** Name of its libvirt network. */
  network: string;
  /** In a Network of ours: what it sends to its neighbours goes by the host, whose packet filter stands between them. */
  isolated: boolean;
  mac: string;
  /** Volumes that are attached to it. */
  volumes: AttachedDisk[];
  /** PCI addresses of what the host hands over to it, `0000:06:00.0`. */
  hostDevices: string[];
  boot?: { kernel: string; initrd: string; commandLine: string };
}

/** A volume on a machine. */
export interface AttachedDisk {
  /** Path as libvirt sees it. */
  file: string;
  /** `vdc`, …: libvirt's name for the place. The guest's own name may be another: it goes by the serial. */
  target: string;
  /** At most 20 characters: what the guest sees as `/dev/disk/by-id/virtio-<serial>`. */
  serial: string;
}

/** Ports for hot-plugged disks and NICs; q35 takes those only behind a root port, as it takes what the host hands over. */
const rootPorts = 8;

/** On the root bus itself: a port for each device of the boot costs a guest under emulation tens of milliseconds apiece. */
function rootBus(slot: number): Markup {
  return element('address', {
    type: 'pci',
    domain: '0x0000',
    bus: '0x00',
    slot: `0x0${slot}`,
    function: '0x0',
  });
}

/** QEMU's cache of translated code under emulation. Its default takes a gigabyte of a small guest's host. */
function translationCacheMiB(memoryMiB: number): number {
  return Math.min(512, Math.max(32, Math.round(memoryMiB / 4)));
}

/** The whole domain definition. Throws TypeError for text that XML cannot hold. */
export function domainXml(spec: DomainSpec): string {
  const emulated = spec.accel === 'tcg';
  const features: Markup[] = [element('acpi'), element('apic')];
  if (emulated) {
    features.push(
      element('tcg', {}, [element('tb-cache', { unit: 'MiB' }, translationCacheMiB(spec.memoryMiB))]),
    );
  }
  return element('domain', { type: emulated ? 'qemu' : 'kvm' }, [
    element('name', {}, spec.name),
    element('uuid', {}, spec.uuid),
    element('metadata', {}, [renderRecord(spec.record)]),
    element('memory', { unit: 'MiB' }, spec.memoryMiB),
    element('vcpu', {}, spec.vcpus),
    element('os', {}, [element('type', { arch: 'x86_64', machine: 'q35' }, 'hvm'), ...bootElements(spec)]),
    element('features', {}, features),
    element('cpu', { mode: emulated ? 'maximum' : 'host-passthrough' }),
    element('on_poweroff', {}, 'destroy'),
    element('on_reboot', {}, 'restart'),
    element('on_crash', {}, 'destroy'),
    element('devices', {}, devices(spec)),
  ]).text;
}

function bootElements({ boot }: DomainSpec): Markup[] {
  if (!boot) return [element('boot', { dev: 'hd' })];
  return [
    element('kernel', {}, boot.kernel),
    element('initrd', {}, boot.initrd),
    element('cmdline', {}, boot.commandLine),
  ];
}

function devices(spec: DomainSpec): Markup[] {
  return [
    element('controller', { type: 'pci', model: 'pcie-root' }),
    ...Array.from({ length: rootPorts + spec.hostDevices.length }, () =>
      element('controller', { type: 'pci', model: 'pcie-root-port' }),
    ),
    element('controller', { type: 'usb', model: 'none' }),
    element('controller', { type: 'virtio-serial' }, [rootBus(6)]),
    element('disk', { type: 'file', device: 'disk' }, [
      element('driver', { name: 'qemu', type: 'qcow2', discard: 'unmap' }),
      element('source', { file: spec.rootDisk }),
      element('target', { dev: 'vda', bus: 'virtio' }),
      element('serial', {}, 'root'),
      rootBus(3),
    ]),
    element('disk', { type: 'file', device: 'disk' }, [
      element('driver', { name: 'qemu', type: 'raw' }),
      element('source', { file: spec.seed }),
      element('target', { dev: 'vdb', bus: 'virtio' }),
      element('readonly'),
      element('serial', {}, 'seed'),
      rootBus(4),
    ]),
    element('interface', { type: 'network' }, [
      element('mac', { address: spec.mac }),
      element('source', { network: spec.network }),
      element('model', { type: 'virtio' }),
      ...(spec.isolated ? [element('port', { isolated: 'yes' })] : []),
      rootBus(5),
    ]),
    ...spec.volumes.map(diskElement),
    ...spec.hostDevices.map(hostDeviceElement),
    element('serial', { type: 'pty' }, [element('log', { file: spec.consoleLog, append: 'on' })]),
    element('console', { type: 'pty' }),
    element('channel', { type: 'unix' }, [
      element('target', { type: 'virtio', name: 'org.qemu.guest_agent.0' }),
    ]),
    element('rng', { model: 'virtio' }, [
      element('backend', { model: 'random' }, '/dev/urandom'),
      rootBus(7),
    ]),
    element('memballoon', { model: 'virtio' }, [element('stats', { period: 5 }), rootBus(8)]),
  ];
}

/** The device of a volume, in a definition and for `attach-device`. */
export function diskElement({ file, target, serial }: AttachedDisk): Markup {
  return element('disk', { type: 'file', device: 'disk' }, [
    element('driver', { name: 'qemu', type: 'qcow2', discard: 'unmap' }),
    element('source', { file }),
    element('target', { dev: target, bus: 'virtio' }),
    element('serial', {}, serial),
  ]);
}

/** `managed`: libvirt takes the device from its driver when the machine starts, and gives it back afterwards. */
function hostDeviceElement(address: string): Markup {
  const [, domain, bus, slot, number] = address.match(pciForm) ?? [];
  if (domain === undefined) throw new TypeError(`not a PCI address: ${address}`);
  const at = { domain: `0x${domain}`, bus: `0x${bus}`, slot: `0x${slot}`, function: `0x${number}` };
  return element('hostdev', { mode: 'subsystem', type: 'pci', managed: 'yes' }, [
    element('driver', { name: 'vfio' }),
    element('source', {}, [element('address', at)]),
  ]);
}

const pciForm = /^([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/;

/** A domain as libvirt tells of it. */
export interface Domain {
  uuid: string;
  name: string;
  /** Libvirt's number of this boot; absent when not running. */
  id?: string;
  vcpus: number;
  memoryMiB: number;
  mac?: string;
  disks: AttachedDisk[];
  /** PCI addresses of what the host hands over to it, `0000:06:00.0`. */
  hostDevices: string[];
  /** Names of the libvirt networks it has an interface in. */
  networks: string[];
  /** Of the guest, in libvirt's word. */
  architecture?: string;
  /** Absent: not ours. */
  record?: MachineRecord;
  /** Name spaces in its metadata: of the tools that keep something there. */
  tools: string[];
  /** Adopters that show themselves, and since when. */
  adopters: Record<string, string>;
}

const unitsInKiB: Record<string, number> = { KiB: 1, MiB: 1024, GiB: 1024 * 1024 };

/** Reads `virsh dumpxml`, of one domain or several. Throws SyntaxError for what is not a domain. */
export function readDomains(text: string): Domain[] {
  return parseXml(text).map((domain) => {
    const uuid = child(domain, 'uuid')?.text;
    const memory = child(domain, 'memory');
    const metadata = child(domain, 'metadata');
    const devices = child(domain, 'devices')?.children ?? [];
    if (domain.name !== 'domain' || uuid === undefined)
      throw new SyntaxError(`not a domain definition: <${domain.name}>`);
    return {
      uuid,
      name: child(domain, 'name')?.text ?? '',
      id: domain.attributes.id,
      vcpus: Number(child(domain, 'vcpu')?.text ?? 0),
      memoryMiB: (Number(memory?.text ?? 0) * (unitsInKiB[memory?.attributes.unit ?? 'KiB'] ?? 1)) / 1024,
      mac: child(domain, 'devices', 'interface', 'mac')?.attributes.address,
      disks: devices.filter(({ name }) => name === 'disk').map(readDisk),
      hostDevices: devices
        .filter(({ name, attributes }) => name === 'hostdev' && attributes.type === 'pci')
        .map(readHostDevice),
      networks: devices
        .filter(({ name }) => name === 'interface')
        .flatMap((nic) => child(nic, 'source')?.attributes.network ?? []),
      architecture: child(domain, 'os', 'type')?.attributes.arch,
      record: readRecord(metadata),
      tools: namespacesIn(metadata).map(([namespace]) => namespace),
      adopters: readAdopters(metadata),
    };
  });
}

function readDisk(disk: XmlElement): AttachedDisk {
  return {
    file: child(disk, 'source')?.attributes.file ?? '',
    target: child(disk, 'target')?.attributes.dev ?? '',
    serial: child(disk, 'serial')?.text ?? '',
  };
}

function readHostDevice(device: XmlElement): string {
  const {
    domain = '0',
    bus = '0',
    slot = '0',
    function: number = '0',
  } = child(device, 'source', 'address')?.attributes ?? {};
  const hex = (text: string, digits: number) => Number(text).toString(16).padStart(digits, '0');
  return `${hex(domain, 4)}:${hex(bus, 2)}:${hex(slot, 2)}.${hex(number, 1)}`;
}
