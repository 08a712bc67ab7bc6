import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '@landfall/adapters/conformance/subject.ts';
import { CommandFailed } from '../host/command.ts';
import type { ProgramRunner } from './machine-files.ts';
import type { VirshRunner } from './virsh.ts';

/** The two seams to programs with faults between them and the driver. */
export interface FaultyHost {
  virsh: VirshRunner;
  program: ProgramRunner;
  set(fault: Fault): void;
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

/** Puts the suite's fault catalogue between the driver and its programs. */
export function faultyHost(virsh: VirshRunner, program: ProgramRunner): FaultyHost {
  let faults: Fault[] = [];
  /** Looks that a domain made under `lag` still hides from. */
  const hidden = new Map<string, number>();
  let children = 0;

  /** The fault of this kind, counted down; undefined when there is none. */
  function due<K extends Fault['kind']>(kind: K): Extract<Fault, { kind: K }> | undefined {
    const fault = faults.find((one) => one.kind === kind) as
      | (Extract<Fault, { kind: K }> & { times?: number })
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

  async function define(args: readonly string[]): Promise<string> {
    if (due('requestLost')) throw notConnected(args);
    if (childFails()) {
      const stderr = 'error: Failed to define domain\nerror: internal error: injected by a test';
      throw new CommandFailed('virsh', args, { exitCode: 1, stderr, timedOut: false });
    }
    const before = await virsh(['list', '--all', '--uuid']);
    const answer = await virsh(args);
    const lag = faults.find((one) => one.kind === 'lag');
    if (lag) {
      const after = await virsh(['list', '--all', '--uuid']);
      for (const uuid of after.split('\n'))
        if (uuid && !before.includes(uuid)) hidden.set(uuid.trim(), lag.lists);
    }
    if (due('responseLost')) throw answerLost(args);
    return answer;
  }

  /** One look at a hidden domain brings it nearer to being seen. */
  function hides(uuid: string): boolean {
    const looks = hidden.get(uuid) ?? 0;
    if (looks <= 0) return false;
    hidden.set(uuid, looks - 1);
    return true;
  }

  return {
    async virsh(args, options) {
      const latency = due('latency');
      if (latency) await sleep(latency.ms);
      const [verb = '', uuid = ''] = args;
      if (verb === 'define') return define(args);
      if ((verb === 'dumpxml' || verb === 'domstats') && hides(uuid)) throw noDomain(args, uuid);
      if (verb === 'list') {
        if (due('brokenList')) throw answerLost(args);
        const seen = (await virsh(args, options)).split('\n');
        return seen.filter((line) => !hides(line.trim())).join('\n');
      }
      if (verb === 'undefine') {
        const slow = due('slowDelete');
        if (slow) {
          // libvirt says yes, and the domain goes later.
          setTimeout(() => void virsh(args).catch(() => {}), slow.ms);
          return '';
        }
      }
      return virsh(args, options);
    },
    async program(name, args, options) {
      if (name === 'qemu-img' && args[0] === 'create' && due('capacity')) {
        const stderr = 'qemu-img: root.qcow2: No space left on device';
        throw new CommandFailed(name, args, { exitCode: 1, stderr, timedOut: false });
      }
      if (childFails()) {
        throw new CommandFailed(name, args, {
          exitCode: 1,
          stderr: `${name}: injected by a test`,
          timedOut: false,
        });
      }
      return program(name, args, options);
    },
    set(fault) {
      if (fault.kind === 'failChild') children = 0;
      faults.push({ ...fault });
    },
    clear() {
      faults = [];
      hidden.clear();
    },
  };
}
