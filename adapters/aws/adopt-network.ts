import {
  DescribeEgressOnlyInternetGatewaysCommand,
  DescribeNetworkAclsCommand,
  DescribeRouteTablesCommand,
  DescribeVpcEndpointsCommand,
  DescribeVpcPeeringConnectionsCommand,
  DescribeVpnGatewaysCommand,
  type EC2Client,
  type Filter,
} from '@aws-sdk/client-ec2';
import { type FoundSubnet, managedBy, networkFound, ofAnotherInstallation } from '../discovery.ts';
import type { Look, Sight } from './adopt-other.ts';
import { reading } from './clients.ts';
import { labelsOf, tools } from './discover.ts';
import { describeAll, type Found } from './objects.ts';
import { stampOf, tagValue } from './stamp.ts';

/** A VPC with its subnets and its internet gateway. Whatever else is in it (routes, access lists, endpoints) stays its owner's. */
export const vpcs: Look<'vpc'> = {
  tools: [],
  // The subnets of each are shown with it.
  pageSize: 10,
  async look(ec2, objects) {
    if (objects.length === 0) return new Map();
    const Values = objects.map(({ ref }) => ref);
    const [parts, groups] = await Promise.all([
      partsIn(ec2, Values),
      describeAll(ec2, 'securityGroup', [
        { Name: 'vpc-id', Values },
        { Name: 'group-name', Values: ['default'] },
      ]),
    ]);
    return new Map(
      objects.map((vpc) => {
        const isOwn = groups.some(({ raw }) => raw.VpcId === vpc.ref && raw.OwnerId === vpc.raw.OwnerId);
        return [vpc.ref, sightOf(vpc, parts.filter(isIn(vpc.ref)), isOwn)];
      }),
    );
  },
  parts: async (ec2, { ref }) => partsIn(ec2, [ref]),
};

function sightOf({ raw }: Found<'vpc'>, parts: Part[], isOwn: boolean): Sight {
  const refused = (why: string): Sight => ({ refused: why });
  if (raw.IsDefault)
    return refused('it is the default VPC of its region, in which whatever names no network is made');
  // Who a VPC is only shared with does not see the group that every VPC has.
  if (!isOwn) return refused(`it is shared by another account (${raw.OwnerId}), and only that may tag it`);
  if (raw.InstanceTenancy !== 'default')
    return refused(
      `machines in it get hardware of their own (tenancy ${raw.InstanceTenancy}), whose prices Landfall does not know`,
    );
  for (const { ref, tags } of parts) {
    const why = stampOf(tags) ? ofAnotherInstallation : managedBy(tools, labelsOf(tags), 'tag');
    if (why) return refused(`of its ${ref}: ${why}`);
  }
  const ranges = (raw.CidrBlockAssociationSet ?? []).filter(
    ({ CidrBlockState }) => CidrBlockState?.State !== 'disassociated',
  );
  const cidrs = ranges.flatMap(({ CidrBlock }) => CidrBlock ?? []);
  const found = networkFound(
    cidrs.length > 0 ? cidrs : raw.CidrBlock ? [raw.CidrBlock] : [],
    parts.filter(isSubnet).map(foundSubnet),
  );
  return typeof found === 'string' ? refused(found) : found;
}

/** Its name may be changed by anybody at any time, its id never. */
export function foundSubnet({ ref, tags, zone, raw }: Found<'subnet'>): FoundSubnet {
  return { id: ref, name: tagValue(tags, 'Name'), cidrs: raw.CidrBlock ? [raw.CidrBlock] : [], zone };
}

type Part = Found<'subnet'> | Found<'internetGateway'>;

const isSubnet = (part: Part): part is Found<'subnet'> => part.providerKind === 'subnet';

const isIn =
  (vpc: string) =>
  (part: Part): boolean =>
    isSubnet(part)
      ? part.raw.VpcId === vpc
      : (part.raw.Attachments?.some(({ VpcId }) => VpcId === vpc) ?? false);

async function partsIn(ec2: EC2Client, Values: string[]): Promise<Part[]> {
  const [subnets, gateways] = await Promise.all([
    describeAll(ec2, 'subnet', [{ Name: 'vpc-id', Values }]),
    describeAll(ec2, 'internetGateway', [{ Name: 'attachment.vpc-id', Values }]),
  ]);
  return [...subnets, ...gateways];
}

/**
 * What its owner, or somebody else, has in a VPC that was adopted: EC2 deletes no VPC from under it, and Landfall removes none of it.
 * Each by its id.
 */
export async function othersIn(ec2: EC2Client, vpc: string): Promise<string[]> {
  const within = (Name: string): { Filters: Filter[] } => ({ Filters: [{ Name, Values: [vpc] }] });
  const [parts, tables, lists, endpoints, asked, accepted, vpns, egress] = await Promise.all([
    partsIn(ec2, [vpc]),
    reading(ec2.send(new DescribeRouteTablesCommand(within('vpc-id')))),
    reading(ec2.send(new DescribeNetworkAclsCommand(within('vpc-id')))),
    reading(ec2.send(new DescribeVpcEndpointsCommand(within('vpc-id')))),
    reading(ec2.send(new DescribeVpcPeeringConnectionsCommand(within('requester-vpc-info.vpc-id')))),
    reading(ec2.send(new DescribeVpcPeeringConnectionsCommand(within('accepter-vpc-info.vpc-id')))),
    reading(ec2.send(new DescribeVpnGatewaysCommand(within('attachment.vpc-id')))),
    reading(ec2.send(new DescribeEgressOnlyInternetGatewaysCommand({ MaxResults: 255 }))),
  ]);
  const standing = new Set<string | undefined>(['active', 'pending-acceptance', 'provisioning']);
  const peerings = [...(asked.VpcPeeringConnections ?? []), ...(accepted.VpcPeeringConnections ?? [])];
  return [
    ...parts.flatMap(({ ref, tags }) => (stampOf(tags) ? [] : [ref])),
    ...(tables.RouteTables ?? []).flatMap(({ RouteTableId, Associations }) =>
      Associations?.some(({ Main }) => Main) ? [] : [RouteTableId],
    ),
    ...(lists.NetworkAcls ?? []).flatMap(({ NetworkAclId, IsDefault }) => (IsDefault ? [] : [NetworkAclId])),
    ...(endpoints.VpcEndpoints ?? []).flatMap(({ VpcEndpointId, State }) =>
      /^delet/i.test(State ?? '') ? [] : [VpcEndpointId],
    ),
    ...peerings.flatMap(({ VpcPeeringConnectionId, Status }) =>
      standing.has(Status?.Code) ? [VpcPeeringConnectionId] : [],
    ),
    ...(vpns.VpnGateways ?? []).flatMap(({ VpnGatewayId, VpcAttachments = [] }) =>
      VpcAttachments.some(({ VpcId, State }) => VpcId === vpc && State !== 'detached') ? [VpnGatewayId] : [],
    ),
    ...(egress.EgressOnlyInternetGateways ?? []).flatMap(
      ({ EgressOnlyInternetGatewayId, Attachments = [] }) =>
        Attachments.some(({ VpcId }) => VpcId === vpc) ? [EgressOnlyInternetGatewayId] : [],
    ),
  ].filter((id) => id !== undefined);
}
