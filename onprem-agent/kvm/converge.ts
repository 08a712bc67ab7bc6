import type { Want } from '@landfall/adapters/contract.ts';
import { ProviderError } from '@landfall/adapters/errors.ts';
import { requireRoom, usedCapacity } from './capacity.ts';
import { asProviderError, definition, placing } from './create.ts';
import type { AttachedDisk, Domain } from './domain-xml.ts';
import { exclusively } from './exclusive.ts';
import { gpusFor, hasItsGpus } from './hand-over.ts';
import { growRootDisk, pathsInside } from './machine-files.ts';
import { isUp, openNetworkOf, requireNetworkOf } from './machine-network.ts';
import type { MachineRecord } from './machine-record.ts';
import { addressOf, hasMemory, leasesOf, readyWhileOff, sameFirewalls, sameLabels } from './observation.ts';
import { applyFilter } from './packet-filter.ts';
import { pause } from './pause.ts';
import type { Setting } from './setting.ts';
import { invalid, type WantedMachine } from './wanted-machine.ts';

/** Key under which one machine is changed by one call at a time. */
export function changing(uuid: string): string {
  return `machine:${uuid}`;
}

/** What is wanted of a machine that is there. */
type Wanted = Pick<WantedMachine, 'want' | 'spec' | 'uuid' | 'memoryMiB'>;

/** A domain that is certainly ours. */
export type OwnDomain = Domain & { record: MachineRecord };

/**
 * Brings an existing machine to what is wanted: size, labels, reboots, power. Answers when libvirt has taken everything; the
 * guest may still be booting (`awaitAnswer`). Each step first looks, so an interrupted call is continued by the next.
 */
export async function converge(setting: Setting, wanted: WantedMachine, signal: AbortSignal): Promise<void> {
  await exclusively(changing(wanted.uuid), async () => {
    signal.throwIfAborted();
    await resize(setting, wanted);
    await relabel(setting, wanted);
    await guard(setting, wanted);
    await stopWhereNeeded(setting, wanted, signal);
    if (wanted.spec.power === 'running') await startWhereNeeded(setting, wanted);
    else await noteOff(setting, wanted);
  });
}

/**
 * The same for a machine that was adopted: labels, reboots, power. Its definition and its disks are its owner's.
 * @throws ProviderError `Invalid` for another size, or firewalls.
 */
export async function convergeAdopted(
  setting: Setting,
  want: Want<'Instance'>,
  signal: AbortSignal,
): Promise<void> {
  const uuid = want.adopted?.ref ?? '';
  await exclusively(changing(uuid), async () => {
    signal.throwIfAborted();
    const { spec } = want;
    const domain = await ownDomain(setting, { want, uuid });
    const { vcpus, memoryMiB, record } = domain;
    const fixed = {
      vcpus: vcpus !== spec.vcpus,
      memoryGiB: !hasMemory(domain, spec),
      diskGiB: record.diskGiB !== spec.diskGiB,
    };
    for (const [field, differs] of Object.entries(fixed))
      if (differs)
        throw invalid(
          `/${field}`,
          'the size of a machine that was adopted is its owner’s to change, on its host',
        );
    if ((spec.firewalls ?? []).length > 0)
      throw invalid(
        '/firewalls',
        'a firewall holds for machines in its network, and one that was adopted is in none of ours',
      );
    const wanted = { want, spec, uuid, memoryMiB };
    await relabel(setting, wanted);
    await stopWhereNeeded(setting, wanted, signal);
    if (spec.power === 'running') await startWhereNeeded(setting, wanted);
    else await noteOff(setting, wanted);
  });
}

/** The first start of a machine that was just made as wanted: there is nothing to compare. */
export async function startNew(setting: Setting, { uuid, spec }: WantedMachine): Promise<void> {
  await exclusively(changing(uuid), () => start(setting, uuid, spec.network));
}

async function start(setting: Setting, uuid: string, network: MachineRecord['network']): Promise<void> {
  if (network) await openNetworkOf(setting, network.ref);
  await setting.libvirt.start(uuid);
}

/** The machine's domain; throws when it is gone or not the stamp's. */
export async function ownDomain(setting: Setting, wanted: Pick<Wanted, 'want' | 'uuid'>): Promise<OwnDomain> {
  const domain = await setting.libvirt.find(wanted.uuid);
  if (!domain) throw new ProviderError('NotFound', `the machine ${wanted.uuid} is gone from this host`);
  requireOwn(domain, wanted);
  return domain as OwnDomain;
}

