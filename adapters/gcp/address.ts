import { ProviderError } from '../errors.ts';
import type { Account } from './clients.ts';
import { parseRef, read, refOfLink, type Thing, wantedRef, writeLabels } from './collections.ts';
import type { Next } from './drive.ts';
import { betterLabels, differsInLabels, kindLabels } from './labels.ts';
import type { KindLife } from './life.ts';
import { operationOf } from './operation.ts';
import { lastOf, regionOf } from './places.ts';
import { descriptionOf, stampAsLabels } from './stamp.ts';

/** A machine's one way out: Compute Engine gives an interface at most one. */
export const accessConfig = { type: 'ONE_TO_ONE_NAT', name: 'External NAT' };

/**
 * An address is a static external one of the region. It can have labels, but only once it is there: it is born with the stamp in
 * name and description. An address that a machine had by itself is given up for it, and comes back with the next `ensure` of a
 * machine that wants one.
 */
export const addressLife: KindLife<'Address', 'addresses'> = {
  kind: 'Address',
  collection: 'addresses',
  adoptable: true,
  check({ spec, location }) {
    kindLabels(spec);
    if (spec.attachedTo === undefined) return;
    const { scope } = wantedRef('instances', spec.attachedTo, '/attachedTo');
    if (regionOf(lastOf(scope)) !== location.region)
      throw new ProviderError('Invalid', `${spec.attachedTo} is in another region than the address`, {
        field: '/attachedTo',
      });
  },
  insert: (account, { stamp }, { name, scope, requestId }) =>
    account.inProject(async (project) =>
      account.clients.addresses.insert(
        {
          project,
          region: lastOf(scope),
          requestId,
          addressResource: { name, description: descriptionOf(stamp), addressType: 'EXTERNAL' },
        },
        account.call,
      ),
    ),
  async step(account, { spec, stamp }, { main }) {
    const labels = betterLabels(main, spec);
    if (labels) return writeLabels(account, main, { ...labels, ...stampAsLabels(stamp) });
    const attached = attachedTo(main);
    if (attached === spec.attachedTo) return 'converged';
    return attached === undefined
      ? attach(account, main, spec.attachedTo ?? '')
      : release(account, main, attached);
  },
  details({ main }) {
    return { address: main.body.address ?? '', attachedTo: attachedTo(main), children: [] };
  },
  diff({ main }, { spec }) {
    const diff = differsInLabels(main, spec);
    if (attachedTo(main) !== spec.attachedTo) diff.push('attachedTo');
    return diff;
  },
};

function attachedTo({ body }: Thing<'addresses'>): string | undefined {
  const [user] = body.users ?? [];
  return user ? refOfLink(user) : undefined;
}

async function machineAt(account: Account, ref: string): Promise<Thing<'instances'> | undefined> {
  const named = parseRef('instances', ref);
  return named && read(account, { ...named, collection: 'instances' });
}

async function attach(account: Account, address: Thing<'addresses'>, ref: string): Promise<Next> {
  const machine = await machineAt(account, ref);
  if (!machine) throw new ProviderError('Invalid', `there is no ${ref}`, { field: '/attachedTo' });
  const [nic] = machine.body.networkInterfaces ?? [];
  const [taken] = nic?.accessConfigs ?? [];
  if (taken) return deleteConfig(account, machine, taken.name ?? '');
  return addAccessConfig(account, machine, address.body.address ?? undefined);
}

/** Gives a machine a way out: by this address, or by one that Google picks. */
export async function addAccessConfig(
  account: Account,
  machine: { scope: string; name: string; body: Thing<'instances'>['body'] },
  natIP?: string,
): Promise<Next> {
  const request = {
    project: await account.project(),
    zone: lastOf(machine.scope),
    instance: machine.name,
    networkInterface: machine.body.networkInterfaces?.[0]?.name ?? 'nic0',
    accessConfigResource: { ...accessConfig, natIP },
  };
  return operationOf(account.clients.instances.addAccessConfig(request, account.call));
}

async function release(account: Account, address: Thing<'addresses'>, ref: string): Promise<Next> {
  const machine = await machineAt(account, ref);
  const configs = machine?.body.networkInterfaces?.flatMap((nic) => nic.accessConfigs ?? []) ?? [];
  const config = configs.find(({ natIP }) => natIP === address.body.address);
  // Not a machine, or one that is going: it lets go of the address by itself.
  if (!machine || !config) return 'waiting';
  return deleteConfig(account, machine, config.name ?? '');
}

async function deleteConfig(account: Account, machine: Thing<'instances'>, name: string): Promise<Next> {
  const request = {
    project: await account.project(),
    zone: lastOf(machine.scope),
    instance: machine.name,
    networkInterface: machine.body.networkInterfaces?.[0]?.name ?? 'nic0',
    accessConfig: name,
  };
  return operationOf(account.clients.instances.deleteAccessConfig(request, account.call));
}
