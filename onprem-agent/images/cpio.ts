/** One entry of an initial ramdisk. */
export interface CpioEntry {
  /** Path without a leading slash. */
  path: string;
  /** Type and permission bits, e.g. 0o100755. */
  mode: number;
  data?: Buffer;
}

function padded(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}

/** Packs entries as a `newc` cpio archive, owned by root: what the kernel takes as its initial ramdisk. */
export function packCpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  const add = (entry: CpioEntry, inode: number) => {
    const name = Buffer.from(`${entry.path}\0`);
    const data = entry.data ?? Buffer.alloc(0);
    // inode, mode, uid, gid, links, mtime, size, device (2), rdevice (2), length of the name, checksum (unused).
    const fields = [inode, entry.mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0];
    const header = Buffer.from(
      `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`,
    );
    parts.push(header, name, padded(header.length + name.length), data, padded(data.length));
  };
  entries.forEach((entry, index) => {
    add(entry, index + 1);
  });
  add({ path: 'TRAILER!!!', mode: 0 }, 0);
  return Buffer.concat(parts);
}
