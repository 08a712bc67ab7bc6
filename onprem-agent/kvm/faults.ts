import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '@landfall/adapters/conformance/subject.ts';
import type { Kind } from '@landfall/adapters/contract.ts';
import { CommandFailed } from '../host/command.ts';
import { heldFolders, heldKinds } from './held.ts';
import type { ProgramRunner } from './machine-files.ts';
import type { VirshRunner } from './virsh.ts';

/** The two seams to programs with faults between them and the driver. */
export interface FaultyHost {
  virsh: VirshRunner;
  program: ProgramRunner;
  /** `kind`: of what is created (default: Instance). */
  set(fault: Fault, kind?: Kind): void;
  clear(): void;
}

/** As virsh ends when libvirtd's answer does not come. */
function answerLost(args: readonly string[]): CommandFailed {
  const stderr = 'error: Cannot recv data: Connection reset by peer';
  return new CommandFailed('virsh', args, { exitCode: 1, stderr, timedOut: false });
}

function notConnected(args: readonly string[]): CommandFailed {
  const stderr =
    "error: failed to connect to the hypervisor\nerror: Failed to connect socket to '/run/libvirt/libvirt-sock'";
  return new CommandFailed('virsh', args, { exitCode: 1, stderr, timedOut: false });
}

function noDomain(args: readonly string[], uuid: string): CommandFailed {
  return new CommandFailed('virsh', args, {
    exitCode: 1,
    stderr: `error: failed to get domain '${uuid}'`,
    timedOut: false,
  });
}

function noNetwork(args: readonly string[], uuid: string): CommandFailed {
  const stderr = `error: failed to get network '${uuid}'`;
  return new CommandFailed('virsh', args, { exitCode: 1, stderr, timedOut: false });
}

/** Puts the suite's fault catalogue between the driver and its programs. */
export function faultyHost(virsh: VirshRunner, program: ProgramRunner): FaultyHost {
  let faults: (Fault & { of: Kind })[] = [];
  /** Looks that a domain or a network made under `lag` still hides from. */
  const hidden = new Map<string, number>();
  let children = 0;

  /** The fault of this kind, counted down; undefined when there is none. `of`: for creates of this kind only. */
  function due<K extends Fault['kind']>(kind: K, of?: Kind): Extract<Fault, { kind: K }> | undefined {
    const fault = faults.find((one) => one.kind === kind && (of === undefined || one.of === of)) as
      | (Extract<Fault, { kind: K }> & { of: Kind; times?: number })
      | undefined;
    if (!fault) return undefined;
    if ('lists' in fault) return fault;
    fault.times = (fault.times ?? 1) - 1;
    if (fault.times <= 0) faults = faults.filter((one) => one !== fault);
    return fault;
  }

  /** Counts the children of a create; true for the one that must fail. */
  function childFails(): boolean {
    const fault = faults.find((one) => one.kind === 'failChild');
    if (!fault) return false;
    children += 1;
    if (children !== fault.n) return false;
    faults = faults.filter((one) => one !== fault);
    return true;
  }

  async function define(args: readonly string[], of: 'Instance' | 'Network'): Promise<string> {
    const list = of === 'Instance' ? ['list', '--all', '--uuid'] : ['net-list', '--all', '--uuid'];
    if (due('requestLost', of)) throw notConnected(args);
    if (of === 'Instance' && childFails()) {
      const stderr = 'error: Failed to define domain\nerror: internal error: injected by a test';
      throw new CommandFailed('virsh', args, { exitCode: 1, stderr, timedOut: false });
    }
    const before = await virsh(list);
    const answer = await virsh(args);
    const lag = faults.find((one) => one.kind === 'lag' && one.of === of) as { lists: number } | undefined;
    if (lag) {
      const after = await virsh(list);
      for (const uuid of after.split('\n'))
        if (uuid && !before.includes(uuid)) hidden.set(uuid.trim(), lag.lists);
    }
    if (due('responseLost', of)) throw answerLost(args);
    return answer;
  }

  /** One look at a hidden domain brings it nearer to being seen. */
  function hides(uuid: string): boolean {
    const looks = hidden.get(uuid) ?? 0;
    if (looks <= 0) return false;
    hidden.set(uuid, looks - 1);
    return true;
  }

  /** What the program makes a disk for, by the folder of the file that it writes. */
  function madeFor(args: readonly string[]): Kind | undefined {
    const path = args.findLast((arg) => arg.includes('/')) ?? '';
    return heldKinds.find((kind) => path.includes(`/${heldFolders[kind]}/`));
  }

  /** Runs what makes a disk: it may never begin, or be killed when its work is done. */
  async function making<T>(
    of: Kind | undefined,
    args: readonly string[],
    work: () => Promise<T>,
  ): Promise<T> {
    const killed = () => new CommandFailed('qemu-img', args, { stderr: '', timedOut: true });
    if (of !== undefined && due('requestLost', of)) throw killed();
    const answer = await work();
    if (of !== undefined && due('responseLost', of)) throw killed();
    return answer;
  }

  return {
    async virsh(args, options) {
      const latency = due('latency');
      if (latency) await sleep(latency.ms);
      const [verb = '', uuid = ''] = args;
      if (verb === 'define') return define(args, 'Instance');
      if (verb === 'net-define') return define(args, 'Network');
      if (verb === 'net-dumpxml' && hides(uuid)) throw noNetwork(args, uuid);
      if ((verb === 'dumpxml' || verb === 'domstats') && hides(uuid)) throw noDomain(args, uuid);
      if (verb === 'list') {
        if (due('brokenList')) throw answerLost(args);
        const seen = (await virsh(args, options)).split('\n');
        return seen.filter((line) => !hides(line.trim())).join('\n');
      }
      if (verb === 'undefine') {
        const slow = due('slowDelete', 'Instance');
        if (slow) {
          // libvirt says yes, and the domain goes later.
          setTimeout(() => void virsh(args).catch(() => {}), slow.ms);
          return '';
        }
      }
      if (verb === 'net-undefine') {
        const slow = due('slowDelete', 'Network');
        if (slow) {
          setTimeout(() => void virsh(args).catch(() => {}), slow.ms);
          return '';
        }
      }
      if (verb === 'backup-begin') {
        const of = madeFor([/<target file="([^"]+)"/.exec(await readFile(args[2] ?? '', 'utf8'))?.[1] ?? '']);
        return making(of, args, () => virsh(args, options));
      }
      return virsh(args, options);
    },
    async program(name, args, options) {
      const of = name === 'qemu-img' ? madeFor(args) : undefined;
      if (name === 'qemu-img' && args[0] === 'create' && due('capacity', of ?? 'Instance')) {
        const stderr = 'qemu-img: root.qcow2: No space left on device';
        throw new CommandFailed(name, args, { exitCode: 1, stderr, timedOut: false });
      }
      if ((name === 'qemu-img' || name === 'genisoimage') && of === undefined && childFails()) {
        throw new CommandFailed(name, args, {
          exitCode: 1,
          stderr: `${name}: injected by a test`,
          timedOut: false,
        });
      }
      if (args[0] !== 'create' && args[0] !== 'convert') return program(name, args, options);
      return making(of, args, () => program(name, args, options));
    },
    set(fault, of = 'Instance') {
      if (fault.kind === 'failChild') children = 0;
      faults.push({ ...fault, of });
    },
    clear() {
      faults = [];
      hidden.clear();
    },
  };
}
