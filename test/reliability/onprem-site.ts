import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Truth } from '@landfall/adapters/conformance/subject.ts';
import { CommandFailed, run } from '../../onprem-agent/host/command.ts';
import { createKvmAdapter } from '../../onprem-agent/kvm/adapter.ts';
import { readDomains } from '../../onprem-agent/kvm/domain-xml.ts';
import { type FaultyHost, faultyHost } from '../../onprem-agent/kvm/faults.ts';
import { raiseTestHost, testOptions } from '../../onprem-agent/kvm/subject.ts';
import { type VirshRunner, virshRunner } from '../../onprem-agent/kvm/virsh.ts';
import type { SiteUnderTest } from './estate-with.ts';

/** What a call of virsh meets, besides the conformance suite's faults. */
export type VirshFate =
  /** libvirt does it; virsh loses the answer. */
  | { kind: 'answerLost' }
  /** libvirt is not reached. */
  | { kind: 'requestLost' }
  /** libvirt refuses with these words. */
  | { kind: 'refused'; words: string }
  /** The answer is empty, as of a list that sees nothing. */
  | { kind: 'blank' }
  /** libvirt has done it; the answer waits until the promise is settled. */
  | { kind: 'answered'; meanwhile: () => unknown };

/** The real KVM adapter over a private libvirt, with faults at its two seams to programs. */
export interface OnpremSite extends SiteUnderTest {
  faults: FaultyHost;
  /** The folder with a folder of each machine's files. */
  machines: string;
  /** virsh past the faults. */
  virsh: VirshRunner;
  /** The next `times` calls of the virsh verb meet this fate. */
  next(verb: string, fate: VirshFate, times?: number): void;
  /** UUIDs of machines whose disks were asked to be made, in order: the tokens of on-prem creates. */
  madeFor: string[];
  clear(): void;
  close(): Promise<void>;
}

/**
 * Raises a host of its own: needs root. Machines are asked for stopped, so that no guest boots and a test takes a second;
 * ask for `power: 'running'` where the guest matters.
 */
export async function onpremSite(name = 'lab'): Promise<OnpremSite> {
  const { host, close } = await raiseTestHost();
  const virsh = virshRunner(host.uri);
  const tested = testOptions(host);
  const options = { ...tested, timing: { ...tested.timing, visibilityGrace: 1_500 } };
  let rules: { verb: string; fate: VirshFate; left: number }[] = [];
  const madeFor: string[] = [];
  const failed = (args: readonly string[], stderr: string) =>
    new CommandFailed('virsh', args, { exitCode: 1, stderr, timedOut: false });

  const throughRules: VirshRunner = async (args, given) => {
    const rule = rules.find((one) => one.verb === args[0] && one.left > 0);
    if (!rule) return virsh(args, given);
    rule.left -= 1;
    const { fate } = rule;
    if (fate.kind === 'refused') throw failed(args, `error: ${fate.words}`);
    if (fate.kind === 'requestLost') throw failed(args, 'error: failed to connect to the hypervisor');
    if (fate.kind === 'blank') return '';
    const answer = await virsh(args, given);
    if (fate.kind === 'answered') await fate.meanwhile();
    else throw failed(args, 'error: Cannot recv data: Connection reset by peer');
    return answer;
  };
  const program: typeof run = (name, args, given) => {
    const uuid = /machines\/([0-9a-f-]{36})\//.exec(args.join(' '))?.[1];
    if (name === 'qemu-img' && args[0] === 'create' && uuid) madeFor.push(uuid);
    return run(name, args, given);
  };
  const faults = faultyHost(throughRules, program);
  return {
    name,
    spec: {
      provider: 'onprem',
      regions: [options.location.region],
      pricing: { vcpuHour: name === 'lab' ? 0.01 : 0.02, gibHour: 0.001, currency: 'USD' },
      overcommit: { vcpu: 1 },
    },
    host: { name: options.location.host, ...options.capacity, diskGiB: 500 },
    adapter: createKvmAdapter({ ...options, virsh: faults.virsh, program: faults.program }),
    request: {
      image: 'tiny',
      vcpus: 1,
      memoryGiB: 0.1875,
      diskGiB: 1,
      power: 'stopped',
      architecture: 'x86_64',
      market: 'onDemand',
      publicAddress: false,
      placement: { providers: ['onprem'] },
    },
    faults,
    machines: join(host.storage.here, 'machines'),
    virsh,
    madeFor,
    next(verb, fate, times = 1) {
      rules.push({ verb, fate, left: times });
    },
    truth: async () => [...(await domains(virsh)), ...(await files(join(host.storage.here, 'machines')))],
    clear() {
      rules = [];
      faults.clear();
    },
    close,
  };
}

/** Every domain that libvirt knows, by its stamp. */
async function domains(virsh: VirshRunner): Promise<Truth[]> {
  const found: Truth[] = [];
  for (const uuid of (await virsh(['list', '--all', '--uuid'])).split(/\s+/).filter(Boolean)) {
    const { broker, resource, attempt } = readDomains(await virsh(['dumpxml', uuid]))[0]?.record?.stamp ?? {};
    found.push({ ref: uuid, providerKind: 'domain', machine: true, broker, resource, attempt });
  }
  return found;
}

/** Every file in the machines' folders, by the stamp beside it: a folder without a machine is a leak, too. */
async function files(folder: string): Promise<Truth[]> {
  const found: Truth[] = [];
  for (const uuid of await readdir(folder).catch(() => [])) {
    const names = await readdir(join(folder, uuid));
    const sidecar = names.includes('machine.json')
      ? await readFile(join(folder, uuid, 'machine.json'), 'utf8')
      : '{}';
    const { broker, resource, attempt } = (JSON.parse(sidecar) as { stamp?: Partial<Truth> }).stamp ?? {};
    for (const name of names)
      found.push({
        ref: `${uuid}/${name}`,
        providerKind: 'file',
        machine: false,
        broker,
        resource,
        attempt,
      });
  }
  return found;
}
