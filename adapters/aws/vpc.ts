import {
  AttachInternetGatewayCommand,
  CreateInternetGatewayCommand,
  CreateRouteCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DescribeRouteTablesCommand,
  DetachInternetGatewayCommand,
  type EC2Client,
  type RouteTable,
} from '@aws-sdk/client-ec2';
import type { NetworkDetails, NetworkWant } from '../contract.ts';
import { namedSubnets } from '../discovery.ts';
import { ProviderError } from '../errors.ts';

import { rangesAreKept } from '../kinds.ts';
import { foundSubnet, othersIn } from './adopt-network.ts';
import { contains, overlap, parseCidr, writeCidr } from './cidr.ts';

import { changing, reading } from './clients.ts';
import { providerCodeOf } from './errors.ts';
import { describeAll, type Found } from './objects.ts';
import { deleteIfFree } from './remove.ts';
import type { Shape, Step, View } from './resource.ts';
import { stampAsTags, stampFilters, stampOf, stampTags, tagValue } from './stamp.ts';

interface NetworkView extends View<'Network'> {
  subnets: Found<'subnet'>[];
  gateways: Found<'internetGateway'>[];
  /** The VPC's own route table, which every subnet without another one follows. */
  routes?: RouteTable;
}

/**
 * A Network is a VPC with subnets and an internet gateway, which carry its stamp. The way out is a route in the VPC's main
 * route table: like the default group and access list it is a part of the VPC, and comes and goes with it.
 */
export const networkShape: Shape<'Network', 'vpc', NetworkView> = {
  kind: 'Network',
  main: 'vpc',
  removal: ['subnet', 'internetGateway', 'vpc'],
  once: false,
  check({ spec }) {
    checkRanges(spec);
  },
  async create(ec2, { spec }, Tags, DryRun) {
    const answer = await changing(
      ec2.send(
        new CreateVpcCommand({
          CidrBlock: spec.cidr,
          TagSpecifications: [{ ResourceType: 'vpc', Tags }],
          DryRun,
        }),
      ),
    );
    return answer.Vpc?.VpcId;
  },
  async view(ec2, vpc) {
    const stamp = stampOf(vpc.tags);
    const filters = stamp ? stampFilters(stamp) : [];
    const [allSubnets, gateways, routes] = await Promise.all([
      describeAll(ec2, 'subnet', filters),
      describeAll(ec2, 'internetGateway', filters),
      mainRoutes(ec2, vpc.ref),
    ]);
    const subnets = allSubnets.filter(({ raw }) => raw.VpcId === vpc.ref);
    const refs = new Map(subnets.map(({ ref, raw }) => [raw.CidrBlock ?? '', ref]));
    const details: NetworkDetails = {
      cidr: vpc.raw.CidrBlock ?? '',
      subnets: namedSubnets(subnets.map(foundSubnet)).map((subnet) => ({
        ...subnet,
        ref: refs.get(subnet.cidr) ?? '',
      })),
      children: [...subnets, ...gateways].map(({ ref }) => ref),
    };
    const whole =
      subnets.every(({ state }) => state === 'ready') &&
      // Where what was adopted leads is its owner's to say.
      (isAdopted(vpc) || (gateways.some(leadsTo(vpc.ref)) && leadsOut(routes)));
    return {
      details,
      state: vpc.state === 'ready' && !whole ? 'creating' : vpc.state,
      subnets,
      gateways,
      routes,
    };
  },
  diff({ details }, spec, vpc) {
    // What was adopted is wanted as it is: nothing of it is made anew.
    if (isAdopted(vpc)) return [];
    const missing = spec.subnets.some(
      ({ name, cidr }) => !details.subnets.some((subnet) => subnet.name === name && subnet.cidr === cidr),
    );
    return missing ? ['subnets'] : [];
  },
  async step(step, vpc, view) {
    if (isAdopted(vpc)) return true;
    const { ref } = vpc;
    const { cidr, subnets } = step.want.spec;
    rangesAreKept(view.details, {
      cidr: written(cidr),
      subnets: subnets.map((subnet) => ({ ...subnet, cidr: written(subnet.cidr) })),
    });
    const busy = [await makeSubnets(step, ref, view), await makeGateway(step, ref, view)];
    return !busy.includes(true);
  },
  async release(ec2, vpc) {
    const { ref, tags } = vpc;
    const inside = [{ Name: 'vpc-id', Values: [ref] }];
    const [nics, groups, others] = await Promise.all([
      describeAll(ec2, 'networkInterface', inside),
      describeAll(ec2, 'securityGroup', inside),
      isAdopted(vpc) ? othersIn(ec2, ref) : [],
    ]);
    const members = [...nics, ...groups.filter(({ raw }) => raw.GroupName !== 'default')];
    const users = [...members.map((user) => user.ref), ...others];
    // Before anything of it is deleted: a network that is in use stays whole.
    if (users.length > 0)
      throw new ProviderError('Conflict', `${ref} is used by ${users.slice(0, 5).join(', ')}`, {
        providerCode: 'DependencyViolation',
      });
    const stamp = stampOf(tags);
    const gateways = stamp ? await describeAll(ec2, 'internetGateway', stampFilters(stamp)) : [];
    for (const gateway of gateways.filter(leadsTo(ref)))
      await changing(
        ec2.send(new DetachInternetGatewayCommand({ InternetGatewayId: gateway.ref, VpcId: ref })),
      );
  },
};

