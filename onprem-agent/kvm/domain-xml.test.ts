import { type DomainSpec, domainXml, readDomains } from './domain-xml.ts';
import type { MachineRecord } from './machine-record.ts';
import { child, parseXml, type XmlElement } from './xml.ts';

const record: MachineRecord = {
  stamp: { broker: 'b<1>', project: 'p&q', resource: 'r"1"', attempt: 3 },
  name: "it's",
  createdAt: '2026-11-20T16:00:00.000Z',
  user: 'root',
  image: 'tiny-1-abc',
  instanceType: 'custom',
  diskGiB: 4,
  reboots: 2,
  rebooting: { number: 3, domainId: '7' },
  readyOn: '7',
  network: { ref: '0b6f3c6e-6a43-4c8e-9d5e-2a1f0c9b7d10', subnet: 'n/a' },
  firewalls: ['f1', 'f2'],
  labels: { 'a&b': '<c>', plain: 'x' },
};

const spec: DomainSpec = {
  uuid: '1f42ce1b-b522-5da1-8718-6ff008a7ef50',
  name: 'lf-web-1f42ce1b',
  accel: 'tcg',
  vcpus: 2,
  memoryMiB: 192,
  record,
  rootDisk: '/m/root.qcow2',
  seed: '/m/seed.iso',
  consoleLog: '/m/console.log',
  network: 'landfall',
  isolated: false,
  mac: '52:54:00:a7:ef:50',
  volumes: [{ file: '/v/root.qcow2', target: 'vdc', serial: 'abc' }],
  hostDevices: ['0000:06:00.0', '0000:06:00.1', '0001:af:1f.7'],
};

function parsed(change: Partial<DomainSpec> = {}): XmlElement {
  return parseXml(domainXml({ ...spec, ...change }))[0] as XmlElement;
}

test('what a definition says is read back, the record with every character', () => {
  const [domain] = readDomains(domainXml(spec));
  expect(domain).toEqual({
    uuid: spec.uuid,
    name: spec.name,
    id: undefined,
    architecture: 'x86_64',
    tools: ['urn:landfall:machine:1'],
    adopters: {},
    vcpus: 2,
    memoryMiB: 192,
    mac: spec.mac,
    disks: [
      { file: spec.rootDisk, target: 'vda', serial: 'root' },
      { file: spec.seed, target: 'vdb', serial: 'seed' },
      ...spec.volumes,
    ],
    hostDevices: spec.hostDevices,
    networks: ['landfall'],
    record,
  });
});

test('emulation limits the translation cache, KVM passes the host processor through', () => {
  expect(child(parsed(), 'features', 'tcg', 'tb-cache')?.text).toBe('48');
  expect(parsed().attributes.type).toBe('qemu');
  const kvm = parsed({ accel: 'kvm' });
  expect(kvm.attributes.type).toBe('kvm');
  expect(child(kvm, 'features', 'tcg')).toBeUndefined();
  expect(child(kvm, 'cpu')?.attributes.mode).toBe('host-passthrough');
});

test('a direct boot names kernel, ramdisk and command line; else the disk boots', () => {
  const boot = { kernel: '/i/vmlinuz', initrd: '/i/initrd', commandLine: 'root=/dev/vda quiet' };
  expect(child(parsed({ boot }), 'os', 'kernel')?.text).toBe('/i/vmlinuz');
  expect(child(parsed(), 'os', 'boot')?.attributes.dev).toBe('hd');
});

test('what the host hands over has ports of its own beside those for hot-plug', () => {
  const ports = (change: Partial<DomainSpec>) =>
    child(parsed(change), 'devices')?.children.filter(
      ({ attributes }) => attributes.model === 'pcie-root-port',
    ).length;
  expect(ports({})).toBe((ports({ hostDevices: [] }) ?? 0) + 3);
});

test('what is no PCI address is not rendered', () => {
  expect(() => domainXml({ ...spec, hostDevices: ['0000:06:00.0; x'] })).toThrow('not a PCI address');
});

test('a domain without our record is read as not ours', () => {
  const [domain] = readDomains(
    "<domain type='kvm' id='4'><name>x</name><uuid>u</uuid><memory unit='KiB'>1048576</memory><vcpu current='1'>2</vcpu></domain>",
  );
  expect(domain).toMatchObject({ id: '4', memoryMiB: 1024, vcpus: 2 });
  expect(domain?.record).toBeUndefined();
});

test('what is not a domain is refused', () => {
  expect(() => readDomains('<network/>')).toThrow(SyntaxError);
});
