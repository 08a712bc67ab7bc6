import type { Adapter, FirewallRule, InstanceWant, Present, Want } from '@landfall/adapters/contract.ts';
import { run } from '../host/command.ts';
import { runBeside } from '../host/reach.ts';
import { createKvmAdapter } from './adapter.ts';
import { type GuestShell, guestShell } from './guest-shell.ts';
import { sshAnswers } from './readiness.ts';
import { raiseTestHost, type TestHost, testOptions, tinySpec } from './subject.ts';

/** Real packets to and between real guests of one network. The steps build on each other. */
let lab: TestHost;
let adapter: Adapter;
let shell: GuestShell;
let network: Present<'Network'>;
let web: Present<'Firewall'>;
let admin: Present<'Firewall'>;
let server: Present;
let neighbour: Present;

const location = { region: 'lab', host: 'host-1' };
const stampOf = (resource: string) => ({ broker: 'b-packets', project: 'p', resource, attempt: 1 });
const context = () => ({ signal: AbortSignal.timeout(230_000), heartbeat: () => {} });
const otherPort = 2222;
/** This machine gets a route to the network: two runs on it at once take different ones. */
const prefix = `100.${64 + (process.pid % 64)}`;
const everywhere = ['0.0.0.0/0'];
const tcp = (port: number, sources: string[]): FirewallRule => ({
  protocol: 'tcp',
  ports: { from: port, to: port },
  sources,
});

function firewall(name: string, rules: FirewallRule[]) {
  const spec = { name, labels: {}, network: network.ref, rules };
  return adapter.ensure<'Firewall'>({ kind: 'Firewall', spec, stamp: stampOf(name), location }, context());
}

function machineWant(name: string, firewalls: string[]): Want<'Instance'> {
  const [subnet] = network.details.subnets;
  const change: Partial<InstanceWant> = {
    name,
    sshKeys: [shell.publicKey],
    // A second server on a port of its own.
    userData: `#!/bin/sh\ndropbear -R -s -p ${otherPort}\n`,
    network: { ref: network.ref, subnet: subnet?.ref ?? '' },
    firewalls,
  };
  return { kind: 'Instance', spec: tinySpec(change), stamp: stampOf(name), location };
}

const addressOf = ({ details }: Present) => details.addresses[0]?.address ?? '';

/** Does the neighbour get a greeting from the server? */
async function neighbourReaches(port: number): Promise<boolean> {
  const greeting = `sleep 3 | timeout 3 nc ${addressOf(server)} ${port} | head -n 1`;
  return (await shell.run(neighbour, greeting)).startsWith('SSH-');
}

/** What of the server can be reached from this host and from its neighbour. */
async function reached() {
  const host = [await sshAnswers(addressOf(server)), await sshAnswers(addressOf(server), otherPort)];
  return { host, neighbour: [await neighbourReaches(22), await neighbourReaches(otherPort)] };
}

async function until(check: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await check())) if (Date.now() > deadline) throw new Error('it never came true');
}

beforeAll(async () => {
  lab = await raiseTestHost();
  // As on a host without br_netfilter: what neighbours send each other on a bridge passes no filter by itself.
  const bridged = ['-q', '-e', '-w', 'net.bridge.bridge-nf-call-iptables=0'];
  await runBeside(run, lab.host.reach, 'sysctl', bridged);
  shell = await guestShell(lab.folder);
  adapter = createKvmAdapter(testOptions(lab.host));
  network = await adapter.ensure<'Network'>(
    {
      kind: 'Network',
      spec: {
        name: 'packets',
        labels: {},
        cidr: `${prefix}.0.0/16`,
        subnets: [{ name: 'a', cidr: `${prefix}.7.0/24` }],
      },
      stamp: stampOf('network'),
      location,
    },
    context(),
  );
  web = await firewall('web', [tcp(22, everywhere), tcp(otherPort, everywhere)]);
  admin = await firewall('admin', [tcp(22, everywhere)]);
  [server, neighbour] = (await Promise.all([
    adapter.ensure(machineWant('server', [web.ref]), context()),
    adapter.ensure(machineWant('neighbour', [admin.ref]), context()),
  ])) as [Present, Present];
}, 240_000);
afterAll(() => lab?.close(), 60_000);

