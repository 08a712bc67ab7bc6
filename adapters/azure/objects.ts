import type { CallContext } from '../contract.ts';
import { isProviderError } from '../errors.ts';
import { waitFor } from '../wait.ts';
import { type Account, changing, ifThere } from './clients.ts';
import { toProviderError } from './errors.ts';
import type { Tags } from './stamp.ts';

/** What a machine is made of, in the order that deleting takes: each is free once those before it are gone. */
export const objectKinds = [
  'virtualMachine',
  'disk',
  'networkInterface',
  'publicIPAddress',
  'networkSecurityGroup',
] as const;

export type ObjectKind = (typeof objectKinds)[number];

const types: Record<ObjectKind, string> = {
  virtualMachine: 'Microsoft.Compute/virtualMachines',
  disk: 'Microsoft.Compute/disks',
  networkInterface: 'Microsoft.Network/networkInterfaces',
  publicIPAddress: 'Microsoft.Network/publicIPAddresses',
  networkSecurityGroup: 'Microsoft.Network/networkSecurityGroups',
};

/** The kind of one of Azure's types, whose case varies between answers. */
export function kindOf(type: string | undefined): ObjectKind | undefined {
  return objectKinds.find((kind) => types[kind].toLowerCase() === type?.toLowerCase());
}

/** The id of an object, always in the same case: Azure's own answers differ in it. */
export function idOf(account: Account, group: string, kind: ObjectKind, name: string): string {
  return `/subscriptions/${account.subscription}/resourceGroups/${group}/providers/${types[kind]}/${name}`;
}

/** What is read of any object. */
export interface Seen {
  tags?: Tags;
  provisioningState?: string;
}

/** The object as it is now, or undefined where there is none. */
export function look(
  account: Account,
  group: string,
  kind: ObjectKind,
  name: string,
): Promise<Seen | undefined> {
  const { compute, network } = account;
  const looks: Record<ObjectKind, () => Promise<Seen>> = {
    virtualMachine: () => compute.virtualMachines.get(group, name),
    disk: () => compute.disks.get(group, name),
    networkInterface: () => network.networkInterfaces.get(group, name),
    publicIPAddress: () => network.publicIPAddresses.get(group, name),
    networkSecurityGroup: () => network.networkSecurityGroups.get(group, name),
  };
  return ifThere(looks[kind]());
}

/** Asks for the deletion, and does not wait for it. Nothing to delete is fine. */
export async function askToDelete(
  account: Account,
  group: string,
  kind: ObjectKind,
  name: string,
): Promise<void> {
  const { compute, network } = account;
  const deletions: Record<ObjectKind, () => Poller> = {
    virtualMachine: () => compute.virtualMachines.delete(group, name),
    disk: () => compute.disks.delete(group, name),
    networkInterface: () => network.networkInterfaces.delete(group, name),
    publicIPAddress: () => network.publicIPAddresses.delete(group, name),
    networkSecurityGroup: () => network.networkSecurityGroups.delete(group, name),
  };
  try {
    await changing(deletions[kind]().submitted());
  } catch (error) {
    if (!isProviderError(error, 'NotFound')) throw error;
  }
}

/** A long-running operation as the SDK offers it. It is itself a promise of the end: never await it by accident. */
export interface Poller {
  readonly isDone: boolean;
  poll(): Promise<unknown>;
  submitted(): Promise<void>;
  serialize(): Promise<string>;
}

/**
 * Waits for an accepted operation, with a heartbeat before each look.
 * @param serialized whether the heartbeat's details carry the operation, so that a later try goes on with it.
 * @returns whether it ended in the time there was. @throws ProviderError what the operation failed with.
 */
export async function settle(
  account: Account,
  poller: Poller,
  context: CallContext,
  serialized = false,
): Promise<boolean> {
  const details = serialized ? { operation: await poller.serialize() } : undefined;
  const once = async (): Promise<true | undefined> => {
    if (poller.isDone) return true;
    try {
      await poller.poll();
    } catch (error) {
      const failure = toProviderError(error, false);
      // Of the thing itself, read at the end: what was just made may be invisible (A6).
      if (failure.code === 'NotFound') return true;
      throw failure;
    }
    return poller.isDone || undefined;
  };
  const wait = { context, pollMs: account.pollMs, limitMs: account.ensureWaitMs, details };
  return (await waitFor(once, wait)) ?? false;
}
