/**
 * Debian packages an on-prem host needs; installed by the bootstrap with `apt-get install --no-install-recommends`.
 * No imports: an older Node reads this file before anything else is there.
 *
 * @type {string[]}
 */
export const requiredPackages = [
  // Running guests.
  'qemu-system-x86',
  'qemu-utils',
  'libvirt-daemon-system',
  'libvirt-daemon-driver-qemu',
  'libvirt-clients',
  'dnsmasq-base',
  'iptables',
  'nftables',
  'iproute2',
  'genisoimage',
  // Reaching them: `landfall ssh`.
  'openssh-client',
  // Building images.
  'mmdebstrap',
  'grub-common',
  'grub-pc-bin',
  'grub-efi-amd64-bin',
  'dosfstools',
  'mtools',
  'fdisk',
  'e2fsprogs',
];
