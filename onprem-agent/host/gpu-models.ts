import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where distributions keep the register of PCI ids (packages `pci.ids`, `hwdata`). */
const registers = ['usr/share/misc/pci.ids', 'usr/share/hwdata/pci.ids'];

/** The most that the broker takes. */
const longestName = 63;

/**
 * Names of devices by vendor and device id (four hexadecimal digits each), after the register of PCI ids on this host, as
 * catalogues call them: `A100` for its `GA100 [A100 SXM4 40GB]`. Without a register, or for what it does not hold: `10de:20b0`.
 */
export async function modelNames(root: string): Promise<(vendor: string, device: string) => string> {
  const register = await readRegister(root);
  return (vendor, device) => {
    const block = register.match(new RegExp(`^${vendor}  .*(?:\\n[\\t#].*)*`, 'm'))?.[0] ?? '';
    const said = block.match(new RegExp(`^\\t${device}  (.*)$`, 'm'))?.[1];
    if (said === undefined) return `${vendor}:${device}`;
    // In brackets stands what it is sold as, before them the chip.
    const sold = said.match(/\[(.*)\]/)?.[1] ?? said;
    const model = sold.replace(/^Tesla /, '').replace(/ (PCIe|SXM\d?|NVL|OAM|\d+GB)\b.*$/, '');
    return model.trim().slice(0, longestName) || `${vendor}:${device}`;
  };
}

async function readRegister(root: string): Promise<string> {
  for (const path of registers) {
    try {
      return await readFile(join(root, path), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return '';
}
