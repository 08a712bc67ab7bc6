import type { EC2Client } from '@aws-sdk/client-ec2';
import { importableFrom } from '@landfall/model/image-sources.ts';
import type {
  Adapter,
  CallContext,
  Description,
  Interruption,
  Observation,
  Present,
  Target,
  Want,
} from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { capability, notAdopted, overAdopting, overKinds } from '../kinds.ts';
import { addressShape } from './address.ts';
import { adoptMachine } from './adopt.ts';
import { adoptingOther } from './adopt-other.ts';
import { type Account, type AwsAdapterOptions, openAccount } from './clients.ts';
import { readConsole } from './console.ts';
import { converge } from './converge.ts';
import { createMachine, dryRun } from './create.ts';
import { imageShape } from './custom-image.ts';
import { discoverMachines } from './discover.ts';
import { firewallShape } from './firewall.ts';
import { imageAdapter } from './image-import.ts';
import { listPage } from './list.ts';
import {
  childrenOf,
  deathOf,
  findById,
  findMachines,
  interruptionOf,
  isDead,
  type Machine,
  stateOf,
  toPresent,
} from './machine.ts';
import { readOffers, readQuota } from './offers.ts';
import { releaseMachine } from './release.ts';
import { graceLeftMs, removeMachine } from './remove.ts';
import { resourceAdapter } from './resource.ts';
import { snapshotShape } from './snapshot.ts';
import { endOfRequest } from './spot-request.ts';
import { carries } from './stamp.ts';
import { volumeShape } from './volume.ts';
import { networkShape } from './vpc.ts';

/** The adapter contract over EC2. See `AwsAdapterOptions` for what it needs; errors are those of rule A7. */
export function createAwsAdapter(options: AwsAdapterOptions): Adapter {
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
        validate: (want) => dryRun(account, want),
        observe: (target, want) => observe(account, target, want),
        ensure: (want, context) => ensure(account, want, context),
        remove: (target, context) => removeMachine(account, target, context),
      },
      Volume: resourceAdapter(account, volumeShape),
      Snapshot: resourceAdapter(account, snapshotShape),
      Image: imageAdapter(account),
      Network: resourceAdapter(account, networkShape),
      Firewall: resourceAdapter(account, firewallShape),
      Address: resourceAdapter(account, addressShape),
    }),
    list: (broker, page) => listPage(account, broker, page),
    ...overAdopting({
      Instance: {
        discover: (query, context) => discoverMachines(account, query, context),
        adopt: (want, context) => adoptMachine(account, want, context),
        release: (target, context) => releaseMachine(account, target, context),
      },
      Volume: adoptingOther(account, volumeShape),
      Snapshot: adoptingOther(account, snapshotShape),
      Address: adoptingOther(account, addressShape),
      Image: adoptingOther(account, imageShape),
      Network: adoptingOther(account, networkShape),
      Firewall: whyNoFirewall,
    }),
    console: (target, maxBytes) => readConsole(account, target, maxBytes),
  };
}

async function ensure(account: Account, want: Want, context: CallContext): Promise<Present> {
  const { location, spec, stamp } = want;
  account.checkRegion(location.region);
  const ec2 = account.ec2(location.region);
  const known = await resumed(account, want, context);
  // By stamp before anything is made: an earlier try of this call may have succeeded without our hearing of it (R1).
  const found = known ?? (await findMachines(ec2, { stamp }))[0];
  context.signal.throwIfAborted();
  const machine = found ?? (await createMachine(account, ec2, want, context));
  if (isDead(machine)) throw deathOf(machine);
  const converged = await naming(machine, converge(account, ec2, machine, spec, context));
  return toPresent(ec2, location.region, converged, spec);
}

/**
 * Adds the machine to what an error says exists: no capacity to start a stopped machine is another thing than no
 * capacity to make one, and nobody may replace the user's machine for it (R11).
 */
async function naming<T>(machine: Machine, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof ProviderError) || error.details.made) throw error;
    const details = { ...error.details, made: [machine.InstanceId, ...childrenOf(machine)] };
    throw new ProviderError(error.code, error.message, details, error.cause ?? error);
  }
}

/** The machine that an earlier try of this call had found or made: its id can be seen before its tags can. */
async function resumed(account: Account, want: Want, context: CallContext): Promise<Machine | undefined> {
  const details = context.resumed;
  const ref = typeof details === 'object' && details && 'ref' in details ? details.ref : undefined;
  if (typeof ref !== 'string') return undefined;
  const machine = await findById(account.ec2(want.location.region), ref);
  return machine && carries(machine.Tags, want.stamp) ? machine : undefined;
}

async function observe(account: Account, target: Target, want?: Want): Promise<Observation> {
  const ec2 = account.ec2(target.location.region);
  const machines = await findMachines(ec2, target);
  const machine = machines.find((candidate) => stateOf(candidate) !== 'terminated');
  if (machine) return toPresent(ec2, target.location.region, machine, want?.spec);
  const interrupted = machines[0] && interruptionOf(machines[0]);
  if (interrupted) return { presence: 'absent', interrupted };
  const left = graceLeftMs(account, target);
  if (left > 0) return { presence: 'unsettled', retryAfterMs: Math.min(left, account.pollMs) };
  const isSpot = want === undefined || want.spec.market === 'spot';
  const end = target.ref && isSpot ? await endOf(account, ec2, target.ref) : undefined;
  return end ? { presence: 'absent', interrupted: end } : { presence: 'absent' };
}

/** Who may not read spot requests knows nothing of why; that the machine is gone is known all the same. */
async function endOf(account: Account, ec2: EC2Client, ref: string): Promise<Interruption | undefined> {
  try {
    return await endOfRequest(ec2, ref);
  } catch (error) {
    if (!isProviderError(error, 'Denied')) throw error;
    account.warn(`the spot request of ${ref} could not be read: ${error.message}`, error);
    return undefined;
  }
}

const whyNoFirewall =
  'a security group holds for what names it, not for labels, and its rules may name other groups, prefix lists, IPv6 and what goes out: Landfall’s rules have no words for these';

function description(account: Account): Description {
  if (account.regions.length === 0)
    throw new ProviderError('Invalid', 'an AWS site needs at least one region');
  return {
    provider: 'aws',
    visibilityGraceMs: account.visibilityGraceMs,
    capabilities: [
      capability('Instance'),
      capability('Volume'),
      capability('Snapshot'),
      capability('Image'),
      capability('Network'),
      capability('Firewall', notAdopted(whyNoFirewall)),
      capability('Address'),
    ],
    facts: {
      regions: account.regions.join(', '),
      endpoint: account.endpoint ?? 'AWS',
      imports: importableFrom.aws,
      keys: 'SSH keys reach the guest by cloud-init',
      volumes: 'both types are gp3; EC2 changes the size of one at most every six hours',
      spot: 'one-time requests: a spot machine can be rebooted and deleted, not stopped or resized',
    },
  };
}
