import type { InstanceWant } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { imageOf } from '../kinds.ts';

/** Compute Engine's limit on one metadata value. */
const mostBytes = 262_144;

/**
 * What the guest reads from the metadata server: SSH keys for Google's guest agent, which every public image has, and the
 * user data for cloud-init, where the image has it. The project's own keys and OS Login are kept out: only who is named gets in.
 * @throws ProviderError `Invalid` above 256 KiB.
 */
export function guestMetadata(
  spec: Pick<InstanceWant, 'sshKeys' | 'userData' | 'image'>,
): { key: string; value: string }[] {
  const { user } = imageOf({ spec: spec as InstanceWant });
  const items = [
    { key: 'ssh-keys', value: spec.sshKeys.map((key) => `${user}:${key}`).join('\n') },
    { key: 'block-project-ssh-keys', value: 'TRUE' },
    { key: 'enable-oslogin', value: 'FALSE' },
  ];
  if (spec.userData === undefined) return items;
  if (Buffer.byteLength(spec.userData) > mostBytes)
    throw new ProviderError('Invalid', `the user data is larger than Compute Engine's ${mostBytes} bytes`, {
      field: '/userData',
    });
  return [...items, { key: 'user-data', value: spec.userData }];
}
