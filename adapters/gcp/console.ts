import type { Target } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, reading } from './clients.ts';
import { findMachines } from './machine.ts';

/**
 * The end of the first serial port's output, which Compute Engine keeps 1 MiB of.
 * @throws ProviderError `NotFound` when no machine carries the stamp.
 */
export async function readConsole(account: Account, target: Target, maxBytes: number): Promise<string> {
  const [machine] = await findMachines(account, target);
  if (!machine)
    throw new ProviderError('NotFound', `no machine of ${target.stamp.resource}`, {
      providerCode: 'notFound',
    });
  const request = { project: await account.project(), zone: machine.zone, instance: machine.name };
  const [output] = await reading(account.clients.instances.getSerialPortOutput(request, account.call));
  const bytes = Buffer.from(output.contents ?? '');
  return bytes.subarray(Math.max(0, bytes.length - maxBytes)).toString('utf8');
}
