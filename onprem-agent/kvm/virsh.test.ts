import { isProviderError, type ProviderErrorCode } from '@landfall/adapters/errors.ts';
import { CommandFailed } from '../host/command.ts';
import { readStatistics } from './domain-statistics.ts';
import { libvirtError } from './libvirt-errors.ts';
import { libvirtOver, type VirshRunner } from './virsh.ts';
import { readLeases } from './virsh-networks.ts';

const domstats = `Domain: 'lf-web-1f42ce1b'
  state.state=1
  state.reason=1
  cpu.time=5971937000
  balloon.available=187000
  balloon.unused=156280
  balloon.rss=200000
  net.count=1
  net.0.rx.bytes=2938
  net.0.tx.bytes=3344
  block.count=2
  block.0.rd.bytes=1000
  block.0.wr.bytes=20
  block.1.rd.bytes=5

Domain: 'other'
  state.state=5
`;

test('domstats becomes counters by domain, summed over disks and NICs', () => {
  const all = readStatistics(domstats);
  expect(all.get('lf-web-1f42ce1b')).toEqual({
    name: 'lf-web-1f42ce1b',
    state: 'running',
    metrics: {
      cpuSeconds: 5.971937,
      memoryMiB: 30,
      diskReadBytes: 1005,
      diskWriteBytes: 20,
      netRxBytes: 2938,
      netTxBytes: 3344,
    },
  });
  expect(all.get('other')).toEqual({ name: 'other', state: 'off', metrics: {} });
});

test('leases are read by MAC, IPv4 only', () => {
  const text = ` 2026-11-20 17:18:11   52:54:00:a7:ef:50   ipv4       10.213.157.52/24   web-1      ff:00\n 2026-11-20 17:18:11   52:54:00:00:00:01   ipv6       fd00::5/64   web-2      -\n\n`;
  expect(readLeases(text)).toEqual([{ mac: '52:54:00:a7:ef:50', address: '10.213.157.52' }]);
});

function failing(stderr: string, timedOut = false): CommandFailed {
  return new CommandFailed('virsh', ['start', 'x'], { exitCode: timedOut ? undefined : 1, stderr, timedOut });
}

const cases: Array<[string, boolean, ProviderErrorCode]> = [
  [
    "error: failed to connect to the hypervisor\nerror: Failed to connect socket to '/x'",
    true,
    'Unavailable',
  ],
  ['error: Cannot recv data: Connection reset by peer', true, 'OutcomeUnknown'],
  ['error: Cannot recv data: Connection reset by peer', false, 'Unavailable'],
  ["error: cannot set up guest memory 'pc.ram': Cannot allocate memory", true, 'CapacityExhausted'],
  [
    'error: Requested operation is not valid: PCI device 0000:06:00.0 is in use by driver QEMU, domain x',
    true,
    'CapacityExhausted',
  ],
  [
    "error: Failed to bind PCI device '0000:06:00.0' to vfio-pci: Permission denied",
    true,
    'CapacityExhausted',
  ],
  ['error: Device 0000:06:00.0 not found: could not access it', true, 'CapacityExhausted'],
  ['error: internal error: qemu: vfio 0000:06:00.0: group 7 is not viable', true, 'CapacityExhausted'],
  ["error: failed to get domain 'x'", true, 'NotFound'],
  ['error: operation failed: domain x already exists with uuid y', true, 'Conflict'],
  ['error: XML error: nonsense', true, 'Invalid'],
  ['error: authentication unavailable: no polkit agent', false, 'Denied'],
  ['error: something never seen', true, 'Unavailable'],
];

test.each(cases)('%j (changing: %s) is %s', (stderr, changes, code) => {
  const error = libvirtError(failing(stderr), changes);
  expect(isProviderError(error, code)).toBe(true);
  expect((error as Error).cause).toBeInstanceOf(CommandFailed);
});

test('a change that ran out of time has an unknown outcome, a look has none', () => {
  expect(isProviderError(libvirtError(failing('', true), true), 'OutcomeUnknown')).toBe(true);
  expect(isProviderError(libvirtError(failing('', true), false), 'Unavailable')).toBe(true);
});

test('nothing but a UUID reaches a command line', async () => {
  const calls: string[][] = [];
  const virsh: VirshRunner = async (args) => {
    calls.push([...args]);
    return '';
  };
  expect(await libvirtOver(virsh).find('x; destroy y')).toBeUndefined();
  expect(calls).toEqual([]);
});

test('all are read as they run, or as they start next', async () => {
  const uuid = '00000000-0000-4000-8000-000000000001';
  const virsh: VirshRunner = async ([verb = '']) => {
    if (verb === 'list') return `${uuid}\n`;
    const name = verb === `dumpxml ${uuid} --inactive` ? 'next' : 'now';
    return `<domain><name>${name}</name><uuid>${uuid}</uuid></domain>`;
  };
  const libvirt = libvirtOver(virsh);
  expect((await libvirt.all()).map(({ name }) => name)).toEqual(['now']);
  expect((await libvirt.allInactive()).map(({ name }) => name)).toEqual(['next']);
});

test('a domain that vanishes while all are read is left out, the others stay', async () => {
  const gone = '00000000-0000-4000-8000-000000000001';
  const there = '00000000-0000-4000-8000-000000000002';
  const virsh: VirshRunner = async ([verb = '', uuid]) => {
    if (verb === 'list') return `${gone}\n${there}\n`;
    if (verb === 'dumpxml' && uuid === there) return `<domain><name>n</name><uuid>${there}</uuid></domain>`;
    throw failing(`error: failed to get domain '${gone}'`);
  };
  expect((await libvirtOver(virsh).all()).map((domain) => domain.uuid)).toEqual([there]);
});
