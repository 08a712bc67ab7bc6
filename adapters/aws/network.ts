import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  type EC2Client,
} from '@aws-sdk/client-ec2';
import type { CallContext, Location, Stamp, Want } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { untilVisible, waitFor } from '../wait.ts';
import { type Account, changing, reading } from './clients.ts';
import { providerCodeOf } from './errors.ts';
import { describeOne } from './objects.ts';
import { attemptName, carries, stampAsTags } from './stamp.ts';

export interface Subnet {
  id: string;
  vpc: string;
  zone: string;
}

/**
 * The default VPC's subnet in the zone; without a zone, of the first zone by name, because a repeated request must be
 * the same request (A1).
 * @throws ProviderError `Invalid` when the account has no default subnet there.
 */
export async function defaultSubnet(ec2: EC2Client, { region, zone }: Location): Promise<Subnet> {
  const filters = [{ Name: 'default-for-az', Values: ['true'] }];
  if (zone) filters.push({ Name: 'availability-zone', Values: [zone] });
  const answer = await reading(ec2.send(new DescribeSubnetsCommand({ Filters: filters })));
  const first = (answer.Subnets ?? []).sort((a, b) =>
    (a.AvailabilityZone ?? '').localeCompare(b.AvailabilityZone ?? ''),
  )[0];
  if (!first?.SubnetId || !first.VpcId || !first.AvailabilityZone)
    throw new ProviderError('Invalid', `the account has no default subnet in ${zone ?? region}`, {
      field: '/location/zone',
    });
  return { id: first.SubnetId, vpc: first.VpcId, zone: first.AvailabilityZone };
}

/**
 * The subnet that a machine is made in: the one of its network, or the default one.
 * @throws ProviderError `Invalid` when there is none such, or it is in another zone.
 */
export async function chosenSubnet(ec2: EC2Client, { spec, location }: Want<'Instance'>): Promise<Subnet> {
  if (!spec.network) return defaultSubnet(ec2, location);
  const { ref, subnet } = spec.network;
  const found = await describeOne(ec2, 'subnet', subnet);
  const zone = found?.zone;
  if (!zone || found.raw.VpcId !== ref)
    throw new ProviderError('Invalid', `network ${ref} has no subnet ${subnet}`, {
      field: '/network/subnet',
    });
  if (location.zone && location.zone !== zone)
    throw new ProviderError('Invalid', `subnet ${subnet} is in ${zone}, not in ${location.zone}`, {
      field: '/network/subnet',
    });
  return { id: subnet, vpc: ref, zone };
}

/** A security group's description, of the characters that EC2 allows. */
export function groupDescription(name: string): string {
  return `Landfall: ${name.replaceAll(/[^\w .:/()#,@[\]+=;{}!$*-]/g, '_')}`.slice(0, 255);
}

/**
 * The attempt's own security group: all outgoing; incoming SSH when the machine is to be reached from outside.
 * Found by its name when it is there already. `made` is told its id as soon as it has one (A9).
 */
export async function ensureSecurityGroup(
  account: Account,
  ec2: EC2Client,
  want: { stamp: Stamp; name: string; vpc: string; ssh: boolean },
  context: CallContext,
  made: string[],
): Promise<string> {
  const { stamp, vpc } = want;
  const name = attemptName(stamp);
  const find = async (): Promise<string | undefined> => {
    const answer = await reading(
      ec2.send(
        new DescribeSecurityGroupsCommand({
          Filters: [
            { Name: 'group-name', Values: [name] },
            { Name: 'vpc-id', Values: [vpc] },
          ],
        }),
      ),
    );
    const group = answer.SecurityGroups?.[0];
    if (group && !carries(group.Tags, stamp))
      throw new ProviderError('Conflict', `security group ${name} exists without our stamp`, {
        providerCode: 'InvalidGroup.Duplicate',
      });
    return group?.GroupId;
  };
  const wait = { context, pollMs: account.pollMs, limitMs: account.visibilityGraceMs };
  let id = await find();
  context.signal.throwIfAborted();
  if (!id) {
    try {
      const answer = await changing(
        ec2.send(
          new CreateSecurityGroupCommand({
            GroupName: name,
            Description: groupDescription(want.name),
            VpcId: vpc,
            TagSpecifications: [
              {
                ResourceType: 'security-group',
                Tags: [...stampAsTags(stamp, 'Instance'), { Key: 'Name', Value: want.name }],
              },
            ],
          }),
        ),
      );
      id = answer.GroupId;
    } catch (error) {
      // It is there, but cannot be seen yet: made by the try before this one.
      if (providerCodeOf(error) !== 'InvalidGroup.Duplicate') throw error;
      id = await waitFor(find, wait);
    }
  }
  if (!id) throw new ProviderError('Unavailable', `security group ${name} exists and cannot be seen`);
  made.push(id);
  context.signal.throwIfAborted();
  if (want.ssh) await allowSsh(ec2, id, wait);
  return id;
}

async function allowSsh(
  ec2: EC2Client,
  group: string,
  wait: { context: CallContext; pollMs: number; limitMs: number },
): Promise<void> {
  const allow = () =>
    changing(
      ec2.send(
        new AuthorizeSecurityGroupIngressCommand({
          GroupId: group,
          IpPermissions: [
            {
              IpProtocol: 'tcp',
              FromPort: 22,
              ToPort: 22,
              IpRanges: [{ CidrIp: '0.0.0.0/0', Description: 'SSH' }],
            },
          ],
        }),
      ),
    );
  try {
    await untilVisible(allow, { ...wait, codes: ['InvalidGroup.NotFound'] });
  } catch (error) {
    if (providerCodeOf(error) !== 'InvalidPermission.Duplicate') throw error;
  }
}
