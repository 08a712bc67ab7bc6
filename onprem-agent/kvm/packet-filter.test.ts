import type { FirewallRule } from '@landfall/adapters/contract.ts';
import { CommandFailed, run } from '../host/command.ts';
import type { ProgramRunner } from './machine-files.ts';
import { type FilteredNetwork, renderFilter, whyUnfiltered } from './packet-filter.ts';
import type { Setting } from './setting.ts';

const rules: FirewallRule[] = [
  { protocol: 'udp', ports: { from: 5000, to: 5010 }, sources: ['10.1.0.0/16', '10.2.0.0/16'] },
  { protocol: 'icmp', sources: ['10.0.0.0/8'] },
  { protocol: 'all', sources: ['10.90.1.7/32'] },
];
const machines: FilteredNetwork['machines'] = [
  { uuid: '0b6f3c6e-6a43-4c8e-9d5e-2a1f0c9b7d10', address: '10.90.1.2', rules },
  { uuid: '1b6f3c6e-6a43-4c8e-9d5e-2a1f0c9b7d10', address: '10.90.1.3', rules: [] },
];
const networks: FilteredNetwork[] = [{ bridge: 'lfn0', gateway: '10.90.1.1', machines }];

test('every source of a rule lets in on its own, and what no rule names is dropped last', () => {
  const text = renderFilter(networks);
  expect(text).toContain('    ip saddr 10.1.0.0/16 udp dport 5000-5010 accept\n');
  expect(text).toContain('    ip saddr 10.2.0.0/16 udp dport 5000-5010 accept\n');
  expect(text).toContain('    ip saddr 10.0.0.0/8 meta l4proto icmp accept\n');
  expect(text).toContain('    ip saddr 10.90.1.7/32 accept\n');
  const guard = /chain guard \{\n([\s\S]*?)\n {2}\}/.exec(text)?.[1] ?? '';
  expect(guard.trim().split('\n').at(-1)?.trim()).toBe('drop');
});

const settingWith = (program: ProgramRunner) =>
  ({
    reach: { forward: 'open', taken: [] },
    storage: { here: '/', there: '/', run: program },
  }) as unknown as Setting;

test('nft takes the table of a probe where this host has it', async () => {
  expect(await whyUnfiltered(settingWith(run))).toBeUndefined();
});

test('a host whose kernel cannot filter says so in nft’s words', async () => {
  const refusing: ProgramRunner = async (name, args) => {
    const stderr = 'Error: Could not process rule: Operation not supported\ntable inet landfall\n';
    throw new CommandFailed(name, args, { exitCode: 1, stderr, timedOut: false });
  };
  const reason = await whyUnfiltered(settingWith(refusing));
  expect(reason).toBe(
    'this host cannot filter packets: Error: Could not process rule: Operation not supported',
  );
});
