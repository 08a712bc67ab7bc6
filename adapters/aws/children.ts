import {
  DescribeNetworkInterfacesCommand,
  DescribeSecurityGroupsCommand,
  DescribeVolumesCommand,
  type EC2Client,
  type Filter,
  type Tag,
} from '@aws-sdk/client-ec2';
import type { Listed } from '../contract.ts';
import { reading } from './clients.ts';

/** Something that was made for a machine. */
export interface Child {
  ref: string;
  providerKind: ChildKind;
  tags: Tag[];
  state: Listed['state'];
  /** Still attached to a machine: EC2 will not delete it. */
  inUse: boolean;
  zone?: string;
  createdAt?: string;
}

export const childKinds = ['volume', 'networkInterface', 'securityGroup'] as const;
export type ChildKind = (typeof childKinds)[number];

/** One page of the children of a kind that the filters match. */
export async function describeChildren(
  ec2: EC2Client,
  kind: ChildKind,
  Filters: Filter[],
  NextToken?: string,
): Promise<{ children: Child[]; next?: string }> {
  if (kind === 'volume') {
    const page = await reading(ec2.send(new DescribeVolumesCommand({ Filters, NextToken })));
    const children = (page.Volumes ?? []).map((volume) => ({
      ref: volume.VolumeId ?? '',
      providerKind: kind,
      tags: volume.Tags ?? [],
      state: volumeStates[volume.State ?? ''] ?? 'ready',
      inUse: volume.State === 'in-use',
      zone: volume.AvailabilityZone,
      createdAt: volume.CreateTime?.toISOString(),
    }));
    return {
      children: children.filter(({ state }) => state !== 'removing'),
      next: page.NextToken || undefined,
    };
  }
  if (kind === 'networkInterface') {
    const page = await reading(ec2.send(new DescribeNetworkInterfacesCommand({ Filters, NextToken })));
    const children = (page.NetworkInterfaces ?? []).map((nic) => ({
      ref: nic.NetworkInterfaceId ?? '',
      providerKind: kind,
      tags: nic.TagSet ?? [],
      state: 'ready' as const,
      inUse: nic.Status !== 'available',
      zone: nic.AvailabilityZone,
    }));
    return { children, next: page.NextToken || undefined };
  }
  const page = await reading(ec2.send(new DescribeSecurityGroupsCommand({ Filters, NextToken })));
  const children = (page.SecurityGroups ?? []).map((group) => ({
    ref: group.GroupId ?? '',
    providerKind: kind,
    tags: group.Tags ?? [],
    state: 'ready' as const,
    // EC2 does not say who uses a group: deleting it tells.
    inUse: false,
  }));
  return { children, next: page.NextToken || undefined };
}

const volumeStates: Record<string, Listed['state']> = {
  creating: 'creating',
  error: 'failed',
  deleting: 'removing',
  deleted: 'removing',
};

/** All children that the filters match, over kinds and pages. */
export async function findChildren(ec2: EC2Client, filters: Filter[]): Promise<Child[]> {
  const found: Child[] = [];
  for (const kind of childKinds) {
    let token: string | undefined;
    do {
      const page = await describeChildren(ec2, kind, filters, token);
      found.push(...page.children);
      token = page.next;
    } while (token);
  }
  return found;
}
