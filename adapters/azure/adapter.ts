import type { Adapter, CallContext, Description, Observation, Present, Target, Want } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { adoptsNothing, capability, overKinds } from '../kinds.ts';
import { type Account, type AzureAdapterOptions, openAccount } from './clients.ts';
import { readConsole } from './console.ts';
import { converge } from './converge.ts';
import { checkWant, createMachine } from './create.ts';
import { imageReasons, images } from './custom-image.ts';
import { firewalls } from './firewall.ts';
import { listPage } from './list.ts';
import { failureOf, findMachine, stateOf, toPresent } from './machine.ts';
import { naming } from './objects.ts';
import { readOffers, readQuota } from './offers.ts';
import { networks } from './private-network.ts';
import { graceLeftMs, removeResource } from './remove.ts';
import { addresses } from './reserved-address.ts';
import { resumeCreate } from './resume.ts';
import { snapshots } from './snapshot.ts';
import { objectName } from './stamp.ts';
import { stepMachine } from './step.ts';
import { attemptsOf } from './tagged.ts';
import { volumes } from './volume.ts';

/** Why nothing of it is found and made ours. */
const notAdopted = 'what exists at Azure without Landfall cannot be adopted yet';

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
        remove: (target, context) => removeResource(account, target, context),
      },
      Volume: volumes(account),
      Snapshot: snapshots(account),
      Image: images(account),
      Network: networks(account),
      Firewall: firewalls(account),
      Address: addresses(account),
    }),
    ...adoptsNothing(notAdopted),
    list: (broker, page) => listPage(account, broker, page),
    console: (target, maxBytes) => readConsole(account, target, maxBytes),
  };
}

async function ensure(account: Account, want: Want, context: CallContext): Promise<Present> {
  const { location, spec, stamp } = want;
  account.checkRegion(location.region);
  const begun = await naming(account, want, resumeCreate(account, context));
  const found = await findMachine(account, location.region, stamp);
  context.signal.throwIfAborted();
  if (!found && !begun) await createMachine(account, want, context);
  const machine = await naming(
    account,
    want,
    converge(account, context, {
      name: `the machine ${objectName(stamp)}`,
      find: () => findMachine(account, location.region, stamp),
      stateOf,
      failureOf,
      step: (seen, run) => stepMachine(account, seen, want, run),
    }),
  );
  // Made, and not to be seen for as long as this call may wait.
  if (!machine)
    throw new ProviderError('OutcomeUnknown', `the machine ${objectName(stamp)} cannot be seen yet`);
  return toPresent(account, location.region, machine, stamp, spec);
}

async function observe(account: Account, target: Target<'Instance'>, want?: Want): Promise<Observation> {
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
    capabilities: [
      capability('Instance', { adopt: notAdopted }),
      capability('Volume', { adopt: notAdopted }),
      capability('Snapshot', { adopt: notAdopted }),
      capability('Image', { ...imageReasons, adopt: notAdopted }),
      capability('Network', { adopt: notAdopted }),
      capability('Firewall', { adopt: notAdopted }),
      capability('Address', { adopt: notAdopted }),
    ],
    facts: {
      regions: account.regions.join(', '),
      endpoint: account.endpoint ?? 'Azure',
      subscription: account.subscription,
      stop: 'stopping deallocates: the machine is no longer paid for, its disk and address are',
      spot: 'an evicted spot machine is deleted',
      address: 'a reserved address takes the place of the instance’s own while it is attached',
      volume: 'past 4 TiB a volume grows only while its instance is stopped or it is not attached',
    },
  };
}
