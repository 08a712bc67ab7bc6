import { type Element, items, parseXml, textAt } from './xml.ts';

/** Something that exists in the simulated account. */
export interface Existing {
  ref: string;
  providerKind:
    | 'instance'
    | 'volume'
    | 'networkInterface'
    | 'securityGroup'
    | 'keyPair'
    | 'snapshot'
    | 'image'
    | 'importTask'
    | 'vpc'
    | 'subnet'
    | 'internetGateway'
    | 'address';
  region: string;
  /** moto's state of a machine. */
  state?: string;
  tags: Record<string, string>;
}

/** The simulated account, whose own are the images and snapshots that are not AWS's. */
export const account = '123456789012';

/** Calls to moto itself, past the rules and faults of the proxy. */
export interface MotoCaller {
  /** `service` is EC2 when absent. */
  send(
    region: string,
    parameters: URLSearchParams,
    service?: string,
  ): Promise<{ status: number; body: string }>;
  /** Sends an EC2 action and reads the answer. @throws Error with moto's words when it refuses. */
  call(region: string, action: string, parameters?: Record<string, string>): Promise<Element>;
  /** One object of a Describe call, by its id; undefined when there is none. */
  one(
    region: string,
    action: string,
    set: string,
    parameter: string,
    id: string,
  ): Promise<Element | undefined>;
  /** `terminated` when there is no such instance. */
  instanceState(region: string, id: string): Promise<string>;
  /** moto ignores tag specifications of network interfaces: applied here, in the same breath as the create. */
  tagNetworkInterfaces(region: string, request: URLSearchParams, answer: Element): Promise<void>;
  /** Everything that exists in a region, terminated machines too; the default network's own objects are left out. */
  existing(region: string): Promise<Existing[]>;
  reset(): Promise<void>;
}

export function createMotoCaller(url: string, apiVersion: string): MotoCaller {
  const send: MotoCaller['send'] = async (region, parameters, service = 'ec2') => {
    const answer = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `AWS4-HMAC-SHA256 Credential=simulator/20260101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=0`,
      },
      body: parameters.toString(),
    });
    return { status: answer.status, body: await answer.text() };
  };
  const call: MotoCaller['call'] = async (region, action, parameters = {}) => {
    const answer = await send(
      region,
      new URLSearchParams({ Action: action, Version: apiVersion, ...parameters }),
    );
    if (answer.status !== 200) throw new Error(`moto refused ${action}: ${answer.body}`);
    return parseXml(answer.body);
  };
  const one: MotoCaller['one'] = async (region, action, set, parameter, id) => {
    const query = new URLSearchParams({ Action: action, Version: apiVersion, [`${parameter}.1`]: id });
    const answer = await send(region, query);
    if (answer.status >= 500) throw new Error(`moto could not ${action}: ${answer.body}`);
    return answer.status === 200 ? items(parseXml(answer.body), set)[0] : undefined;
  };
  /** All pages of a Describe call. */
  const all = async (
    region: string,
    action: string,
    set: string,
    query: Record<string, string> = {},
  ): Promise<Element[]> => {
    const found: Element[] = [];
    let token: string | undefined;
    do {
      const page = await call(region, action, token ? { ...query, NextToken: token } : query);
      found.push(...items(page, set));
      token = textAt(page, 'nextToken') || undefined;
    } while (token);
    return found;
  };
  return {
    send,
    call,
    one,
    async instanceState(region, id) {
      const reservation = await one(region, 'DescribeInstances', 'reservationSet', 'InstanceId', id);
      const instance = items(reservation, 'instancesSet')[0];
      return textAt(instance, 'instanceState', 'name') ?? 'terminated';
    },
    async tagNetworkInterfaces(region, request, answer) {
      const tags: Record<string, string> = {};
      let count = 0;
      for (const [key, value] of request) {
        const specification = /^TagSpecification\.(\d+)\.ResourceType$/.exec(key)?.[1];
        if (!specification || value !== 'network-interface') continue;
        for (let n = 1; request.has(`TagSpecification.${specification}.Tag.${n}.Key`); n += 1) {
          count += 1;
          tags[`Tag.${count}.Key`] = request.get(`TagSpecification.${specification}.Tag.${n}.Key`) ?? '';
          tags[`Tag.${count}.Value`] = request.get(`TagSpecification.${specification}.Tag.${n}.Value`) ?? '';
        }
      }
      if (count === 0) return;
      for (const instance of items(answer, 'instancesSet'))
        for (const nic of items(instance, 'networkInterfaceSet')) {
          const id = textAt(nic, 'networkInterfaceId');
          if (id) await call(region, 'CreateTags', { 'ResourceId.1': id, ...tags });
        }
    },
    async existing(region) {
      const found: Existing[] = [];
      const add = (providerKind: Existing['providerKind'], element: Element, id: string, state?: string) =>
        found.push({ ref: textAt(element, id) ?? '', providerKind, region, state, tags: tagsOf(element) });
      for (const reservation of await all(region, 'DescribeInstances', 'reservationSet'))
        for (const instance of items(reservation, 'instancesSet')) {
          add('instance', instance, 'instanceId', textAt(instance, 'instanceState', 'name'));
        }
      for (const volume of await all(region, 'DescribeVolumes', 'volumeSet'))
        add('volume', volume, 'volumeId');
      for (const nic of await all(region, 'DescribeNetworkInterfaces', 'networkInterfaceSet'))
        add('networkInterface', nic, 'networkInterfaceId');
      for (const group of await all(region, 'DescribeSecurityGroups', 'securityGroupInfo'))
        if (textAt(group, 'groupName') !== 'default') add('securityGroup', group, 'groupId');
      for (const key of await all(region, 'DescribeKeyPairs', 'keySet')) add('keyPair', key, 'keyName');
      const own = { 'Filter.1.Name': 'owner-id', 'Filter.1.Value.1': account };
      for (const snapshot of await all(region, 'DescribeSnapshots', 'snapshotSet', own))
        add('snapshot', snapshot, 'snapshotId');
      for (const image of await all(region, 'DescribeImages', 'imagesSet', own))
        add('image', image, 'imageId');
      for (const vpc of await all(region, 'DescribeVpcs', 'vpcSet'))
        if (textAt(vpc, 'isDefault') !== 'true') add('vpc', vpc, 'vpcId');
      for (const subnet of await all(region, 'DescribeSubnets', 'subnetSet'))
        if (textAt(subnet, 'defaultForAz') !== 'true') add('subnet', subnet, 'subnetId');
      for (const gateway of await all(region, 'DescribeInternetGateways', 'internetGatewaySet'))
        add('internetGateway', gateway, 'internetGatewayId');
      for (const address of await all(region, 'DescribeAddresses', 'addressesSet'))
        add('address', address, 'allocationId');
      return found;
    },
    async reset() {
      const answer = await fetch(`${url}/moto-api/reset`, { method: 'POST' });
      if (!answer.ok) throw new Error(`moto could not be reset: ${answer.status}`);
    },
  };
}

function tagsOf(element: Element): Record<string, string> {
  return Object.fromEntries(
    items(element, 'tagSet').map((tag) => [textAt(tag, 'key') ?? '', textAt(tag, 'value') ?? '']),
  );
}
