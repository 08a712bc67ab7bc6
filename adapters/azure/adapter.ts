import type { Adapter, CallContext, Description, Observation, Present, Target, Want } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { capability, incapable, overKinds } from '../kinds.ts';
import { type Account, type AzureAdapterOptions, openAccount } from './clients.ts';
import { readConsole } from './console.ts';
import { converge } from './converge.ts';
import { checkWant, createMachine, resumeCreate } from './create.ts';
import { listPage } from './list.ts';
import { attemptsOf, findMachine, toPresent } from './machine.ts';
import { idOf, objectKinds } from './objects.ts';
import { readOffers, readQuota } from './offers.ts';
import { graceLeftMs, removeMachine } from './remove.ts';
import { groupName, objectName } from './stamp.ts';

/** The adapter contract over Azure Resource Manager. See `AzureAdapterOptions`; errors are those of rule A7. */
export function createAzureAdapter(options: AzureAdapterOptions): Adapter {
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
  const { location, spec, stamp } = want;
  account.checkRegion(location.region);
  await naming(account, want, resumeCreate(account, context));
  const found = await findMachine(account, location.region, stamp);
  context.signal.throwIfAborted();
  if (!found) await createMachine(account, want, context);
  const machine = await naming(account, want, converge(account, want, context));
  // Made, and not to be seen for as long as this call may wait.
  if (!machine)
    throw new ProviderError('OutcomeUnknown', `the machine ${objectName(stamp)} cannot be seen yet`);
  return toPresent(account, location.region, machine, stamp, spec);
}

/**
 * Adds the machine to what an error says exists: no capacity to start a stopped machine is another thing than no
 * capacity to make one, and nobody may replace the user's machine for it (R11).
 */
async function naming<T>(account: Account, { stamp, location }: Want, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof ProviderError) || error.details.made) throw error;
    const group = groupName(stamp.broker, location.region);
    const made = objectKinds.map((kind) => idOf(account, group, kind, objectName(stamp)));
    throw new ProviderError(error.code, error.message, { ...error.details, made }, error.cause ?? error);
  }
}

async function observe(account: Account, target: Target, want?: Want): Promise<Observation> {
  const { region } = target.location;
  for (const stamp of await attemptsOf(account, target)) {
    const machine = await findMachine(account, region, stamp);
    if (machine) return toPresent(account, region, machine, stamp, want?.spec);
  }
  const left = graceLeftMs(account, target);
  return left > 0
    ? { presence: 'unsettled', retryAfterMs: Math.min(left, account.pollMs) }
    : { presence: 'absent' };
}

function description(account: Account): Description {
  if (account.regions.length === 0)
    throw new ProviderError('Invalid', 'an Azure site needs at least one region');
  return {
    provider: 'azure',
    visibilityGraceMs: account.visibilityGraceMs,
    capabilities: [capability('Instance'), ...otherKinds],
    facts: {
      regions: account.regions.join(', '),
      endpoint: account.endpoint ?? 'Azure',
      subscription: account.subscription,
      stop: 'stopping deallocates: the machine is no longer paid for, its disk and address are',
      spot: 'an evicted spot machine is deleted',
    },
  };
}

const otherKinds = (['Volume', 'Snapshot', 'Image', 'Network', 'Firewall', 'Address'] as const).map((kind) =>
  incapable(kind, 'not there yet'),
);
