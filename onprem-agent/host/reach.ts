import { CommandFailed, type run } from './command.ts';
import type { Subnets } from './subnets.ts';

/** How this host reaches its guests, and where packets to them pass. */
export interface Reach {
  /** How libvirt forwards for a network: see `networkXml`. */
  forward: 'open' | 'nat';
  /** Network namespace of libvirt and the bridges; absent = the host's own. */
  namespace?: string;
  /** The host's way into the namespace. */
  link?: { device: string; via: string };
  /** The host's own address as guests see it; absent = the gateway of each network. */
  address?: string;
  /** Networks in CIDR form that are the host's own in the namespace. */
  taken: string[];
}

/** Of a private libvirt in its namespace. */
export function reachInto(subnets: Subnets): Reach {
  return {
    forward: 'open',
    namespace: subnets.namespace,
    link: { device: subnets.linkHostDevice, via: subnets.linkNamespace },
    address: subnets.linkHost,
    taken: [subnets.guests, subnets.link],
  };
}

/** Runs a program where the bridges are. */
export function runBeside(
  program: typeof run,
  { namespace }: Reach,
  name: string,
  args: readonly string[],
  options: Parameters<typeof run>[2] = {},
): Promise<string> {
  if (namespace === undefined) return program(name, args, options);
  return program('nsenter', [`--net=/run/netns/${namespace}`, name, ...args], options);
}

/** Makes the host reach a guests' network that is in the namespace. */
export async function addRoute(program: typeof run, { link }: Reach, cidr: string): Promise<void> {
  if (link) await program('ip', ['route', 'replace', cidr, 'via', link.via, 'dev', link.device]);
}

export async function dropRoute(program: typeof run, { link }: Reach, cidr: string): Promise<void> {
  if (!link) return;
  try {
    await program('ip', ['route', 'del', cidr, 'via', link.via, 'dev', link.device]);
  } catch (error) {
    if (!(error instanceof CommandFailed) || !/no such process|cannot find device/i.test(error.stderr))
      throw error;
  }
}
