import type { VirtualMachine } from '@azure/arm-compute';
import type { CallContext } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, changing } from './clients.ts';
import { type ObjectKind, type Place, type Poller, type Seen, settle } from './objects.ts';
import type { Tags } from './stamp.ts';

/**
 * Writes all tags of an object and waits for the end. A machine's are written on the condition that it is as it was read (its ETag);
 * the other kinds know no condition.
 * @throws ProviderError `Conflict` when a machine is not as it was read, or something is under way with it.
 */
export async function writeTags(
  account: Account,
  kind: ObjectKind,
  { group, name }: Place,
  object: Seen,
  tags: Tags,
  context: CallContext,
): Promise<void> {
  const { compute, network } = account;
  const body = { tags };
  const change = (): Poller | Promise<unknown> => {
    switch (kind) {
      case 'virtualMachine':
        return compute.virtualMachines.update(group, name, body, { ifMatch: versionOf(name, object) });
      case 'disk':
        return compute.disks.update(group, name, body);
      case 'snapshot':
        return compute.snapshots.update(group, name, body);
      case 'image':
        return compute.images.update(group, name, body);
      case 'networkInterface':
        return network.networkInterfaces.updateTags(group, name, body);
      case 'publicIPAddress':
        return network.publicIPAddresses.updateTags(group, name, body);
      case 'virtualNetwork':
        return network.virtualNetworks.updateTags(group, name, body);
      case 'networkSecurityGroup':
        return network.networkSecurityGroups.updateTags(group, name, body);
      case 'applicationSecurityGroup':
        return network.applicationSecurityGroups.updateTags(group, name, body);
    }
  };
  const begun = change();
  if (!('submitted' in begun)) return void (await changing(begun));
  await changing(begun.submitted());
  await settle(account, begun, context);
}

/**
 * Adds tags to an object, or takes those away that have these values, and leaves its others as they are, whoever writes them at the
 * same time: for objects whose own update writes all tags and knows no condition.
 */
export async function changeTags(
  account: Account,
  ref: string,
  operation: 'Merge' | 'Delete',
  tags: Tags,
  context: CallContext,
): Promise<void> {
  const change = { operation, properties: { tags } };
  // The SDK writes a slash before what it is given.
  const begun = account.resources.tagsOperations.updateAtScope(ref.replace(/^\//, ''), change);
  await changing(begun.submitted());
  await settle(account, begun, context);
}

function versionOf(name: string, { etag }: Pick<VirtualMachine, 'etag'>): string {
  if (etag) return etag;
  throw new ProviderError(
    'Conflict',
    `Azure tells no version of ${name} by which two writers could be kept apart`,
    { providerCode: 'NotOurs' },
  );
}
