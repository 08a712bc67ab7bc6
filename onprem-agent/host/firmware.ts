/**
 * The smallest firmware that shows whether an accelerator really runs guest code: 64 KiB of which 200 bytes are not zero.
 * It goes from real mode to 64-bit long mode, turns a loop twenty million times, and writes 0x31 to the isa-debug-exit
 * port 0xf4, which makes QEMU exit with 2 × 0x31 + 1 = 99.
 */
export const firmwareExitCode = 99;

const size = 64 * 1024;

/** Offset 0, mapped at 0xF0000. */
const code = [
  // Real mode: cli; lgdtl %cs:gdtr; cr0 |= 1; far jump to 32-bit code.
  'fa 2e660f0116c000 0f20c0 6683c801 0f22c0 66ea1a000f000800',
  // Protected mode: flat segments, stack at 0x8000.
  '66b81000 8ed8 8ec0 8ed0 bc00800000',
  // Page tables at 0x1000–0x3fff: cleared, then one 2 MiB page that maps itself.
  'bf00100000 31c0 b9000c0000 f3ab',
  'c7050010000003200000 c7050020000003300000 c7050030000083000000',
  // cr4.PAE, cr3 = 0x1000, EFER.LME, cr0.PG; far jump to 64-bit code.
  '0f20e0 83c820 0f22e0 b800100000 0f22d8 b9800000c0 0f32 0d00010000 0f30',
  '0f20c0 0d01000080 0f22c0 ea86000f001800',
  // Long mode: ecx = 20 000 000; loop; out 0xf4, 0x31; halt for ever.
  'b9002d3101 ffc9 75fc 66baf400 b031 ee f4 ebfd',
  // Padding to 0xa0, then the global descriptor table (null, 32-bit code, data, 64-bit code) and its register image.
  '8db4000000 8d7400 000000000000',
].join(' ');

const descriptorTableOffset = 0xa0;
const descriptorTable = '0000000000000000 ffff0000009acf00 ffff00000092cf00 ffff0000009aaf00 1f00 a0000f00';

/** Where an x86 processor begins: `jmp 0` (16-bit displacement, wraps). */
const resetVectorOffset = 0xfff0;
const resetVector = 'e90d00';

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

/** The firmware as QEMU's `-bios` wants it. */
export function probeFirmware(): Buffer {
  const image = Buffer.alloc(size);
  bytes(code).copy(image, 0);
  bytes(descriptorTable).copy(image, descriptorTableOffset);
  bytes(resetVector).copy(image, resetVectorOffset);
  return image;
}
