import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  type IpPermission,
  RevokeSecurityGroupIngressCommand,
  type SecurityGroup,
} from '@aws-sdk/client-ec2';
import type { FirewallRule } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { parseCidr, writeCidr } from './cidr.ts';
import { changing } from './clients.ts';
import { providerCodeOf } from './errors.ts';
import { groupDescription } from './network.ts';
import type { Shape, View } from './resource.ts';
import { attemptName } from './stamp.ts';

interface FirewallView extends View<'Firewall'> {
  /** What the group allows, one source each, by what it says. */
  allowed: Map<string, IpPermission>;
}

/** A Firewall is a security group of its network's VPC. Its outgoing rule is the one that EC2 makes: everything. */
export const firewallShape: Shape<'Firewall', 'securityGroup', FirewallView> = {
  kind: 'Firewall',
  main: 'securityGroup',
  removal: ['securityGroup'],
  once: true,
  check({ spec }) {
    permissionsOf(spec.rules);
  },
  async create(ec2, { spec, stamp }, Tags, DryRun) {
    const answer = await changing(
      ec2.send(
        new CreateSecurityGroupCommand({
          GroupName: attemptName(stamp),
          Description: groupDescription(spec.name),
          VpcId: spec.network,
          TagSpecifications: [{ ResourceType: 'security-group', Tags }],
          DryRun,
        }),
      ),
    );
    return answer.GroupId;
  },
  view(_, { raw }) {
    const allowed = new Map(singles(raw).map((permission) => [keyOf(permission), permission]));
    return { details: { rules: rulesOf([...allowed.values()]), children: [] }, state: 'ready', allowed };
  },
  diff({ allowed }, spec) {
    const wanted = permissionsOf(spec.rules);
    const same = wanted.size === allowed.size && [...wanted.keys()].every((key) => allowed.has(key));
    return same ? [] : ['rules'];
  },
  async step({ ec2, want }, { ref }, { allowed }) {
    const wanted = permissionsOf(want.spec.rules);
    const missing = [...wanted].flatMap(([key, permission]) => (allowed.has(key) ? [] : [permission]));
    const extra = [...allowed].flatMap(([key, permission]) => (wanted.has(key) ? [] : [permission]));
    if (missing.length === 0 && extra.length === 0) return true;
    try {
      // What shall no longer come in is shut out first.
      if (extra.length > 0)
        await changing(
          ec2.send(new RevokeSecurityGroupIngressCommand({ GroupId: ref, IpPermissions: extra })),
        );
      if (missing.length > 0)
        await changing(
          ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId: ref, IpPermissions: missing })),
        );
    } catch (error) {
      // What was seen was older than what is: look again.
      const code = providerCodeOf(error) ?? '';
      if (!['InvalidPermission.Duplicate', 'InvalidPermission.NotFound'].includes(code)) throw error;
    }
    return false;
  },
};

/** The rules as EC2's permissions, one source each. @throws ProviderError `Invalid` for a source that is no CIDR. */
function permissionsOf(rules: FirewallRule[]): Map<string, IpPermission> {
  const all = rules.flatMap((rule, at) =>
    rule.sources.map((source): IpPermission => {
      const cidr = parseCidr(source);
      if (!cidr)
        throw new ProviderError('Invalid', `${source} is no range of IPv4 addresses such as 10.0.0.0/8`, {
          field: `/rules/${at}/sources`,
        });
      return { ...portsOf(rule), IpRanges: [{ CidrIp: writeCidr(cidr) }] };
    }),
  );
  return new Map(all.map((permission) => [keyOf(permission), permission]));
}

function portsOf({ protocol, ports }: FirewallRule): IpPermission {
  if (protocol === 'all') return { IpProtocol: '-1' };
  // Every type of message.
  if (protocol === 'icmp') return { IpProtocol: 'icmp', FromPort: -1, ToPort: -1 };
  return { IpProtocol: protocol, FromPort: ports?.from ?? 0, ToPort: ports?.to ?? 65_535 };
}

/** A group's permissions taken apart: one source each, ours or of a sort that no rule of ours has. */
function singles({ IpPermissions = [] }: SecurityGroup): IpPermission[] {
  return IpPermissions.flatMap(({ IpProtocol, FromPort, ToPort, ...sources }) => {
    const ports = IpProtocol === '-1' ? { IpProtocol } : { IpProtocol, FromPort, ToPort };
    return [
      ...(sources.IpRanges ?? []).map(({ CidrIp }) => ({ ...ports, IpRanges: [{ CidrIp }] })),
      ...(sources.Ipv6Ranges ?? []).map(({ CidrIpv6 }) => ({ ...ports, Ipv6Ranges: [{ CidrIpv6 }] })),
      ...(sources.PrefixListIds ?? []).map(({ PrefixListId }) => ({
        ...ports,
        PrefixListIds: [{ PrefixListId }],
      })),
      ...(sources.UserIdGroupPairs ?? []).map(({ GroupId, UserId }) => ({
        ...ports,
        UserIdGroupPairs: [{ GroupId, UserId }],
      })),
    ];
  });
}

function keyOf({ IpProtocol, FromPort, ToPort, ...source }: IpPermission): string {
  return JSON.stringify([IpProtocol, FromPort ?? null, ToPort ?? null, source]);
}

/** What is allowed, as rules: one for each protocol and ports. */
function rulesOf(permissions: IpPermission[]): FirewallRule[] {
  const rules = new Map<string, FirewallRule>();
  for (const { IpProtocol, FromPort = 0, ToPort = 65_535, IpRanges } of permissions) {
    const source = IpRanges?.[0]?.CidrIp;
    if (!source) continue;
    const protocol = IpProtocol === '-1' ? 'all' : (IpProtocol as FirewallRule['protocol']);
    const some = (protocol === 'tcp' || protocol === 'udp') && (FromPort > 0 || ToPort < 65_535);
    const key = `${protocol} ${FromPort} ${ToPort}`;
    const rule = rules.get(key) ?? {
      protocol,
      ...(some ? { ports: { from: FromPort, to: ToPort } } : {}),
      sources: [],
    };
    rule.sources.push(source);
    rules.set(key, rule);
  }
  return [...rules.values()];
}
