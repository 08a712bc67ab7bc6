import type { FirewallRule } from '@landfall/adapters/contract.ts';
import { writeHeld } from './held.ts';
import { checkRef, type HeldPlan, requireHeld } from './held-kind.ts';
import { checkedCidr } from './network.ts';
import { applyFilter } from './packet-filter.ts';
import type { Setting } from './setting.ts';
import { invalid } from './wanted-machine.ts';

const protocols: readonly string[] = ['tcp', 'udp', 'icmp', 'all'];

function checkRule({ protocol, ports, sources }: FirewallRule, field: string): void {
  if (!protocols.includes(protocol))
    throw invalid(`${field}/protocol`, `a protocol is ${protocols.join(', ')}`);
  if (ports !== undefined) {
    if (protocol !== 'tcp' && protocol !== 'udp') throw invalid(`${field}/ports`, `${protocol} has no ports`);
    const whole = [ports.from, ports.to].every(
      (port) => Number.isInteger(port) && port >= 0 && port <= 65535,
    );
    if (!whole || ports.from > ports.to)
      throw invalid(`${field}/ports`, 'ports are whole numbers, 0 ≤ from ≤ to ≤ 65535');
  }
  if (sources.length === 0) throw invalid(`${field}/sources`, 'a rule without sources lets nothing in');
  for (const [index, source] of sources.entries()) checkedCidr(source, `${field}/sources/${index}`);
}

/** Firewalls: records, whose rules the host's packet filter holds for the machines that name them. */
export function firewallPlan(setting: Setting): HeldPlan<'Firewall'> {
  return {
    kind: 'Firewall',

    check({ network, rules }) {
      checkRef(network, '/network');
      for (const [index, rule] of rules.entries()) checkRule(rule, `/rules/${index}`);
    },

    async admit({ spec, stamp }) {
      await requireHeld(setting, 'Network', spec.network, stamp.broker, '/network');
    },

    make: async (held) => held,

    async converge(held, { rules }) {
      const spec = { ...held.record.spec, rules };
      const next = sameRules(held.record.spec.rules, rules)
        ? held
        : await writeHeld(setting.storage, { ...held, record: { ...held.record, spec } });
      await applyFilter(setting);
      return next;
    },

    async details({ record }) {
      return { rules: record.spec.rules, children: [] };
    },

    diff: (details, spec) => (sameRules(details.rules, spec.rules) ? [] : ['rules']),

    async users({ uuid }) {
      const domains = await setting.libvirt.all();
      return domains
        .filter(({ record }) => record?.firewalls.includes(uuid))
        .map(({ name }) => `the machine ${name}`);
    },
  };
}

/** The same rules, in any order, with their sources in any order. */
function sameRules(a: readonly FirewallRule[], b: readonly FirewallRule[]): boolean {
  const texts = (rules: readonly FirewallRule[]) =>
    rules
      .map(({ protocol, ports, sources }) =>
        JSON.stringify([protocol, ports?.from, ports?.to, [...sources].sort()]),
      )
      .sort();
  return JSON.stringify(texts(a)) === JSON.stringify(texts(b));
}
