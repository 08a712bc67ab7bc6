import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandFailed } from '../host/command.ts';
import { libvirtError } from './libvirt-errors.ts';
import type { VirshRunner } from './virsh.ts';

/** How a verb is asked of virsh. Every failure is a ProviderError (A7); words that match `accept` are none. */
export interface VirshCalls {
  /** A call that changes nothing; undefined where its failure is accepted. */
  look(args: readonly string[], accept?: RegExp): Promise<string | undefined>;
  /** A call whose lost answer leaves the outcome unknown (A8). */
  change(args: readonly string[], accept?: RegExp): Promise<void>;
  /** A change that reads XML from a file. */
  changeWith(xml: string, args: (file: string) => readonly string[], accept?: RegExp): Promise<void>;
}

export function callsOver(virsh: VirshRunner): VirshCalls {
  async function call(
    args: readonly string[],
    changes: boolean,
    accept?: RegExp,
  ): Promise<string | undefined> {
    try {
      return await virsh(args);
    } catch (error) {
      if (error instanceof CommandFailed && accept?.test(error.stderr)) return undefined;
      throw libvirtError(error, changes);
    }
  }
  const change = async (args: readonly string[], accept?: RegExp) => {
    await call(args, true, accept);
  };
  return {
    look: (args, accept) => call(args, false, accept),
    change,
    async changeWith(xml, args, accept) {
      const folder = await mkdtemp(join(tmpdir(), 'landfall-virsh-'));
      try {
        const file = join(folder, 'definition.xml');
        await writeFile(file, xml, { mode: 0o600 });
        await change(args(file), accept);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}
