import type { Adapter, Description, Location, Quota, SiteOffer } from '@landfall/adapters/contract.ts';
import { ProviderError } from '@landfall/adapters/errors.ts';
import { capability, incapable, notAdopted, overAdopting, overKinds } from '@landfall/adapters/kinds.ts';
import type { Acceleration } from '../host/acceleration.ts';
import { run } from '../host/command.ts';
import type { Gpu } from '../host/gpus.ts';
import type { Host } from '../host/prepare.ts';
import { adoptMachine } from './adopt.ts';
import { type Capacity, requireRoom, usedCapacity } from './capacity.ts';
import { discoverMachines } from './discover.ts';
import { ensureMachine } from './ensure.ts';
import { gpusFor } from './hand-over.ts';
import { requireHeld } from './held-kind.ts';
import { heldAdapters, heldPlans } from './held-plans.ts';
import { listThings } from './list.ts';
import { lookUp, matches, stampOf } from './lookup.ts';
import { consoleTail, type ProgramRunner } from './machine-files.ts';
import { requireNetworkOf } from './machine-network.ts';
import { oneSubnet } from './network.ts';
import { observeMachine } from './observe.ts';
import { whyUnfiltered } from './packet-filter.ts';
import { releaseMachine } from './release.ts';
import { removeMachine } from './remove.ts';
import { type Setting, type Timing, timingFor } from './setting.ts';
import { type StartSlots, startSlots } from './start-slots.ts';
import { libvirtOver, type VirshRunner, virshRunner } from './virsh.ts';
import { wantedMachine } from './wanted-machine.ts';

export interface KvmOptions {
  /** From `prepareHost`. */
  host: Host;
  /** From `probeAcceleration`. */
  acceleration: Acceleration;
  /** The site's one region, this machine's failure domain, and its own name. */
  location: Location & { host: string };
  capacity: Capacity;
  /** From `findGpus`. */
  gpus: readonly Gpu[];
  /** Of prices; on-prem offers carry none unless `pricePerHour` is given. */
  currency: string;
  /** Of the whole host, per hour. */
  pricePerHour?: number;
  /** Default: virsh on the host's URI. Tests put faults in. */
  virsh?: VirshRunner;
  /** Default: runs qemu-img and genisoimage. Tests put faults in. */
  program?: ProgramRunner;
  timing?: Partial<Timing>;
  /** One line for people while an image is made. */
  progress?: (line: string) => void;
}

/** Start slots by libvirt: adapters of one process on one host share them. */
const slotsByUri = new Map<string, StartSlots>();

function slotsFor(uri: string, accel: 'kvm' | 'tcg'): StartSlots {
  const slots = slotsByUri.get(uri) ?? startSlots(accel === 'tcg' ? 2 : 8);
  slotsByUri.set(uri, slots);
  return slots;
}