/** Every VPC that we made says when; what existed before has no such tag. */
const isAdopted = ({ tags }: Found<'vpc'>): boolean => tagValue(tags, stampTags.made) === undefined;

/** The range as EC2 writes it. */
function written(text: string): string {
  const cidr = parseCidr(text);
  return cidr ? writeCidr(cidr) : text;
}

/** EC2 takes /16 to /28, for a VPC and for its subnets. */
function checkRanges(spec: NetworkWant): void {
  const read = (text: string, field: string) => {
    const cidr = parseCidr(text);
    if (cidr && cidr.bits >= 16 && cidr.bits <= 28) return cidr;
    throw new ProviderError('Invalid', `${text} is no IPv4 range that AWS takes: a.b.c.d/16 to /28`, {
      field,
    });
  };
  const whole = read(spec.cidr, '/cidr');
  const parts = spec.subnets.map(({ cidr }, at) => read(cidr, `/subnets/${at}/cidr`));
  parts.forEach((part, at) => {
    const field = `/subnets/${at}/cidr`;
    if (!contains(whole, part))
      throw new ProviderError('Invalid', `subnet ${spec.subnets[at]?.cidr} is outside ${spec.cidr}`, {
        field,
      });
    if (parts.slice(0, at).some((earlier) => overlap(earlier, part)))
      throw new ProviderError('Invalid', `subnet ${spec.subnets[at]?.cidr} overlaps an earlier one`, {
        field,
      });
  });
}

async function mainRoutes(ec2: EC2Client, vpc: string): Promise<RouteTable | undefined> {
  const Filters = [
    { Name: 'vpc-id', Values: [vpc] },
    { Name: 'association.main', Values: ['true'] },
  ];
  return (await reading(ec2.send(new DescribeRouteTablesCommand({ Filters })))).RouteTables?.[0];
}

const leadsTo =
  (vpc: string) =>
  ({ raw }: Found<'internetGateway'>): boolean =>
    raw.Attachments?.some(({ VpcId }) => VpcId === vpc) ?? false;

function leadsOut(routes: RouteTable | undefined): boolean {
  return routes?.Routes?.some((route) => route.DestinationCidrBlock === everywhere) ?? false;
}

const everywhere = '0.0.0.0/0';

/** Makes the subnets that are missing. @returns whether there was something to do. */
async function makeSubnets(
  { ec2, want, done }: Step<'Network'>,
  vpc: string,
  view: NetworkView,
): Promise<boolean> {
  const { stamp, spec, location } = want;
  const missing = spec.subnets.filter(
    ({ cidr }) => !view.details.subnets.some((subnet) => subnet.cidr === cidr),
  );
  for (const { name, cidr, zone } of missing) {
    if (done.has(cidr)) continue;
    try {
      await changing(
        ec2.send(
          new CreateSubnetCommand({
            VpcId: vpc,
            CidrBlock: cidr,
            AvailabilityZone: zone ?? location.zone,
            TagSpecifications: [
              {
                ResourceType: 'subnet',
                Tags: [...stampAsTags(stamp, 'Network'), { Key: 'Name', Value: name }],
              },
            ],
          }),
        ),
      );
    } catch (error) {
      // An earlier try made it, and it cannot be seen yet.
      if (providerCodeOf(error) !== 'InvalidSubnet.Conflict') throw error;
    }
    done.add(cidr);
  }
  return missing.length > 0;
}

/** Makes the gateway, attaches it and leads the traffic there, one after the other. @returns whether there was something to do. */
async function makeGateway(
  { ec2, want, done }: Step<'Network'>,
  vpc: string,
  view: NetworkView,
): Promise<boolean> {
  const attached = view.gateways.find(leadsTo(vpc));
  if (!attached) {
    const gateway = view.gateways.find(({ raw }) => !raw.Attachments?.length);
    if (gateway) await attachGateway(ec2, gateway.ref, vpc);
    else if (!done.has('gateway')) {
      const Tags = [...stampAsTags(want.stamp, 'Network'), { Key: 'Name', Value: want.spec.name }];
      await changing(
        ec2.send(
          new CreateInternetGatewayCommand({
            TagSpecifications: [{ ResourceType: 'internet-gateway', Tags }],
          }),
        ),
      );
      done.add('gateway');
    }
    return true;
  }
  // Made twice, by two tries of which one did not see the other's.
  const spare = view.gateways.filter((gateway) => gateway !== attached);
  for (const gateway of spare) await deleteIfFree(ec2, gateway);
  if (leadsOut(view.routes)) return spare.length > 0;
  if (!view.routes?.RouteTableId) return true;
  try {
    await changing(
      ec2.send(
        new CreateRouteCommand({
          RouteTableId: view.routes.RouteTableId,
          DestinationCidrBlock: everywhere,
          GatewayId: attached.ref,
        }),
      ),
    );
  } catch (error) {
    if (providerCodeOf(error) !== 'RouteAlreadyExists') throw error;
  }
  return true;
}

async function attachGateway(ec2: EC2Client, InternetGatewayId: string, VpcId: string): Promise<void> {
  try {
    await changing(ec2.send(new AttachInternetGatewayCommand({ InternetGatewayId, VpcId })));
  } catch (error) {
    // Another try was first, with this gateway or with another.
    const other = error instanceof ProviderError && /already has an internet gateway/.test(error.message);
    if (!other && providerCodeOf(error) !== 'Resource.AlreadyAssociated') throw error;
  }
}
