import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Present } from '@landfall/adapters/contract.ts';
import { run } from '../host/command.ts';

/** For tests: commands in guests over SSH, with a key of one's own. */
export interface GuestShell {
  publicKey: string;
  /** Runs a command in a guest and answers its output. Throws when it fails or the guest cannot be reached. */
  run(guest: Present, command: string): Promise<string>;
}

/** Makes the key in `folder`. */
export async function guestShell(folder: string): Promise<GuestShell> {
  const keyFile = join(folder, 'key');
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', keyFile]);
  const options = [
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
    'ConnectTimeout=10',
  ].flatMap((option) => ['-o', option]);
  return {
    publicKey: (await readFile(`${keyFile}.pub`, 'utf8')).trim(),
    run(guest, command) {
      const { host, user } = guest.details.ssh as { host: string; user: string };
      return run('ssh', ['-i', keyFile, ...options, `${user}@${host}`, command]);
    },
  };
}
