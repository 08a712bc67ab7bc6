import { type EC2Client, GetConsoleOutputCommand } from '@aws-sdk/client-ec2';
import type { Target } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { type Account, reading } from './clients.ts';
import { providerCodeOf } from './errors.ts';
import { findMachines, isDead } from './machine.ts';

/**
 * The end of the serial console, which EC2 keeps 64 KiB of.
 * @throws ProviderError `NotFound` when no machine carries the stamp.
 */
export async function readConsole(account: Account, target: Target, maxBytes: number): Promise<string> {
  const ec2 = account.ec2(target.location.region);
  const machine = (await findMachines(ec2, target)).find((candidate) => !isDead(candidate));
  if (!machine)
    throw new ProviderError('NotFound', `no machine of ${target.stamp.resource}`, {
      providerCode: 'InvalidInstanceID.NotFound',
    });
  const output = Buffer.from(await consoleOutput(ec2, machine.InstanceId), 'base64');
  return output.subarray(Math.max(0, output.length - maxBytes)).toString('utf8');
}

async function consoleOutput(ec2: EC2Client, InstanceId: string): Promise<string> {
  try {
    return (await reading(ec2.send(new GetConsoleOutputCommand({ InstanceId, Latest: true })))).Output ?? '';
  } catch (error) {
    // Only machines on Nitro have the live console; the others have what was there after boot.
    if (providerCodeOf(error) !== 'UnsupportedOperation') throw error;
    return (await reading(ec2.send(new GetConsoleOutputCommand({ InstanceId })))).Output ?? '';
  }
}
