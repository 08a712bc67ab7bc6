#!/bin/sh
# What makes a minimal Debian root a good guest; run by mmdebstrap with the root as its argument.
set -e
root=$1

cat > "$root/etc/cloud/cloud.cfg.d/90_landfall.cfg" <<'C'
datasource_list: [NoCloud, ConfigDrive, None]
# Only what a guest of ours uses: the stock list takes half as long again to boot under emulation.
cloud_init_modules: [seed_random, bootcmd, write-files, growpart, resizefs, set_hostname, update_hostname, users-groups, ssh]
cloud_config_modules: [ssh-import-id, set-passwords, ntp, timezone, runcmd]
cloud_final_modules: [package-update-upgrade-install, write-files-deferred, scripts-vendor, scripts-per-once, scripts-per-boot, scripts-per-instance, scripts-user, final-message, power-state-change]
ssh_genkeytypes: [ed25519]
ssh: {emit_keys_to_console: false}
C
printf 'virtio_blk\nvirtio_pci\nvirtio_net\nvirtio_scsi\nsd_mod\nnvme\next4\n' > "$root/etc/initramfs-tools/modules"
echo MODULES=list > "$root/etc/initramfs-tools/conf.d/landfall"
echo COMPRESS=lz4 >> "$root/etc/initramfs-tools/conf.d/landfall"
echo 'LABEL=landfall / ext4 defaults,discard 0 1' > "$root/etc/fstab"

# Every machine makes its own identity.
: > "$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_*

chroot "$root" systemctl enable qemu-guest-agent.service ssh.service serial-getty@ttyS0.service
chroot "$root" systemctl mask getty@tty1.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
  e2scrub_all.timer e2scrub_reap.service cloud-init-hotplugd.socket
chroot "$root" update-initramfs -u -k all
