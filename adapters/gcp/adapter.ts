import type { Adapter, CallContext, Description, Observation, Present, Target, Want } from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { adoptsNothing, capability, overKinds } from '../kinds.ts';
import { addressLife } from './address.ts';
import { type Account, type GcpAdapterOptions, openAccount } from './clients.ts';
import { find, notOurs } from './collections.ts';
import { readConsole } from './console.ts';
import { converge } from './converge.ts';
import { checkWant, startCreate } from './create.ts';
import { customImageLife, noImport } from './custom-image.ts';
import { findDisks } from './disks.ts';
import { firewallLife } from './firewall.ts';
import { kindAdapter } from './life.ts';
import { listPage } from './list.ts';
import { bootDisksOf, findMachines, machineRef, toPresent } from './machine.ts';
import { naming } from './made.ts';
import { networkLife } from './network.ts';
import { readOffers, readQuota } from './offers.ts';
import { type OperationRef, resumedOperation } from './operation.ts';
import { regionOf, zoneFor } from './places.ts';
import { graceLeftMs, removeMachine } from './remove.ts';
import { snapshotLife } from './snapshot.ts';
import { carries, machineLabels, machineName } from './stamp.ts';
import { volumeLife } from './volume.ts';

/** Why nothing of it is found and made ours. */
const notAdopted = 'what exists at Google Cloud without Landfall cannot be adopted yet';

/** The adapter contract over Compute Engine. See `GcpAdapterOptions` for what it needs; errors are those of rule A7. */
export function createGcpAdapter(options: GcpAdapterOptions): Adapter {
  const account = openAccount(options);
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
    ...adoptsNothing(notAdopted),
    list: (broker, page) => listPage(account, broker, page),
    console: (target, maxBytes) => readConsole(account, target, maxBytes),
  };
}

async function ensure(account: Account, want: Want, context: CallContext): Promise<Present> {
  account.checkRegion(want.location.region);
  machineLabels(want);
  const name = machineName(want.stamp);
  const resumed = resumedOperation(context.resumed);
  const start = resumed
    ? await placeOf(account, want, resumed)
    : ((await placed(account, want)) ?? (await create(account, want, context)));
  context.signal.throwIfAborted();
  try {
    const machine = await converge(account, { ...start, name }, want.spec, context);
    if (!machine)
      throw new ProviderError('OutcomeUnknown', `${name} was asked for and cannot be seen yet`, {
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
  operation?: OperationRef;
}

/** Where the machine is that an earlier try had begun with: its last operation may have been another thing's. */
async function placeOf(account: Account, want: Want, operation: OperationRef): Promise<Start> {
  const [level, zone = ''] = operation.scope.split('/');
  if (level === 'zones') return { zone, operation };
  const found = await placed(account, want);
  return { zone: found?.zone ?? (await zoneFor(account, want.location)), operation };
}

/** The attempt's machine, in whatever zone it is: an earlier try of this call may have made it (R1). */
async function placed(account: Account, want: Want): Promise<Start | undefined> {
  const [machine] = await findMachines(account, want);
  return machine && { zone: machine.zone };
}

async function create(account: Account, want: Want, context: CallContext): Promise<Start> {
  const zone = await zoneFor(account, want.location);
  context.signal.throwIfAborted();
  try {
    return { zone, operation: await startCreate(account, want, zone, context) };
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
  if (machine) return toPresent(account, machine, want?.spec);
  const left = graceLeftMs(account, target);
  return left > 0
    ? { presence: 'unsettled', retryAfterMs: Math.min(left, account.pollMs) }
    : { presence: 'absent' };
}

function description(account: Account): Description {
  if (account.regions.length === 0)
    throw new ProviderError('Invalid', 'a Google Cloud site needs at least one region');
  const { regions, endpoint, visibilityGraceMs } = account;
  return {
    provider: 'gcp',
    visibilityGraceMs,
    capabilities: [
      capability('Instance', { adopt: notAdopted }),
      capability('Volume', { adopt: notAdopted }),
      capability('Snapshot', { adopt: notAdopted }),
      capability('Image', { import: noImport, adopt: notAdopted }),
      capability('Network', { adopt: notAdopted }),
      capability('Firewall', { adopt: notAdopted }),
      capability('Address', { adopt: notAdopted }),
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
      images: 'an image of a running machine holds what its disk has at that moment, as after a power cut',
    },
  };
}