/** The adapter contract over libvirt on this host. Stateless: every answer comes from libvirt and the files (A12). */
export function createKvmAdapter(options: KvmOptions): Adapter {
  const { host, acceleration, capacity, gpus, location } = options;
  const setting: Setting = {
    libvirt: libvirtOver(options.virsh ?? virshRunner(host.uri)),
    storage: { ...host.storage, run: options.program ?? run },
    network: host.network,
    reach: host.reach,
    acceleration,
    capacity,
    gpus,
    location,
    timing: timingFor(acceleration.accel, options.timing),
    slots: slotsFor(host.uri, acceleration.accel),
    progress: options.progress ?? (() => {}),
  };
  const plans = heldPlans(setting);
  return {
    async describe() {
      return describeHost(options, setting, await whyUnfiltered(setting));
    },
    async *offers() {
      yield offerOf(options);
    },
    async quota(region) {
      const used = usedCapacity(await setting.libvirt.all());
      const row = (resource: keyof Capacity): Quota => ({
        region,
        resource,
        limit: capacity[resource],
        used: used[resource],
      });
      return [row('vcpus'), row('memoryGiB')];
    },
    ...overKinds({
      Instance: {
        async validate(want) {
          const { spec, uuid, image } = wantedMachine(want, setting);
          if ('own' in image)
            await requireHeld(setting, 'Image', image.own, want.stamp.broker, '/image/custom');
          await requireNetworkOf(setting, spec, want.stamp.broker);
          requireRoom(capacity, usedCapacity(await setting.libvirt.all(), uuid), spec);
          await gpusFor(setting, uuid, spec.gpu);
        },
        observe: (target, want) => observeMachine(setting, target, want),
        ensure: (want, context) => ensureMachine(setting, want, context),
        remove: (target, context) => removeMachine(setting, target, context),
      },
      ...heldAdapters(setting, plans),
    }),
    ...overAdopting({
      Instance: {
        discover: (query, context) => discoverMachines(setting, query, context),
        adopt: (want, context) => adoptMachine(setting, want, context),
        release: (target, context) => releaseMachine(setting, target, context),
      },
      Volume: whyOwnOnly,
      Snapshot: whyOwnOnly,
      Image: whyOwnOnly,
      Network: whyOwnOnly,
      Firewall: whyOwnOnly,
      Address: whyNoAddress,
    }),
    list: (broker, page) => listThings(setting, plans, broker, page),
    async console(target, maxBytes) {
      const own = (await lookUp(setting, target)).filter((found) => matches(stampOf(found), target));
      const newest = own.sort((a, b) => (stampOf(b)?.attempt ?? 0) - (stampOf(a)?.attempt ?? 0))[0];
      if (!newest)
        throw new ProviderError('NotFound', `no machine of ${target.stamp.resource} is on this host`);
      return consoleTail(setting.storage, newest.uuid, maxBytes);
    },
  };
}

const whyOwnOnly =
  "of the files and networks of a host only those in the agent's own folder say whose they are, and nobody finds those without it";
const whyNoAddress = 'a host has no public addresses to give: its machines have those of their networks';

function describeHost(
  { host, capacity, gpus }: KvmOptions,
  { acceleration, timing, location }: Setting,
  unfiltered: string | undefined,
): Description {
  return {
    provider: 'onprem',
    visibilityGraceMs: timing.visibilityGrace,
    capabilities: [
      capability('Instance', { spot: 'a host has no spot market' }),
      capability('Volume', notAdopted(whyOwnOnly)),
      capability('Snapshot', notAdopted(whyOwnOnly)),
      capability('Image', notAdopted(whyOwnOnly)),
      // A network promises that its firewalls alone let anything in: none without the other.
      ...(['Network', 'Firewall'] as const).map((kind) =>
        unfiltered === undefined ? capability(kind, notAdopted(whyOwnOnly)) : incapable(kind, unfiltered),
      ),
      incapable('Address', whyNoAddress),
    ],
    facts: {
      host: location.host,
      accel: acceleration.accel,
      accelReason: acceleration.reason,
      libvirt: `${host.libvirt} ${host.libvirtVersion}`,
      vcpus: String(capacity.vcpus),
      memoryGiB: String(capacity.memoryGiB),
      ...(gpus[0] ? { gpus: `${gpus[0].model}: ${gpus.map(({ address }) => address).join(', ')}` } : {}),
      networks: oneSubnet,
    },
  };
}

/** The whole host as one row: placement cuts machines of any size out of it. */
function offerOf({ location, capacity, gpus, currency, pricePerHour }: KvmOptions): SiteOffer {
  return {
    region: location.region,
    zone: location.zone,
    host: location.host,
    instanceType: 'custom',
    market: 'onDemand',
    vcpus: capacity.vcpus,
    memoryGiB: capacity.memoryGiB,
    architecture: 'x86_64',
    ...(gpus[0] ? { gpuName: gpus[0].model } : {}),
    gpuCount: gpus.length,
    burstable: false,
    pricePerHour,
    currency,
  };
}
