#!/bin/bash
# Becomes the first process of a machine of its own, in namespaces that are new already (mount, network, process, name).
# Arguments: its disk; its host key below it; then what it has of this machine to read, each as <path>=<path there>.
# It ends, with every process in it, when its standard input does: a test that is killed leaves nothing.
set -euo pipefail
disk=$1
key=$2
shift 2

hostname remote
ip link set lo up

mount --bind "$disk" "$disk"
# The system's programs and their configuration; homes, temporary files and all else are its own.
for name in usr etc bin sbin lib lib32 lib64; do
  if [ -L "/$name" ]; then
    ln -s "$(readlink "/$name")" "$disk/$name"
  elif [ -d "/$name" ]; then
    mkdir "$disk/$name"
    mount --bind --options ro "/$name" "$disk/$name"
  fi
done
for shared in "$@"; do
  from=${shared%%=*}
  to=$disk${shared#*=}
  if [ -d "$from" ]; then mkdir -p "$to"; else mkdir -p "${to%/*}" && : >"$to"; fi
  mount --bind --options ro "$from" "$to"
done
mkdir -p "$disk"/{dev,proc,sys,run,var,tmp}
chmod 1777 "$disk/tmp"
mount --rbind /dev "$disk/dev"
mount --types proc proc "$disk/proc"
mount --types sysfs sysfs "$disk/sys"

chroot "$disk" dropbear -F -E -s -r "$key" -p 22 </dev/null &
echo up
while read -r _; do :; done
