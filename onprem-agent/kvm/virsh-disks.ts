import { type AttachedDisk, diskElement } from './domain-xml.ts';
import type { VirshCalls } from './virsh-calls.ts';
import { element } from './xml.ts';

/** libvirt's verbs for the disks of a domain. `live`: in the running guest; `config`: at its next start. */
export interface LibvirtDisks {
  attachDisk(uuid: string, disk: AttachedDisk, where: ('live' | 'config')[]): Promise<void>;
  /** Asks for it: the guest lets a disk go in its own time. */
  detachDisk(uuid: string, disk: AttachedDisk, where: 'live' | 'config'): Promise<void>;
  /** Of a running domain. */
  growDisk(uuid: string, target: string, gib: number): Promise<void>;
  /** Flushes the guest's file systems and holds their writes; false where no guest agent answers. */
  freeze(uuid: string): Promise<boolean>;
  thaw(uuid: string): Promise<void>;
  /** Begins to copy a running domain's disk, as it is at this moment, to a new qcow2 file that stands alone. */
  beginBackup(uuid: string, target: string, file: string): Promise<void>;
  /** Does a job (a copy) run on the domain? */
  hasJob(uuid: string): Promise<boolean>;
  /** Did the domain's last job come to its end? Told once. */
  completedJob(uuid: string): Promise<boolean>;
  abortJob(uuid: string): Promise<void>;
}

/** Times out in seconds: a guest whose agent hangs must not hang us. */
const agentSeconds = 3;

export function disksOver({ look, change, changeWith }: VirshCalls): LibvirtDisks {
  return {
    attachDisk: (uuid, disk, where) =>
      changeWith(diskElement(disk).text, (file) => [
        'attach-device',
        uuid,
        file,
        ...where.map((one) => `--${one}`),
      ]),
    detachDisk: (uuid, disk, where) =>
      changeWith(
        diskElement(disk).text,
        (file) => ['detach-device', uuid, file, `--${where}`],
        /device not found|no target device|already in the process of unplug/i,
      ),
    growDisk: (uuid, target, gib) => change(['blockresize', uuid, target, `${gib}G`]),
    async freeze(uuid) {
      const ping = [
        'qemu-agent-command',
        uuid,
        '{"execute":"guest-ping"}',
        '--timeout',
        String(agentSeconds),
      ];
      if ((await look(ping, /agent/i)) === undefined) return false;
      if ((await look(['domfsfreeze', uuid], /agent|freeze/i)) !== undefined) return true;
      // What was frozen before it failed.
      await look(['domfsthaw', uuid], /agent|thaw/i);
      return false;
    },
    thaw: (uuid) => change(['domfsthaw', uuid]),
    beginBackup: (uuid, target, file) => {
      const xml = element('domainbackup', { mode: 'push' }, [
        element('disks', {}, [
          element('disk', { name: target, backup: 'yes', type: 'file' }, [
            element('target', { file }),
            element('driver', { type: 'qcow2' }),
          ]),
        ]),
      ]);
      return changeWith(xml.text, (path) => ['backup-begin', uuid, path]);
    },
    async hasJob(uuid) {
      const text = await look(['domjobinfo', uuid], /domain is not running|is not active/i);
      return text !== undefined && !/^Job type:\s*None/m.test(text);
    },
    async completedJob(uuid) {
      const text = await look(['domjobinfo', uuid, '--completed'], /domain is not running|is not active/i);
      return text !== undefined && /^Job type:\s*Completed/m.test(text);
    },
    abortJob: (uuid) => change(['domjobabort', uuid], /no job is active|not running/i),
  };
}
