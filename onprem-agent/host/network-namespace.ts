import { CommandFailed, run } from './command.ts';
import type { Subnets } from './subnets.ts';

/** Runs `ip` and accepts that what it should make is there, or what it should remove is not. */
async function ip(args: string[], accept?: RegExp): Promise<void> {
  try {
    await run('ip', args);
  } catch (error) {
    if (!(error instanceof CommandFailed) || !accept?.test(error.stderr)) throw error;
  }
}

/**
 * Makes, where missing, the network namespace that bridges and firewall rules stay in, and a veth pair and a route by
 * which the host alone reaches the guests. Idempotent.
 */
export async function raiseNamespace(subnets: Subnets): Promise<void> {
  const { namespace, linkHostDevice: near, linkNamespaceDevice: far } = subnets;
  await ip(['netns', 'add', namespace], /File exists/);
  await ip(['-n', namespace, 'link', 'set', 'lo', 'up']);
  await ip(['link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', namespace], /File exists/);
  await ip(['addr', 'replace', `${subnets.linkHost}/30`, 'dev', near]);
  await ip(['-n', namespace, 'addr', 'replace', `${subnets.linkNamespace}/30`, 'dev', far]);
  await ip(['-n', namespace, 'link', 'set', far, 'up']);
  await ip(['link', 'set', near, 'up']);
  await ip(['route', 'replace', subnets.guests, 'via', subnets.linkNamespace, 'dev', near]);
}

/** Removes the link and the namespace; processes still in it keep it alive, unnamed, until they end. */
export async function dropNamespace(subnets: Subnets): Promise<void> {
  await ip(['link', 'del', subnets.linkHostDevice], /Cannot find device/);
  await ip(['netns', 'del', subnets.namespace], /No such file or directory/);
}
