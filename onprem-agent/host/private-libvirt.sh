#!/bin/sh
# Starts virtlogd and libvirtd in this (already private) mount and network namespace, with their folders bound from the
# data folder. Arguments: the folder with etc/ lib/ log/ cache/, and the folder for sockets and pid files.
set -eu
data=$1
run=$2

mkdir -p /etc/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /run/libvirt

# The bridge driver reads /sys/class/net, and a sysfs shows the network namespace it was mounted in: mount it anew.
# That hides the cgroup mounts below it, so these are kept aside and bound again.
mkdir -p "$data/cgroup"
mount --rbind /sys/fs/cgroup "$data/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$data/cgroup" /sys/fs/cgroup
umount -l "$data/cgroup"

mount --bind "$data/etc" /etc/libvirt
mount --bind "$data/lib" /var/lib/libvirt
mount --bind "$data/log" /var/log/libvirt
mount --bind "$data/cache" /var/cache/libvirt
mount --bind "$run" /run/libvirt

# Without udev /dev/kvm is 0600 and libvirt then probes QEMU again at every start of a guest (+4 s): give it a node that
# its QEMU user can open. On a tmpfs, because the data folder may be mounted nodev.
if [ -e /dev/kvm ]; then
  mkdir -p "$data/node"
  mount -t tmpfs -o mode=755,size=16k landfall-node "$data/node"
  mknod -m 666 "$data/node/kvm" c 10 232
  mount --bind "$data/node/kvm" /dev/kvm
fi

echo 1 > /proc/sys/net/ipv4/ip_forward

# Both leave no descriptor of ours open, or the agent would wait for them to end.
exec </dev/null >>/var/log/libvirt/start.log 2>&1 3>&- 4>&- 5>&-
if ! { [ -s /run/libvirt/virtlogd.pid ] && kill -0 "$(cat /run/libvirt/virtlogd.pid)" 2>/dev/null; }; then
  virtlogd -d -p /run/libvirt/virtlogd.pid
fi
libvirtd -d -p /run/libvirt/libvirtd.pid
