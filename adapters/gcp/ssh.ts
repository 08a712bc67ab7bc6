import type { InstanceWant, Stamp } from '../contract.ts';
import type { Account } from './clients.ts';
import { read, refOf, type Thing } from './collections.ts';
import { type OperationRef, operationOf } from './operation.ts';
import { descriptionOf, objectName } from './stamp.ts';

export const defaultNetwork = 'global/networks/default';

/**
 * In the site's default network nobody else may let SSH in; in a network of ours only its firewalls do. Who reaches a machine that
 * was adopted, which has no image, its owner has settled.
 */
export function wantsSsh({
  publicAddress,
  network,
  image,
}: Pick<InstanceWant, 'publicAddress' | 'network' | 'image'>): boolean {
  return publicAddress && network === undefined && image !== undefined;
}

/** Name of the rule that lets SSH in to the attempt's machine, and of the network tag by which it finds it. */
export const sshTag = (stamp: Stamp): string => objectName(stamp, 'ssh');

const named = (stamp: Stamp) => ({ collection: 'firewalls', scope: 'global', name: sshTag(stamp) }) as const;

export const sshRuleRef = (stamp: Stamp): string => refOf(named(stamp));

export const readSshRule = (account: Account, stamp: Stamp): Promise<Thing<'firewalls'> | undefined> =>
  read(account, named(stamp));

/** Asks for the rule, a child of the machine. */
export async function insertSshRule(account: Account, stamp: Stamp, region: string): Promise<OperationRef> {
  const firewallResource = {
    name: sshTag(stamp),
    description: descriptionOf(stamp, { region }),
    network: defaultNetwork,
    direction: 'INGRESS',
    allowed: [{ IPProtocol: 'tcp', ports: ['22'] }],
    sourceRanges: ['0.0.0.0/0'],
    targetTags: [sshTag(stamp)],
  };
  const project = await account.project();
  return operationOf(account.clients.firewalls.insert({ project, firewallResource }, account.call));
}
