import { ProviderError } from '@landfall/adapters/errors.ts';
import { changing } from './converge.ts';
import type { AttachedDisk, Domain } from './domain-xml.ts';
import { exclusively } from './exclusive.ts';
import { pause } from './pause.ts';
import type { Setting } from './setting.ts';

/** What the guest sees of a volume: 20 characters are all that virtio has room for. */
export function serialOf(uuid: string): string {
  return uuid.replaceAll('-', '').slice(0, 20);
}

/** The first place that no disk has, now or at the next start. */
function freeTarget(domains: readonly (Domain | undefined)[]): string {
  const taken = new Set(domains.flatMap((domain) => domain?.disks ?? []).map(({ target }) => target));
  const free = [...'cdefghijklmnopqrstuvwxyz'].map((letter) => `vd${letter}`).find((one) => !taken.has(one));
  if (free === undefined)
    throw new ProviderError('CapacityExhausted', 'the machine has no place for another volume');
  return free;
}

/**
 * Puts a volume on a machine, running or not, for good. Idempotent: what an interrupted call left half is completed.
 * `NotFound` where there is no such machine of the broker's, `CapacityExhausted` where it has no place left.
 */
export async function attach(
  { libvirt }: Setting,
  { machine, file, serial }: { machine: string; file: string; serial: string },
  broker: string,
): Promise<void> {
  await exclusively(changing(machine), async () => {
    const domain = await libvirt.find(machine);
    if (domain?.record?.stamp.broker !== broker)
      throw new ProviderError('NotFound', `no machine ${machine} is on this host`, { field: '/attachedTo' });
    const next = await libvirt.findInactive(machine);
    const has = (one?: Domain) => one?.disks.find((disk) => disk.file === file);
    const [live, config] = [has(domain), has(next)];
    const target = (live ?? config)?.target ?? freeTarget([domain, next]);
    const disk: AttachedDisk = { file, target, serial };
    const where: ('config' | 'live')[] = [];
    if (!config) where.push('config');
    if (domain.id !== undefined && !live) where.push('live');
    if (where.length > 0) await libvirt.attachDisk(machine, disk, where);
  });
}

/**
 * Takes a volume from a machine and waits until the guest has let it go. `Conflict` where it does not: the volume stays
 * attached. A machine that is gone has let everything go.
 */
export async function detach(
  { libvirt, timing }: Setting,
  { machine, file }: { machine: string; file: string },
  signal: AbortSignal,
): Promise<void> {
  const has = (domain?: Domain) => domain?.disks.find((disk) => disk.file === file);
  await exclusively(changing(machine), async () => {
    const config = has(await libvirt.findInactive(machine));
    if (config) await libvirt.detachDisk(machine, config, 'config');
    const deadline = Date.now() + timing.shutdown;
    let askedAt = 0;
    for (;;) {
      const domain = await libvirt.find(machine);
      const live = domain?.id === undefined ? undefined : has(domain);
      if (!live) return;
      if (Date.now() > deadline) {
        const message = `the machine ${machine} does not let go of its disk ${live.serial}: unmount it there first`;
        throw new ProviderError('Conflict', message);
      }
      // A guest that still boots misses the first request.
      if (Date.now() >= askedAt + timing.shutdownAgain) {
        await libvirt.detachDisk(machine, live, 'live');
        askedAt = Date.now();
      } else {
        await pause(timing.poll, signal);
      }
    }
  });
}
