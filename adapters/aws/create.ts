import {
  type EC2Client,
  type _InstanceType as InstanceTypeName,
  RunInstancesCommand,
  type RunInstancesCommandInput,
} from '@aws-sdk/client-ec2';
import type { CallContext, Want } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { imageOf } from '../kinds.ts';
import { untilVisible, waitFor } from '../wait.ts';
import { type Account, changing, reading } from './clients.ts';
import { providerCodeOf } from './errors.ts';
import { resolveImage } from './image.ts';
import { deathOf, findMachines, isDead, type Machine } from './machine.ts';
import { chosenSubnet, ensureSecurityGroup, type Subnet } from './network.ts';
import { clientToken, tagSpecifications } from './stamp.ts';
import { userData } from './user-data.ts';

/**
 * Makes the attempt's security group and machine; disk and network interface come with the machine.
 * @throws ProviderError with `made`: what exists after the failure (A9).
 */
export async function createMachine(
  account: Account,
  ec2: EC2Client,
  want: Want<'Instance'>,
  context: CallContext,
): Promise<Machine> {
  const made: string[] = [];
  try {
    const subnet = await chosenSubnet(ec2, want);
    context.signal.throwIfAborted();
    const image = await resolveImage(ec2, imageOf(want));
    context.signal.throwIfAborted();
    const request = runRequest(want, image, subnet);
    const { stamp, spec } = want;
    const group = await ensureSecurityGroup(
      account,
      ec2,
      // In a network of the user's own only firewalls let anything in; the group is there all the same, because it fences
      // an attempt off (R8).
      { stamp, name: spec.name, vpc: subnet.vpc, ssh: spec.publicAddress && !spec.network },
      context,
      made,
    );
    context.heartbeat();
    context.signal.throwIfAborted();
    const nic = request.NetworkInterfaces?.[0];
    if (nic) nic.Groups = [group, ...(spec.firewalls ?? [])];
    return await run(account, ec2, want, { ...request, ClientToken: clientToken(stamp) }, context);
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
    const all = [...new Set([...made, ...(error.details.made ?? [])])];
    throw new ProviderError(error.code, error.message, { ...error.details, made: all }, error.cause ?? error);
  }
}

async function run(
  account: Account,
  ec2: EC2Client,
  want: Want<'Instance'>,
  request: RunInstancesCommandInput,
  context: CallContext,
): Promise<Machine> {
  const wait = { context, pollMs: account.pollMs, limitMs: account.visibilityGraceMs };
  try {
    const answer = await untilVisible(() => changing(ec2.send(new RunInstancesCommand(request))), {
      ...wait,
      codes: ['InvalidGroup.NotFound'],
    });
    const machine = answer.Instances?.[0];
    if (!machine?.InstanceId)
      throw new ProviderError('OutcomeUnknown', 'RunInstances answered without a machine');
    const found: Machine = { ...machine, InstanceId: machine.InstanceId };
    // The token of a machine that died answers with the dead machine, for as long as EC2 remembers it (R4).
    if (isDead(found)) throw deathOf(found);
    return found;
  } catch (error) {
    // The token made a machine already, from a request that differs from this one: a newer image, another label.
    // That machine is this attempt's; it only cannot be seen yet.
    if (providerCodeOf(error) !== 'IdempotentParameterMismatch') throw error;
    const found = await waitFor(async () => (await findMachines(ec2, { stamp: want.stamp }))[0], wait);
    if (!found) throw error;
    if (isDead(found)) throw deathOf(found);
    return found;
  }
}

/** The create request without token and security group: the part that a dry run can check, too. */
function runRequest(
  want: Want<'Instance'>,
  image: { id: string; rootDevice: string },
  subnet: Subnet,
): RunInstancesCommandInput {
  const { spec } = want;
  return {
    ImageId: image.id,
    InstanceType: spec.instanceType as InstanceTypeName,
    MinCount: 1,
    MaxCount: 1,
    Placement: { AvailabilityZone: subnet.zone },
    BlockDeviceMappings: [
      {
        DeviceName: image.rootDevice,
        Ebs: { VolumeSize: spec.diskGiB, VolumeType: 'gp3', DeleteOnTermination: true },
      },
    ],
    NetworkInterfaces: [
      {
        DeviceIndex: 0,
        SubnetId: subnet.id,
        AssociatePublicIpAddress: spec.publicAddress,
        DeleteOnTermination: true,
      },
    ],
    // One-time and terminated when interrupted: a persistent request would bring machines back by itself.
    InstanceMarketOptions:
      spec.market === 'spot'
        ? {
            MarketType: 'spot',
            SpotOptions: { SpotInstanceType: 'one-time', InstanceInterruptionBehavior: 'terminate' },
          }
        : undefined,
    MetadataOptions: { HttpEndpoint: 'enabled', HttpTokens: 'required' },
    UserData: userData(spec),
    TagSpecifications: tagSpecifications(want),
  };
}

/** EC2's own dry run of the create. Resolves when it would be accepted. */
export async function dryRun(account: Account, want: Want<'Instance'>): Promise<void> {
  account.checkRegion(want.location.region);
  const ec2 = account.ec2(want.location.region);
  const subnet = await chosenSubnet(ec2, want);
  const image = await resolveImage(ec2, imageOf(want));
  const request = runRequest(want, image, subnet);
  try {
    await reading(ec2.send(new RunInstancesCommand({ ...request, DryRun: true })));
  } catch (error) {
    // EC2 says by this error that the request would have succeeded.
    if (providerCodeOf(error) !== 'DryRunOperation') throw error;
  }
}
