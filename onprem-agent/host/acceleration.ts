import { constants } from 'node:fs';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandFailed, run } from './command.ts';
import { firmwareExitCode, probeFirmware } from './firmware.ts';

export interface Acceleration {
  accel: 'kvm' | 'tcg';
  /** One sentence for people: why this one. */
  reason: string;
}

const probeLimitMs = 3000;

/**
 * Tells hardware virtualization from emulation by booting. The device node existing proves nothing: on some nested hosts
 * KVM accepts a guest and then crawls through it instruction by instruction, and libvirt still says "running".
 * Takes at most 3 s; throws only when QEMU itself is missing.
 */
export async function probeAcceleration(): Promise<Acceleration> {
  try {
    await access('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch (error) {
    return { accel: 'tcg', reason: `/dev/kvm cannot be used (${(error as NodeJS.ErrnoException).code})` };
  }
  const started = performance.now();
  const outcome = await bootFirmware('kvm');
  const elapsed = Math.round(performance.now() - started);
  if (outcome === 'booted') return { accel: 'kvm', reason: `a test firmware ran under KVM in ${elapsed} ms` };
  if (outcome === 'timeout') {
    return {
      accel: 'tcg',
      reason: `/dev/kvm exists, but a test firmware was not done after ${probeLimitMs / 1000} s under KVM: this host does not really virtualize`,
    };
  }
  return { accel: 'tcg', reason: `KVM refused a test guest: ${outcome.refused}` };
}

/** Boots the probe firmware once with `accel` and says how it ended. */
export async function bootFirmware(
  accel: 'kvm' | 'tcg',
): Promise<'booted' | 'timeout' | { refused: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-probe-'));
  try {
    const firmware = join(folder, 'probe.bin');
    await writeFile(firmware, probeFirmware());
    // biome-ignore format: one option per line reads like QEMU's manual
    const args = [
      '-accel', accel,
      '-M', 'pc',
      '-cpu', 'max',
      '-m', '16',
      '-nodefaults', '-no-user-config',
      '-display', 'none', '-monitor', 'none', '-serial', 'none',
      '-bios', firmware,
      '-device', 'isa-debug-exit,iobase=0xf4,iosize=1',
    ];
    await run('qemu-system-x86_64', args, { timeoutMs: probeLimitMs });
    return { refused: 'QEMU ended without running the firmware' };
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    if (error.exitCode === firmwareExitCode) return 'booted';
    if (error.timedOut) return 'timeout';
    if (error.exitCode === undefined && error.stderr === '') {
      throw new Error('qemu-system-x86_64 cannot be run: install the package qemu-system-x86', {
        cause: error,
      });
    }
    return { refused: error.stderr.trim().split('\n')[0] ?? `exit code ${error.exitCode}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