const step = (title: string, check: () => Promise<void>) => test(title, check, 240_000);

step('what the rules allow comes in, from the host and from a neighbour', async () => {
  await until(() => sshAnswers(addressOf(server), otherPort));
  expect(await reached()).toEqual({ host: [true, true], neighbour: [true, true] });
  expect(await sshAnswers(addressOf(neighbour))).toBe(true);
});

step('a port that no rule names is closed to the host and to a neighbour', async () => {
  await firewall('web', [tcp(22, everywhere)]);
  expect(await reached()).toEqual({ host: [true, false], neighbour: [true, false] });
});

step('a rule lets in its sources only', async () => {
  const only = `${addressOf(neighbour)}/32`;
  await firewall('web', [tcp(22, everywhere), tcp(otherPort, [only])]);
  expect(await reached()).toEqual({ host: [true, false], neighbour: [true, true] });
});

step('icmp is its own rule', async () => {
  const ping = `ping -c 1 -W 2 ${addressOf(server)} >/dev/null && echo answered || echo silent`;
  expect(await shell.run(neighbour, ping)).toBe('silent\n');
  await firewall('web', [tcp(22, everywhere), { protocol: 'icmp', sources: [`${prefix}.0.0/16`] }]);
  expect(await shell.run(neighbour, ping)).toBe('answered\n');
});

step('a machine without firewalls lets nothing in, and its own connections go out', async () => {
  const outgoing = `(sleep 12; sleep 3 | timeout 3 nc ${addressOf(neighbour)} 22 | head -n 1 > /dev/console) >/dev/null 2>&1 &`;
  await shell.run(server, outgoing);
  const closed = await adapter.ensure(machineWant('server', []), context());
  expect(closed).toMatchObject({ ref: server.ref, state: 'ready', diff: [] });
  expect(await reached()).toEqual({ host: [false, false], neighbour: [false, false] });
  const target = { kind: 'Instance', stamp: stampOf('server'), location } as const;
  await until(async () => (await adapter.console(target, 4000)).includes('\nSSH-2.0-dropbear'));
});

step('a machine that lets nobody in is known to be up all the same after a reboot', async () => {
  const want = machineWant('server', []);
  want.spec.reboots = 1;
  expect(await adapter.ensure(want, context())).toMatchObject({ state: 'ready', diff: [] });
  expect(await reached()).toEqual({ host: [false, false], neighbour: [false, false] });
});

step('a firewall that holds for a machine, and a network that is in use, are not removed', async () => {
  await adapter.ensure(machineWant('server', [web.ref]), context());
  for (const [kind, resource] of [
    ['Firewall', 'web'],
    ['Network', 'network'],
  ] as const) {
    const removal = adapter.remove({ kind, stamp: stampOf(resource), location }, context());
    await expect(removal).rejects.toMatchObject({ code: 'Conflict' });
  }
});

step('a network over addresses that another one or the host has is refused', async () => {
  for (const cidr of [`${prefix}.7.128/25`, '10.213.0.0/16', '10.214.0.0/16']) {
    const spec = { name: 'over', labels: {}, cidr, subnets: [{ name: 'a', cidr }] };
    const want: Want<'Network'> = { kind: 'Network', spec, stamp: stampOf('over'), location };
    await expect(adapter.ensure(want, context())).rejects.toMatchObject({ code: 'Conflict' });
    await expect(adapter.validate(want)).rejects.toMatchObject({ code: 'Conflict' });
  }
});

step('a firewall of another network than the machine’s is refused', async () => {
  const want = machineWant('stray', [web.ref]);
  want.spec.network = undefined;
  const refused = adapter.ensure(want, context());
  await expect(refused).rejects.toMatchObject({ code: 'Invalid', details: { field: '/firewalls/0' } });
});
