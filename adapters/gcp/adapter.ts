import type { Adapter, CallContext, Description, Observation, Present, Target, Want } from '../contract.ts';
import { isProviderError, ProviderError } from '../errors.ts';
import { capability, incapable, overKinds } from '../kinds.ts';
import { type Account, type GcpAdapterOptions, openAccount } from './clients.ts';
import { readConsole } from './console.ts';
import { converge, partsOf } from './converge.ts';
import { checkWant, startCreate, zoneFor } from './create.ts';
import { findDisks } from './disks.ts';
import { listPage } from './list.ts';
import { findMachines, notOurs, regionOf, toPresent } from './machine.ts';
import { readOffers, readQuota } from './offers.ts';
import { type OperationRef, resumedOperation } from './operation.ts';
import { graceLeftMs, removeMachine } from './remove.ts';
import { carries, machineLabels, machineName } from './stamp.ts';

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
    }),
    list: (broker, page) => listPage(account, broker, page),
    console: (target, maxBytes) => readConsole(account, target, maxBytes),
  };
}

async function ensure(account: Account, want: Want, context: CallContext): Promise<Present> {
  account.checkRegion(want.location.region);
  machineLabels(want);
  const name = machineName(want.stamp);
  const under = resumedOperation(context.resumed);
  const start = under ?? (await find(account, want)) ?? (await create(account, want, context));
  context.signal.throwIfAborted();
  try {
    const machine = await converge(account, { ...start, name }, want.spec, context);
    if (!machine)
      throw new ProviderError('OutcomeUnknown', `${name} was asked for and cannot be seen yet`, {
        providerCode: 'notVisible',
      });
    if (!carries(machine.labels, want.stamp)) throw notOurs(machine);
    return await toPresent(account, machine, want.spec);
  } catch (error) {
    throw await naming(account, error, want.stamp, start.zone);
  }
}

/** The attempt's machine, in whatever zone it is: an earlier try of this call may have made it (R1). */
async function find(
  account: Account,
  want: Want,
): Promise<(Partial<OperationRef> & { zone: string }) | undefined> {
  const [machine] = await findMachines(account, want);
  return machine && { zone: machine.zone };
}

async function create(
  account: Account,
  want: Want,
  context: CallContext,
): Promise<Partial<OperationRef> & { zone: string }> {
  const zone = await zoneFor(account, want.location);
  context.signal.throwIfAborted();
  try {
    return { zone, operation: await startCreate(account, want, zone) };
  } catch (error) {
    // A name of ours may be taken: by a disk that an earlier failure left, or by somebody else.
    throw isProviderError(error, 'Conflict') ? await naming(account, error, want.stamp, zone) : error;
  }
}

/** References of everything with the stamp. By name first: labels are seen late. */
async function whatExists(account: Account, stamp: Want['stamp'], zone: string): Promise<string[]> {
  const machines = await findMachines(account, { stamp, location: { region: regionOf(zone), zone } });
  const disks = await findDisks(account, stamp);
  return [...new Set([...machines.flatMap(partsOf), ...disks.map(({ ref }) => ref)])];
}

/**
 * The error with what exists (A9): no capacity to start a stopped machine is another thing than none to make one (R11). When
 * even looking fails, the error alone is what is known.
 */
async function naming(
  account: Account,
  error: unknown,
  stamp: Want['stamp'],
  zone: string,
): Promise<unknown> {
  if (!(error instanceof ProviderError)) return error;
  const found = await whatExists(account, stamp, zone).catch((failure: Error) => {
    account.warn(`what is left of ${stamp.resource} could not be read: ${failure.message}`, failure);
    return [];
  });
  const made = [...new Set([...(error.details.made ?? []), ...found])];
  return new ProviderError(error.code, error.message, { ...error.details, made }, error.cause ?? error);
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
    capabilities: [capability('Instance'), ...otherKinds],
    facts: {
      regions: regions.join(', '),
      endpoint: endpoint ?? 'Google Cloud',
      network: 'machines join the project’s default network, whose firewall rules decide who reaches them',
      keys: 'SSH keys reach the guest by Google’s guest agent; user data needs an image with cloud-init',
      spot: 'a spot machine that is interrupted is deleted',
    },
  };
}

const otherKinds = (['Volume', 'Snapshot', 'Image', 'Network', 'Firewall', 'Address'] as const).map((kind) =>
  incapable(kind, 'not there yet'),
);