export function requireOwn(domain: Domain, { want: { stamp } }: Pick<Wanted, 'want'>): void {
  const found = domain.record?.stamp;
  if (found?.broker === stamp.broker && found.resource === stamp.resource && found.attempt === stamp.attempt)
    return;
  throw new ProviderError(
    'Conflict',
    `the domain ${domain.name} (${domain.uuid}) does not carry the stamp of ${stamp.resource}`,
  );
}

function isOfSize({ gpus }: Setting, domain: Domain, { spec, memoryMiB }: Wanted): boolean {
  return domain.vcpus === spec.vcpus && domain.memoryMiB === memoryMiB && hasItsGpus(domain, spec, gpus);
}

/** Definition and disk to the wanted size. What runs keeps its old vcpus, memory and GPUs until its next start. */
async function resize(setting: Setting, wanted: WantedMachine): Promise<void> {
  const { libvirt } = setting;
  const { spec, uuid } = wanted;
  const domain = await ownDomain(setting, wanted);
  const next = (await libvirt.findInactive(uuid)) ?? domain;
  if (!isOfSize(setting, next, wanted)) {
    await exclusively(placing(setting), async () => {
      requireRoom(setting.capacity, usedCapacity(await libvirt.all(), uuid), spec);
      const gpus = await gpusFor(setting, uuid, spec.gpu);
      const given = { volumes: volumesOf(setting, next), gpus };
      await libvirt.define(await definition(setting, wanted, domain.record, given));
    });
  }
  const { diskGiB } = domain.record;
  if (spec.diskGiB === diskGiB) return;
  if (spec.diskGiB < diskGiB) {
    throw new ProviderError('Invalid', `a disk cannot shrink: it has ${diskGiB} GiB`, { field: '/diskGiB' });
  }
  if (domain.id !== undefined) await libvirt.growDisk(uuid, 'vda', spec.diskGiB);
  else await asProviderError(() => growRootDisk(setting.storage, uuid, spec.diskGiB));
  await libvirt.writeRecord(uuid, { ...domain.record, diskGiB: spec.diskGiB }, domain.id !== undefined);
}

/** The disks that are not the machine's own: a definition anew keeps them. */
function volumesOf({ storage }: Setting, { uuid, disks }: Domain): AttachedDisk[] {
  const own: string[] = Object.values(pathsInside(storage, uuid));
  return disks.filter(({ file }) => !own.includes(file));
}

async function relabel(setting: Setting, wanted: Wanted): Promise<void> {
  const domain = await ownDomain(setting, wanted);
  if (sameLabels(domain.record.labels, wanted.spec.labels)) return;
  await setting.libvirt.writeRecord(
    wanted.uuid,
    { ...domain.record, labels: wanted.spec.labels },
    domain.id !== undefined,
  );
}

/** The wanted firewalls hold before the machine starts, and from now on where it runs. */
async function guard(setting: Setting, wanted: WantedMachine): Promise<void> {
  const { libvirt } = setting;
  await exclusively(placing(setting), async () => {
    const domain = await ownDomain(setting, wanted);
    const { firewalls = [] } = wanted.spec;
    if (!sameFirewalls(domain.record.firewalls, firewalls)) {
      const { network } = domain.record;
      await requireNetworkOf(setting, { network, firewalls }, wanted.want.stamp.broker);
      await libvirt.writeRecord(wanted.uuid, { ...domain.record, firewalls }, domain.id !== undefined);
    }
    if (domain.record.network) await applyFilter(setting);
  });
}

async function stopWhereNeeded(setting: Setting, wanted: Wanted, signal: AbortSignal): Promise<void> {
  const { spec, uuid } = wanted;
  const domain = await ownDomain(setting, wanted);
  if (domain.id === undefined) return;
  // What its owner gives to one that was adopted is not for us to take at a restart.
  const wrongSize = !domain.record.adopted && !isOfSize(setting, domain, wanted);
  let reboot = false;
  if (spec.power === 'running' && spec.reboots > domain.record.reboots) {
    const { rebooting } = domain.record;
    if (rebooting?.number === spec.reboots) {
      // An earlier call began this reboot: a new domain id says that it happened.
      reboot = rebooting.domainId === domain.id;
    } else {
      reboot = true;
      const begun = { ...domain.record, rebooting: { number: spec.reboots, domainId: domain.id } };
      await setting.libvirt.writeRecord(uuid, begun, true);
    }
    if (!reboot) await noteReboots(setting, domain, spec.reboots);
  }
  if (spec.power === 'stopped' || wrongSize || reboot) await stop(setting, uuid, signal);
}

