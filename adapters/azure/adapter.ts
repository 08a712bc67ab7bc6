import { importableFrom } from '@landfall/model/image-sources.ts';
import type { Adapter, CallContext, Description, Observation, Present, Target, Want } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { capability, notAdopted, overAdopting, overKinds } from '../kinds.ts';
import { adoptMachine } from './adopt.ts';
import { virtualNetworks } from './adopt-network.ts';
import { adoptingOther, disks, snapshots as ofDisks, ownImages, publicAddresses } from './adopt-other.ts';
import { type Account, type AzureAdapterOptions, openAccount } from './clients.ts';
import { readConsole } from './console.ts';
import { converge } from './converge.ts';
import { checkWant, createMachine } from './create.ts';
import { images, whyNoPublish } from './custom-image.ts';
import { discoverMachines } from './discover.ts';
import { evictionOf } from './eviction.ts';
import { firewalls } from './firewall.ts';
import { listPage } from './list.ts';
import { failureOf, findMachine, findTarget, stateOf, toPresent } from './machine.ts';
import { madeAt, naming, placeOf } from './objects.ts';
import { readOffers, readQuota } from './offers.ts';
import { networks } from './private-network.ts';
import { releaseResource } from './release.ts';
import { graceLeftMs, removeResource } from './remove.ts';
import { addresses } from './reserved-address.ts';
import { resumeCreate } from './resume.ts';
import { snapshots } from './snapshot.ts';
import { stepMachine } from './step.ts';
import { volumes } from './volume.ts';

/** The adapter contract over Azure Resource Manager. See `AzureAdapterOptions`; errors are those of rule A7. */
export function createAzureAdapter(options: AzureAdapterOptions): Adapter {
  return adapterOver(openAccount(options));
}

/** The same over an account that is open already. */
export function adapterOver(account: Account): Adapter {
  const Volume = volumes(account);
  const Snapshot = snapshots(account);
  const Address = addresses(account);
  const Network = networks(account);
  const Image = images(account);
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
      Volume,
      Snapshot,
      Image,
      Network,
      Firewall: firewalls(account),
      Address,
    }),
    list: (broker, page) => listPage(account, broker, page),
    ...overAdopting({
      Instance: {
        discover: (query, context) => discoverMachines(account, query, context),
        adopt: (want, context) => adoptMachine(account, want, context),
        release: (target, context) => releaseResource(account, target, context),
      },
      Volume: adoptingOther(account, Volume, disks),
      Snapshot: adoptingOther(account, Snapshot, ofDisks),
      Address: adoptingOther(account, Address, publicAddresses),
      Image: adoptingOther(account, Image, ownImages),
      Network: adoptingOther(account, Network, virtualNetworks),
      Firewall: whyNoFirewall,
    }),
    console: (target, maxBytes) => readConsole(account, target, maxBytes),
  };
}

async function ensure(account: Account, want: Want, context: CallContext): Promise<Present> {
  const { location, spec, stamp, adopted } = want;
  account.checkRegion(location.region);
  const begun = await naming(account, want, resumeCreate(account, context));
  // One that was adopted has kept its name.
  const place = placeOf(adopted?.ref) ?? madeAt(stamp, location.region);
  const find = () => findMachine(account, place, stamp);
  const found = await find();
  context.signal.throwIfAborted();
  if (!found && !begun) await createMachine(account, want, context);
  const machine = await naming(
    account,
    want,
    converge(account, context, {
      name: `the machine ${place.name}`,
      find,
      stateOf,
      failureOf,
      step: (seen, run) => stepMachine(account, seen, place, want, run),
    }),
  );
  // Made, and not to be seen for as long as this call may wait.
  if (!machine) throw new ProviderError('OutcomeUnknown', `the machine ${place.name} cannot be seen yet`);
  return toPresent(account, { machine, place }, spec);
}

async function observe(account: Account, target: Target<'Instance'>, want?: Want): Promise<Observation> {
  const found = await findTarget(account, target);
  if (found) return toPresent(account, found, want?.spec);
  const left = graceLeftMs(account, target);
  if (left > 0) return { presence: 'unsettled', retryAfterMs: Math.min(left, account.pollMs) };
  const isSpot = want === undefined || want.spec.market === 'spot';
  const interrupted = target.ref && isSpot ? await evictionOf(account, target.ref) : undefined;
  return interrupted ? { presence: 'absent', interrupted } : { presence: 'absent' };
}

const whyNoFirewall =
  'a security group holds for subnets and interfaces, not for labels, and its rules may deny, have priorities, service tags and IPv6: Landfall’s rules have no words for these';

function description(account: Account): Description {
  if (account.regions.length === 0)
    throw new ProviderError('Invalid', 'an Azure site needs at least one region');
  return {
    provider: 'azure',
    visibilityGraceMs: account.visibilityGraceMs,
    capabilities: [
      capability('Instance'),
      capability('Volume'),
      capability('Snapshot'),
      capability('Image', { publish: whyNoPublish }),
      capability('Network'),
      capability('Firewall', notAdopted(whyNoFirewall)),
      capability('Address'),
    ],
    facts: {
      regions: account.regions.join(', '),
      endpoint: account.endpoint ?? 'Azure',
      subscription: account.subscription,
      imports: importableFrom.azure,
      stop: 'stopping deallocates: the machine is no longer paid for, its disk and address are',
      spot: 'an evicted spot machine is deleted; that it was evicted is told by Azure’s Activity Log, some minutes later',
      address: 'a reserved address takes the place of the instance’s own while it is attached',
      network:
        'in an adopted network the security groups of its subnets are its owner’s, and firewalls are refused',
      volume: 'past 4 TiB a volume grows only while its instance is stopped or it is not attached',
    },
  };
}
