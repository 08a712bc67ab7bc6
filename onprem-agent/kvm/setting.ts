import type { Location } from '@landfall/adapters/contract.ts';
import type { Acceleration } from '../host/acceleration.ts';
import type { Gpu } from '../host/gpus.ts';
import type { Reach } from '../host/reach.ts';
import type { Capacity } from './capacity.ts';
import type { Storage } from './machine-files.ts';
import type { StartSlots } from './start-slots.ts';
import type { Libvirt } from './virsh.ts';

/** Time limits and intervals, all in milliseconds. */
export interface Timing {
  /** Between two looks while waiting. */
  poll: number;
  /** Between two heartbeats. */
  heartbeat: number;
  /** One call of `ensure` waits so long for a guest to answer, then says `creating`. */
  ready: number;
  /** From pressing the power button to pulling the plug. */
  shutdown: number;
  /** The button is pressed again after so long: a booting guest misses the first time. */
  shutdownAgain: number;
  /** Between the two looks that confirm an absence. */
  confirm: number;
  /** How long after its making a machine that cannot be seen is `unsettled` (A6). */
  visibilityGrace: number;
}

export function timingFor(accel: 'kvm' | 'tcg', change: Partial<Timing> = {}): Timing {
  const slow = accel === 'tcg';
  return {
    poll: 250,
    heartbeat: 1500,
    ready: slow ? 300_000 : 120_000,
    shutdown: slow ? 60_000 : 30_000,
    shutdownAgain: 4000,
    confirm: 200,
    visibilityGrace: 5000,
    ...change,
  };
}

/** What every part of the driver works with; nothing in it remembers a machine (A12). */
export interface Setting {
  libvirt: Libvirt;
  storage: Storage;
  /** Name of the default libvirt network. */
  network: string;
  reach: Reach;
  acceleration: Acceleration;
  capacity: Capacity;
  /** Those of the host that are for guests; which of them a guest has libvirt knows. */
  gpus: readonly Gpu[];
  location: Location & { host: string };
  timing: Timing;
  slots: StartSlots;
  /** One line for people while an image is made. */
  progress(line: string): void;
}