async function noteReboots(setting: Setting, domain: OwnDomain, reboots: number): Promise<void> {
  await setting.libvirt.writeRecord(
    domain.uuid,
    { ...domain.record, reboots, rebooting: undefined },
    domain.id !== undefined,
  );
}

/** Presses the power button, again and again, then pulls the plug. */
async function stop(setting: Setting, uuid: string, signal: AbortSignal): Promise<void> {
  const { libvirt, timing } = setting;
  const begun = Date.now();
  let pressed = 0;
  while ((await libvirt.find(uuid))?.id !== undefined) {
    signal.throwIfAborted();
    const now = Date.now();
    if (now - begun > timing.shutdown) {
      await libvirt.destroy(uuid);
    } else if (now - pressed > timing.shutdownAgain) {
      await libvirt.shutdown(uuid);
      pressed = now;
    }
    await pause(timing.poll, signal);
  }
}

async function startWhereNeeded(setting: Setting, wanted: Wanted): Promise<void> {
  const { libvirt } = setting;
  const { uuid } = wanted;
  const state = [...(await libvirt.statistics(uuid)).values()][0]?.state;
  if (state === 'paused') await libvirt.resume(uuid);
  else if (state === 'off' || state === 'crashed')
    await start(setting, uuid, (await ownDomain(setting, wanted)).record.network);
  const domain = await ownDomain(setting, wanted);
  if (domain.record.reboots !== wanted.spec.reboots) await noteReboots(setting, domain, wanted.spec.reboots);
}

async function noteOff(setting: Setting, wanted: Wanted): Promise<void> {
  const domain = await ownDomain(setting, wanted);
  const { record } = domain;
  const { reboots } = wanted.spec;
  if (record.readyOn !== undefined && record.reboots === reboots) return;
  const noted = { ...record, reboots, rebooting: undefined, readyOn: record.readyOn ?? readyWhileOff };
  await setting.libvirt.writeRecord(wanted.uuid, noted, domain.id !== undefined);
}

/** Between two knocks at a guest whose address is known. */
const knockMs = 50;

/**
 * Waits until the guest has an address and greets over SSH, and notes that in its record. Answers false when it ran out of
 * time or the guest went off meanwhile. Cancelled within one interval (A10).
 */
export async function awaitAnswer(
  setting: Setting,
  wanted: WantedMachine,
  signal: AbortSignal,
): Promise<boolean> {
  const { libvirt, timing } = setting;
  const deadline = Date.now() + timing.ready;
  let lookAgainAt = 0;
  let domain: Domain | undefined;
  let address: string | undefined;
  while (Date.now() < deadline) {
    signal.throwIfAborted();
    if (Date.now() >= lookAgainAt) {
      domain = await libvirt.find(wanted.uuid);
      if (!domain) {
        // Removed by somebody, or not to be seen yet (A6): whoever asked looks again before deciding which.
        const message = `the machine ${wanted.uuid} was started and is not to be seen`;
        throw new ProviderError('OutcomeUnknown', message, { made: [wanted.uuid] });
      }
      if (domain.id === undefined) return false;
      if (domain.record?.readyOn === domain.id) return true;
      address = addressOf({ domain, leases: await leasesOf(setting, [domain]) });
      // A look costs two processes, which a booting guest has to share the processor with; knocking costs nothing.
      lookAgainAt = Date.now() + (address === undefined ? timing.poll : 4 * timing.poll);
    }
    const boot = domain?.id;
    if (domain && address !== undefined && (await isUp(setting, domain, address))) {
      await exclusively(changing(wanted.uuid), async () => {
        const now = await ownDomain(setting, wanted);
        if (now.id !== boot) return;
        await libvirt.writeRecord(wanted.uuid, { ...now.record, readyOn: now.id }, true);
      });
      return true;
    }
    await pause(address === undefined ? timing.poll : knockMs, signal);
  }
  return false;
}
