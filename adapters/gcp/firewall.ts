import type { protos } from '@google-cloud/compute';
import type { FirewallRule } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { rangeOf } from './cidr.ts';
import type { Account } from './clients.ts';
import { drop, read, type Thing, wantedRef } from './collections.ts';
import type { KindLife, Seen } from './life.ts';
import { findByStamp, machineRef } from './machine.ts';
import { operationOf } from './operation.ts';
import { lastOf } from './places.ts';
import { descriptionOf, objectName, partOfName } from './stamp.ts';

type IFirewall = protos.google.cloud.compute.v1.IFirewall;

/**
 * A rule of Google's has one list of sources for all that it allows, ours has one for each: a firewall is a rule of Google's for each of
 * ours, the first one standing for all. They hold for the instances that carry the first one's name as a network tag. A firewall
 * without rules is a first one that is disabled.
 */
export const firewallLife: KindLife<'Firewall', 'firewalls'> = {
  kind: 'Firewall',
  collection: 'firewalls',
  standsOn: '/network',
  check({ spec }) {
    wantedRef('networks', spec.network, '/network');
    for (const [index, rule] of spec.rules.entries()) checkRule(rule, `/rules/${index}`);
  },
  insert: (account, { spec, stamp, location }, { name, requestId }) =>
    account.inProject(async (project) =>
      account.clients.firewalls.insert(
        {
          project,
          requestId,
          firewallResource: {
            name,
            description: descriptionOf(stamp, { region: location.region }),
            network: spec.network,
            direction: 'INGRESS',
            targetTags: [name],
            ...bodyOf(spec.rules[0]),
          },
        },
        account.call,
      ),
    ),
  async step(account, { spec, stamp, location }, seen) {
    const tag = objectName(stamp);
    const rules = byIndex(seen);
    const project = await account.project();
    for (const [index, rule] of [...spec.rules, undefined].entries()) {
      const there = rules.get(index);
      if (!rule && index > 0) break;
      const body = bodyOf(rule);
      if (!there) {
        const firewallResource = {
          name: objectName(stamp, `r${index}`),
          description: descriptionOf(stamp, { region: location.region }),
          network: spec.network,
          direction: 'INGRESS',
          targetTags: [tag],
          ...body,
        };
        return operationOf(account.clients.firewalls.insert({ project, firewallResource }, account.call));
      }
      if (!isSame(ruleOf(there.body), rule)) {
        const request = { project, firewall: there.name, firewallResource: { name: there.name, ...body } };
        return operationOf(account.clients.firewalls.patch(request, account.call));
      }
    }
    const surplus = [...rules].find(([index]) => index > 0 && index >= spec.rules.length);
    return surplus ? drop(account, surplus[1]) : 'converged';
  },
  details: (seen) => ({ rules: rulesOf(seen), children: seen.children.map(({ ref }) => ref) }),
  diff: (seen, { spec }) => (sameRules(rulesOf(seen), spec.rules) ? [] : ['rules']),
  async usedBy(account, main) {
    // Google lets a rule go whose tag is still carried. Every attempt of every resource of the broker could carry it.
    const broker = main.stamp?.broker ?? '';
    const user = (await findByStamp(account, { broker })).find(({ tags }) =>
      tags?.items?.includes(main.name),
    );
    return user && machineRef(user);
  },
};

function bodyOf(rule: FirewallRule | undefined): IFirewall {
  if (!rule) return { disabled: true, allowed: [{ IPProtocol: 'all' }], sourceRanges: ['0.0.0.0/0'] };
  const { protocol, ports, sources } = rule;
  const range = ports && (ports.from === ports.to ? `${ports.from}` : `${ports.from}-${ports.to}`);
  return {
    disabled: false,
    allowed: [{ IPProtocol: protocol, ...(range ? { ports: [range] } : {}) }],
    sourceRanges: sources,
  };
}

function ruleOf({ disabled, allowed, sourceRanges }: IFirewall): FirewallRule | undefined {
  const [first] = allowed ?? [];
  if (disabled || !first) return undefined;
  const [from, to = from] = first.ports?.[0]?.split('-') ?? [];
  return {
    protocol: first.IPProtocol as FirewallRule['protocol'],
    ...(from === undefined ? {} : { ports: { from: Number(from), to: Number(to) } }),
    sources: sourceRanges ?? [],
  };
}

/** Google's rules by the index of ours that they are for. */
function byIndex({ main, children }: Seen<'firewalls'>): Map<number, Thing<'firewalls'>> {
  const parts = children as Thing<'firewalls'>[];
  const indexed = parts.map((part) => [Number(partOfName(part.name)?.replace('r', '')), part] as const);
  return new Map([[0, main] as const, ...indexed.sort(([a], [b]) => a - b)]);
}

const rulesOf = (seen: Seen<'firewalls'>): FirewallRule[] =>
  [...byIndex(seen).values()].flatMap(({ body }) => ruleOf(body) ?? []);

const textOf = (rule: FirewallRule | undefined): string =>
  rule ? JSON.stringify([rule.protocol, rule.ports?.from, rule.ports?.to, [...rule.sources].sort()]) : '';

const isSame = (a: FirewallRule | undefined, b: FirewallRule | undefined): boolean => textOf(a) === textOf(b);

function sameRules(a: FirewallRule[], b: FirewallRule[]): boolean {
  const [left, right] = [a, b].map((rules) => rules.map(textOf).sort().join('\n'));
  return left === right;
}

function checkRule({ protocol, ports, sources }: FirewallRule, at: string): void {
  if (ports && (protocol === 'icmp' || protocol === 'all'))
    throw new ProviderError('Invalid', `${protocol} has no ports`, { field: `${at}/ports` });
  if (ports && (ports.from > ports.to || ports.from < 0 || ports.to > 65_535))
    throw new ProviderError('Invalid', `${ports.from} to ${ports.to} are no ports`, { field: `${at}/ports` });
  if (sources.length === 0)
    throw new ProviderError('Invalid', 'a rule needs at least one source', { field: `${at}/sources` });
  for (const [index, source] of sources.entries()) rangeOf(source, `${at}/sources/${index}`);
}

/**
 * The network tags of these firewalls. A tag holds in every network, a rule only in its own: one of another network would do nothing.
 * @throws ProviderError `Invalid` at `/firewalls` for one that is not there or is of another network than `network`.
 */
export async function tagsOf(account: Account, firewalls: string[], network: string): Promise<string[]> {
  return Promise.all(
    firewalls.map(async (ref, index) => {
      const field = `/firewalls/${index}`;
      const found = await read(account, { ...wantedRef('firewalls', ref, field), collection: 'firewalls' });
      if (!found) throw new ProviderError('Invalid', `there is no ${ref}`, { field });
      if (lastOf(found.body.network) !== lastOf(network))
        throw new ProviderError('Invalid', `${ref} is of another network than the instance`, { field });
      return found.name;
    }),
  );
}
