import { randomUUID } from 'node:crypto';
import {
  DescribeNetworkInterfacesCommand,
  DescribeSecurityGroupsCommand,
  DescribeVolumesCommand,
  EC2Client,
  paginateDescribeInstances,
  RunInstancesCommand,
  type Tag,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { resized, wantOf } from '../../test/simulators/aws/subject.ts';
import { listAll, removeFully } from '../conformance/probe.ts';
import type { Subject, Truth } from '../conformance/subject.ts';
import { conformanceSuite } from '../conformance/suite.ts';
import { resolveImage } from './image.ts';
import { createAwsAdapter } from './index.ts';
import { stampTags } from './stamp.ts';

/**
 * The conformance suite against a real account, with the credentials that the AWS SDK finds: `LANDFALL_LIVE=aws`, and
 * where to, `AWS_REGION` and `LANDFALL_LIVE_ZONE`. About ten t3.micro for some minutes each; at the end everything with this run's
 * stamp is removed.
 */
if (process.env.LANDFALL_LIVE === 'aws')
  conformanceSuite('live AWS', liveAws, {
    testMs: 20 * 60_000,
    setupMs: 20 * 60_000,
    cancelMs: 35_000,
    resize: resized,
  });
else test.skip('the conformance suite against a real AWS account runs with LANDFALL_LIVE=aws', () => {});

async function liveAws(): Promise<Subject> {
  const region = process.env.AWS_REGION ?? 'us-east-1';
  const location = { region, zone: process.env.LANDFALL_LIVE_ZONE ?? `${region}a` };
  const broker = `live-${randomUUID()}`;
  const ec2 = new EC2Client({ region });
  const planted: string[] = [];
  const adapter = async () => createAwsAdapter({ site: 'live', regions: [region] });
  const target = (resource: string, attempt?: number) => ({
    kind: 'Instance' as const,
    stamp: { broker, project: 'conformance', resource, attempt },
    location,
  });
  return {
    provider: 'aws',
    broker,
    adapter,
    target,
    want: (resource, attempt, change) =>
      wantOf({ broker, project: 'conformance', resource, attempt }, location, change),
    faults: { set: () => ({ unsupported: 'a real cloud has no knobs' }), clear: () => {} },
    truth: () => existing(ec2, broker, planted),
    async plantForeign(resource, otherBroker) {
      const { spec } = wantOf({ broker, project: 'conformance', resource, attempt: 1 }, location);
      const tags: Tag[] = [{ Key: 'Name', Value: `${broker} foreign` }];
      if (otherBroker)
        tags.push(
          { Key: stampTags.broker, Value: otherBroker },
          { Key: stampTags.project, Value: 'theirs' },
          { Key: stampTags.resource, Value: resource },
          { Key: stampTags.attempt, Value: '1' },
        );
      const answer = await ec2.send(
        new RunInstancesCommand({
          ImageId: (await resolveImage(ec2, spec.image!)).id,
          InstanceType: 't3.micro',
          MinCount: 1,
          MaxCount: 1,
          TagSpecifications: [{ ResourceType: 'instance', Tags: tags }],
        }),
      );
      const ref = answer.Instances?.[0]?.InstanceId;
      if (!ref) throw new Error('RunInstances answered without a machine');
      planted.push(ref);
      return ref;
    },
    async close() {
      if (planted.length > 0) await ec2.send(new TerminateInstancesCommand({ InstanceIds: planted }));
      const sweeper = await adapter();
      const { items } = await listAll(sweeper, broker);
      for (const resource of new Set(items.map(({ stamp }) => stamp.resource)))
        await removeFully(sweeper, target(resource));
      ec2.destroy();
    },
  };
}

/** What exists with the broker's tag and the foreign machines, by queries of our own and not by the adapter's. */
async function existing(ec2: EC2Client, broker: string, planted: string[]): Promise<Truth[]> {
  const Filters = [{ Name: `tag:${stampTags.broker}`, Values: [broker] }];
  const found: Truth[] = [];
  const add = (providerKind: string, ref: string | undefined, tags: Tag[] | undefined) => {
    const value = (key: string) => tags?.find((tag) => tag.Key === key)?.Value;
    const attempt = value(stampTags.attempt);
    found.push({
      ref: ref ?? '',
      providerKind,
      machine: providerKind === 'instance',
      broker: value(stampTags.broker),
      resource: value(stampTags.resource),
      attempt: attempt === undefined ? undefined : Number(attempt),
    });
  };
  for await (const page of paginateDescribeInstances({ client: ec2 }, {}))
    for (const reservation of page.Reservations ?? [])
      for (const { InstanceId, State, Tags } of reservation.Instances ?? []) {
        const ours = Tags?.some(({ Key, Value }) => Key === stampTags.broker && Value === broker);
        const known = ours || planted.includes(InstanceId ?? '');
        if (known && State?.Name !== 'terminated') add('instance', InstanceId, Tags);
      }
  const [volumes, nics, groups] = await Promise.all([
    ec2.send(new DescribeVolumesCommand({ Filters })),
    ec2.send(new DescribeNetworkInterfacesCommand({ Filters })),
    ec2.send(new DescribeSecurityGroupsCommand({ Filters })),
  ]);
  for (const { VolumeId, Tags } of volumes.Volumes ?? []) add('volume', VolumeId, Tags);
  for (const nic of nics.NetworkInterfaces ?? []) add('networkInterface', nic.NetworkInterfaceId, nic.TagSet);
  for (const { GroupId, Tags } of groups.SecurityGroups ?? []) add('securityGroup', GroupId, Tags);
  return found;
}
