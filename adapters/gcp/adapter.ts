import { importableFrom } from '@landfall/model/image-sources.ts';
import type { Adapter, CallContext, Description, Observation, Present, Target, Want } from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { capability, notAdopted, overAdopting, overKinds } from '../kinds.ts';
import { addressLife } from './address.ts';
import { adoptMachine } from './adopt.ts';
import { adoptingOther } from './adopt-other.ts';
import { type Account, type GcpAdapterOptions, openAccount } from './clients.ts';
import { find, notOurs, parseRef } from './collections.ts';
import { readConsole } from './console.ts';
import { converge } from './converge.ts';
import { checkWant, startCreate } from './create.ts';
import { customImageLife } from './custom-image.ts';
import { discoverMachines } from './discover.ts';
import { findDisks } from './disks.ts';
import { firewallLife } from './firewall.ts';
import { interruptionOf } from './interruption.ts';
import { kindAdapter } from './life.ts';
import { listPage } from './list.ts';
import { bootDisksOf, findMachines, machineRef, toPresent } from './machine.ts';
import { naming } from './made.ts';
import { networkLife } from './network.ts';
import { readOffers, readQuota } from './offers.ts';
import { type OperationRef, resumedOperation } from './operation.ts';
import { lastOf, regionOf, zoneFor } from './places.ts';
import { releaseMachine } from './release.ts';
import { graceLeftMs, removeMachine } from './remove.ts';
import { snapshotLife } from './snapshot.ts';
import { carries, machineLabels, machineName } from './stamp.ts';
import { volumeLife } from './volume.ts';

/** The adapter contract over Compute Engine. See `GcpAdapterOptions` for what it needs; errors are those of rule A7. */
export function createGcpAdapter(options: GcpAdapterOptions): Adapter {
  return adapterOver(openAccount(options));
}

/** The same over an account that is open already. */
export function adapterOver(account: Account): Adapter {
  return {
    describe: async () => description(account),
    offers: (context) => readOffers(account, context),
    quota: (region) => readQuota(account, region),
    ...overKinds({
      Instance: {
        validate: (want) => checkWant(account, want),
        observe: (target, want) => observe(account, target, want),
        ensure: (want, context) => ensure(account, want, context),
        remove: (target, context) => removeMachine(account, target, context),
      },
      Volume: kindAdapter(account, volumeLife),
      Snapshot: kindAdapter(account, snapshotLife),
      Image: kindAdapter(account, customImageLife),
      Network: kindAdapter(account, networkLife),
      Firewall: kindAdapter(account, firewallLife),
      Address: kindAdapter(account, addressLife),
    }),
    list: (broker, page) => listPage(account, broker, page),
    ...overAdopting({
      Instance: {
        discover: (query, context) => discoverMachines(account, query, context),
        adopt: (want, context) => adoptMachine(account, want, context),
        release: (target, context) => releaseMachine(account, target, context),
      },
      Volume: adoptingOther(account, volumeLife),
      Snapshot: adoptingOther(account, snapshotLife),
      Address: adoptingOther(account, addressLife),
      Image: adoptingOther(account, customImageLife),
      Network: whyNoNetwork,
      Firewall: whyNoFirewall,
    }),
    console: (target, maxBytes) => readConsole(account, target, maxBytes),
  };
}

async function ensure(account: Account, want: Want, context: CallContext): Promise<Present> {
  account.checkRegion(want.location.region);
  machineLabels(want);
  const resumed = resumedOperation(context.resumed);
  const start = resumed
    ? await placeOf(account, want, resumed)
    : ((await placed(account, want)) ?? (await create(account, want, context)));
  context.signal.throwIfAborted();
  try {
    const machine = await converge(account, start, want.spec, context);
    if (!machine)
      throw new ProviderError('OutcomeUnknown', `${start.name} was asked for and cannot be seen yet`, {
        providerCode: 'notVisible',
      });
    if (!carries(machine.labels, want.stamp)) throw notOurs(machineRef(machine));
    return await toPresent(account, machine, want.spec);
  } catch (error) {
    throw await naming(account, error, want.stamp, () => whatExists(account, want.stamp, start.zone));
  }
}

interface Start {
  zone: string;
  name: string;
  operation?: OperationRef;
}

