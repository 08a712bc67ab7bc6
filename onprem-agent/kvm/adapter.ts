import type { Adapter, Description, Location, Quota, SiteOffer } from '@landfall/adapters/contract.ts';
import { ProviderError } from '@landfall/adapters/errors.ts';
import { adoptsNothing, capability, incapable, overKinds } from '@landfall/adapters/kinds.ts';
import type { Acceleration } from '../host/acceleration.ts';
import { run } from '../host/command.ts';
import type { Host } from '../host/prepare.ts';
import { type Capacity, requireRoom, usedCapacity } from './capacity.ts';
import { ensureMachine } from './ensure.ts';
import { requireHeld } from './held-kind.ts';
import { heldAdapters, heldPlans } from './held-plans.ts';
import { listThings } from './list.ts';
import { lookUp, matches, stampOf } from './lookup.ts';
import { consoleTail, type ProgramRunner } from './machine-files.ts';
import { requireNetworkOf } from './machine-network.ts';
import { oneSubnet } from './network.ts';
import { observeMachine } from './observe.ts';
import { whyUnfiltered } from './packet-filter.ts';
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

/** Why nothing of it is found and made ours. */
const notAdopted = 'what exists on a KVM host without Landfall cannot be adopted yet';

/** The adapter contract over libvirt on this host. Stateless: every answer comes from libvirt and the files (A12). */
export function createKvmAdapter(options: KvmOptions): Adapter {
  const { host, acceleration, capacity, location } = options;
  const setting: Setting = {
    libvirt: libvirtOver(options.virsh ?? virshRunner(host.uri)),
    storage: { ...host.storage, run: options.program ?? run },
    network: host.network,
    reach: host.reach,
    acceleration,
    capacity,
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
        },
        observe: (target, want) => observeMachine(setting, target, want),
        ensure: (want, context) => ensureMachine(setting, want, context),
        remove: (target, context) => removeMachine(setting, target, context),
      },
      ...heldAdapters(setting, plans),
    }),
    ...adoptsNothing(notAdopted),
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

function describeHost(
  { host, capacity }: KvmOptions,
  { acceleration, timing, location }: Setting,
  unfiltered: string | undefined,
): Description {
  return {
    provider: 'onprem',
    visibilityGraceMs: timing.visibilityGrace,
    capabilities: [
      capability('Instance', { spot: 'a host has no spot market', adopt: notAdopted }),
      capability('Volume', { adopt: notAdopted }),
      capability('Snapshot', { adopt: notAdopted }),
      capability('Image', { adopt: notAdopted }),
      // A network promises that its firewalls alone let anything in: none without the other.
      ...(['Network', 'Firewall'] as const).map((kind) =>
        unfiltered === undefined ? capability(kind, { adopt: notAdopted }) : incapable(kind, unfiltered),
      ),
      incapable(
        'Address',
        'a host has no public addresses to give: its machines have those of their networks',
      ),
    ],
    facts: {
      host: location.host,
      accel: acceleration.accel,
      accelReason: acceleration.reason,
      libvirt: `${host.libvirt} ${host.libvirtVersion}`,
      vcpus: String(capacity.vcpus),
      memoryGiB: String(capacity.memoryGiB),
      networks: oneSubnet,
    },
  };
}

/** The whole host as one row: placement cuts machines of any size out of it. */
function offerOf({ location, capacity, currency, pricePerHour }: KvmOptions): SiteOffer {
  return {
    region: location.region,
    zone: location.zone,
    host: location.host,
    instanceType: 'custom',
    market: 'onDemand',
    vcpus: capacity.vcpus,
    memoryGiB: capacity.memoryGiB,
    architecture: 'x86_64',
    gpuCount: 0,
    burstable: false,
    pricePerHour,
    currency,
  };
}
