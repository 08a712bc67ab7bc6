import {
  DescribeAccountAttributesCommand,
  DescribeInstancesCommand,
  DescribeInstanceTypeOfferingsCommand,
  DescribeInstanceTypesCommand,
  type EC2Client,
  type InstanceTypeInfo,
} from '@aws-sdk/client-ec2';
import type { CallContext, Quota, SiteOffer } from '../contract.ts';
import { type Account, reading } from './clients.ts';

/** Instance types × zones × markets of every region. EC2's API has no prices: the catalogue's are used. */
export async function* readOffers(account: Account, context: CallContext): AsyncIterable<SiteOffer> {
  for (const region of account.regions) {
    const ec2 = account.ec2(region);
    const zones = await zonesByType(ec2, context);
    let token: string | undefined;
    do {
      context.signal.throwIfAborted();
      context.heartbeat({ region });
      const page = await reading(
        ec2.send(new DescribeInstanceTypesCommand({ MaxResults: 100, NextToken: token }), {
          abortSignal: context.signal,
        }),
      );
      for (const type of page.InstanceTypes ?? [])
        for (const zone of zones.get(type.InstanceType ?? '') ?? []) yield* offersOf(type, region, zone);
      token = page.NextToken || undefined;
    } while (token);
  }
}

async function zonesByType(ec2: EC2Client, context: CallContext): Promise<Map<string, string[]>> {
  const zones = new Map<string, string[]>();
  let token: string | undefined;
  do {
    context.signal.throwIfAborted();
    context.heartbeat();
    const page = await reading(
      ec2.send(
        new DescribeInstanceTypeOfferingsCommand({ LocationType: 'availability-zone', NextToken: token }),
        {
          abortSignal: context.signal,
        },
      ),
    );
    for (const { InstanceType, Location } of page.InstanceTypeOfferings ?? []) {
      if (!InstanceType || !Location) continue;
      const known = zones.get(InstanceType);
      if (known) known.push(Location);
      else zones.set(InstanceType, [Location]);
    }
    token = page.NextToken || undefined;
  } while (token);
  return zones;
}

function* offersOf(type: InstanceTypeInfo, region: string, zone: string): Iterable<SiteOffer> {
  const supported = type.ProcessorInfo?.SupportedArchitectures ?? [];
  const architecture = supported.includes('x86_64')
    ? 'x86_64'
    : supported.includes('arm64')
      ? 'arm64'
      : undefined;
  // 32-bit and Mac types are nothing that an image of the catalogue runs on.
  if (!architecture || !type.InstanceType) return;
  const gpus = type.GpuInfo?.Gpus ?? [];
  for (const [usage, market] of [
    ['on-demand', 'onDemand'],
    ['spot', 'spot'],
  ] as const) {
    if (!type.SupportedUsageClasses?.includes(usage)) continue;
    yield {
      region,
      zone,
      instanceType: type.InstanceType,
      market,
      vcpus: type.VCpuInfo?.DefaultVCpus ?? 0,
      memoryGiB: (type.MemoryInfo?.SizeInMiB ?? 0) / 1024,
      architecture,
      gpuName: gpus[0]?.Name,
      gpuCount: gpus.reduce((sum, gpu) => sum + (gpu.Count ?? 0), 0),
      burstable: type.BurstablePerformanceSupported ?? false,
      currency: 'USD',
    };
  }
}

/**
 * What EC2's own API tells of the account's limits: the number of machines. The limits that bite today are vCPUs per
 * family, and those only the Service Quotas API knows; EC2 names them when it refuses (`VcpuLimitExceeded`).
 */
export async function readQuota(account: Account, region: string): Promise<Quota[]> {
  const ec2 = account.ec2(region);
  const answer = await reading(ec2.send(new DescribeAccountAttributesCommand({ AttributeNames: undefined })));
  const attribute = answer.AccountAttributes?.find(({ AttributeName }) => AttributeName === 'max-instances');
  const limit = Number(attribute?.AttributeValues?.[0]?.AttributeValue);
  if (!Number.isInteger(limit)) return [];
  let used = 0;
  let token: string | undefined;
  do {
    const page = await reading(
      ec2.send(
        new DescribeInstancesCommand({
          Filters: [{ Name: 'instance-state-name', Values: ['pending', 'running', 'stopping', 'stopped'] }],
          NextToken: token,
        }),
      ),
    );
    for (const reservation of page.Reservations ?? []) used += reservation.Instances?.length ?? 0;
    token = page.NextToken || undefined;
  } while (token);
  return [{ region, resource: 'instances', limit, used }];
}