/** Where the machine is that an earlier try had begun with: its last operation may have been another thing's. */
async function placeOf(account: Account, want: Want, operation: OperationRef): Promise<Start> {
  const [level, zone = ''] = operation.scope.split('/');
  const known = parseRef('instances', want.adopted?.ref);
  const name = known?.name ?? machineName(want.stamp);
  if (level === 'zones') return { zone, name, operation };
  const found = await placed(account, want);
  return found ? { ...found, operation } : { zone: await zoneFor(account, want.location), name, operation };
}

/**
 * The attempt's machine, in whatever zone it is: an earlier try of this call may have made it (R1). One that was adopted has kept
 * its name: its reference is what shows it at once.
 */
async function placed(account: Account, want: Want): Promise<Start | undefined> {
  const [machine] = await findMachines(account, { ...want, ref: want.adopted?.ref });
  return machine && { zone: machine.zone, name: machine.name };
}

async function create(account: Account, want: Want, context: CallContext): Promise<Start> {
  const zone = await zoneFor(account, want.location);
  context.signal.throwIfAborted();
  try {
    const operation = await startCreate(account, want, zone, context);
    return { zone, name: machineName(want.stamp), operation };
  } catch (error) {
    // A name of ours may be taken: by a disk that an earlier failure left, or by somebody else.
    if (!isProviderError(error, 'Conflict')) throw error;
    throw await naming(account, error, want.stamp, () => whatExists(account, want.stamp, zone));
  }
}

/** References of everything with the stamp. By name first: labels are seen late. */
async function whatExists(account: Account, stamp: Want['stamp'], zone: string): Promise<string[]> {
  const target = { stamp, location: { region: regionOf(zone), zone } };
  const machines = await findMachines(account, target);
  const others = await Promise.all([findDisks(account, target), find(account, 'firewalls', target)]);
  return [
    ...machines.flatMap((machine) => [machineRef(machine), ...bootDisksOf(machine)]),
    ...others.flat().map(({ ref }) => ref),
  ];
}

async function observe(account: Account, target: Target, want?: Want): Promise<Observation> {
  const [machine] = await findMachines(account, target);
  if (machine) {
    const present = await toPresent(account, machine, want?.spec);
    const isSpot = machine.scheduling?.provisioningModel === 'SPOT';
    if (isSpot && !['running', 'pending'].includes(present.details.power))
      present.details.interrupted = await interruptionOf(
        account,
        machine.zone,
        machine.name,
        machine.lastStartTimestamp,
      );
    return present;
  }
  const at = parseRef('instances', target.ref);
  const interrupted = at && (await interruptionOf(account, lastOf(at.scope), at.name));
  if (interrupted) return { presence: 'absent', interrupted };
  const left = graceLeftMs(account, target);
  return left > 0
    ? { presence: 'unsettled', retryAfterMs: Math.min(left, account.pollMs) }
    : { presence: 'absent' };
}

const whyNoNetwork =
  'a network has no labels at Google Cloud, and its description, once it is made, cannot be changed: it has no place for our stamp';
const whyNoFirewall =
  'a firewall rule has no labels at Google Cloud to say whose it is, and may deny, have a priority, name tags or service accounts as sources, and rule what goes out: Landfall’s rules have no words for these';

function description(account: Account): Description {
  if (account.regions.length === 0)
    throw new ProviderError('Invalid', 'a Google Cloud site needs at least one region');
  const { regions, endpoint, visibilityGraceMs } = account;
  return {
    provider: 'gcp',
    visibilityGraceMs,
    capabilities: [
      capability('Instance'),
      capability('Volume'),
      capability('Snapshot'),
      capability('Image'),
      capability('Network', notAdopted(whyNoNetwork)),
      capability('Firewall', notAdopted(whyNoFirewall)),
      capability('Address'),
    ],
    facts: {
      regions: regions.join(', '),
      endpoint: endpoint ?? 'Google Cloud',
      network:
        'machines without a network of yours join the project’s default network; where a public address is asked for, SSH may come in',
      keys: 'SSH keys reach the guest by Google’s guest agent; user data needs an image with cloud-init',
      spot: 'a spot machine that is interrupted is deleted',
      labels: 'networks and firewalls have no labels at Google: theirs are known to the broker alone',
      volumes: 'standard is pd-balanced, ssd is pd-ssd; a volume attaches in its own zone',
      imports: importableFrom.gcp,
      images: 'an image of a running machine holds what its disk has at that moment, as after a power cut',
    },
  };
}
