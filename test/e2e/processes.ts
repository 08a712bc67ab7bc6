/** Which processes belong to a data folder, and what they take of the machine's memory. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';

/** One process of this machine. */
export interface Found {
  pid: number;
  /** Its program and arguments. */
  command: string;
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // it has ended meanwhile, or is the kernel's
  }
}

/**
 * The processes of an installation: those that have the folder in their arguments or environment, or are in the mount
 * namespace of the libvirt that has its files there (libvirtd, dnsmasq, the guests' QEMU).
 */
export function processesOf(folder: string): Found[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid)
    .filter((pid) => ['cmdline', 'environ', 'mountinfo'].some((file) => read(pid, file).includes(folder)))
    .map((pid) => ({ pid, command: read(pid, 'cmdline').replaceAll('\0', ' ').trim() }))
    .filter(({ command }) => command !== '');
}

/** Memory of one process in bytes; shared pages count by each one's share in `pss`. */
export function memoryOf(pid: number): { rss: number; pss: number } {
  const text = read(pid, 'smaps_rollup');
  const bytes = (field: string) =>
    Number(new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
  return { rss: bytes('Rss'), pss: bytes('Pss') };
}

/** The processes that have one of these as an ancestor, and these. */
export function withDescendants(pids: readonly number[]): number[] {
  const parents = new Map(
    readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0)
      .map((pid) => [pid, Number(/^PPid:\s+(\d+)/m.exec(read(pid, 'status'))?.[1] ?? 0)]),
  );
  const within = (pid: number): boolean => pid > 1 && (pids.includes(pid) || within(parents.get(pid) ?? 0));
  return [...parents.keys()].filter(within);
}
