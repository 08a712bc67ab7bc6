import type { FaultPlan, Refusal } from './faults.ts';
import type { MotoCaller } from './moto-calls.ts';
import type { Passing } from './passing.ts';
import { refuse } from './storage.ts';
import { numbered, type Part, type Request } from './world.ts';
import { child, type Element, items, textAt } from './xml.ts';

/** Networks and addresses as EC2 has them: what is in use cannot be deleted, and things of two networks do not meet. */
export function createNetworks(
  faults: FaultPlan,
  moto: MotoCaller,
  stateOf: (region: string, instance: string) => Promise<string>,
  passing: Passing,
): Part {
  /** All objects of a Describe call that the filter matches. */
  const those = async (region: string, action: string, set: string, name: string, value: string) =>
    items(await moto.call(region, action, { 'Filter.1.Name': name, 'Filter.1.Value.1': value }), set);
  const gatewaysOf = (region: string, vpc: string) =>
    those(region, 'DescribeInternetGateways', 'internetGatewaySet', 'attachment.vpc-id', vpc);
  const inUse = (what: string, id: string) =>
    refuse('DependencyViolation', `The ${what} '${id}' has dependencies and cannot be deleted.`);

  async function vpcRefusal({ region, parameters }: Request): Promise<Refusal | undefined> {
    const id = parameters.get('VpcId') ?? '';
    const nics = await those(region, 'DescribeNetworkInterfaces', 'networkInterfaceSet', 'vpc-id', id);
    const groups = await those(region, 'DescribeSecurityGroups', 'securityGroupInfo', 'vpc-id', id);
    const others = groups.filter((group) => textAt(group, 'groupName') !== 'default');
    const gateways = await gatewaysOf(region, id);
    return nics.length + others.length + gateways.length > 0 ? inUse('vpc', id) : undefined;
  }

  async function detachRefusal({ region, parameters }: Request): Promise<Refusal | undefined> {
    const vpc = parameters.get('VpcId') ?? '';
    const nics = await those(region, 'DescribeNetworkInterfaces', 'networkInterfaceSet', 'vpc-id', vpc);
    return nics.some((nic) => child(nic, 'association'))
      ? refuse(
          'DependencyViolation',
          `Network ${vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.`,
        )
      : undefined;
  }

  async function associateRefusal({ region, parameters }: Request): Promise<Refusal | undefined> {
    const id = parameters.get('InstanceId') ?? '';
    const state = await stateOf(region, id);
    if (state === 'pending')
      return refuse(
        'InvalidInstanceID',
        `The pending instance '${id}' is not in a valid state for this operation.`,
      );
    const reservation = await moto.one(region, 'DescribeInstances', 'reservationSet', 'InstanceId', id);
    const vpc = textAt(items(reservation, 'instancesSet')[0], 'vpcId') ?? '';
    const network = await moto.one(region, 'DescribeVpcs', 'vpcSet', 'VpcId', vpc);
    // moto's default network has no gateway object.
    if (!network || textAt(network, 'isDefault') === 'true') return undefined;
    return (await gatewaysOf(region, vpc)).length === 0
      ? refuse('Gateway.NotAttached', `Network ${vpc} is not attached to any internet gateway`)
      : undefined;
  }

  /** Groups of another network than the machine's. */
  async function strangers(region: string, vpc: string, groups: string[]): Promise<Refusal | undefined> {
    for (const id of groups) {
      const group = await moto.one(region, 'DescribeSecurityGroups', 'securityGroupInfo', 'GroupId', id);
      if (!group) return refuse('InvalidGroup.NotFound', `The security group '${id}' does not exist`);
      if (textAt(group, 'vpcId') !== vpc)
        return refuse(
          'InvalidParameter',
          'You have specified two resources that belong to different networks.',
        );
    }
    return undefined;
  }

  /** The address leads nowhere any more. */
  async function disassociate(region: string, address: Element): Promise<void> {
    const AssociationId = textAt(address, 'associationId');
    if (AssociationId) await moto.call(region, 'DisassociateAddress', { AssociationId });
  }

  function show(element: Element): void {
    const state = child(element, 'state');
    const id = textAt(element, 'subnetId') ?? textAt(element, 'vpcId') ?? '';
    if (state && id && child(element, 'cidrBlock')) state.text = passing.of(id) ?? state.text;
    for (const inner of element.children) show(inner);
  }

  return {
    async refuse(request) {
      const { region, action, parameters } = request;
      if (action === 'DeleteVpc') return vpcRefusal(request);
      if (action === 'DetachInternetGateway') return detachRefusal(request);
      if (action === 'AssociateAddress') return associateRefusal(request);
      if (action === 'DeleteSubnet') {
        const id = parameters.get('SubnetId') ?? '';
        const nics = await those(region, 'DescribeNetworkInterfaces', 'networkInterfaceSet', 'subnet-id', id);
        if (nics.length > 0) return inUse('subnet', id);
      }
      if (action === 'AttachInternetGateway') {
        const vpc = parameters.get('VpcId') ?? '';
        const [there] = await gatewaysOf(region, vpc);
        if (there && textAt(there, 'internetGatewayId') !== parameters.get('InternetGatewayId'))
          return refuse('InvalidParameterValue', `Network ${vpc} already has an internet gateway attached`);
      }
      if (action === 'ReleaseAddress') {
        const id = parameters.get('AllocationId') ?? '';
        const address = await moto.one(region, 'DescribeAddresses', 'addressesSet', 'AllocationId', id);
        if (textAt(address, 'associationId'))
          return refuse('InvalidIPAddress.InUse', `The address with allocation id ${id} is in use`);
      }
      if (action === 'RunInstances') {
        const subnetId = parameters.get('NetworkInterface.1.SubnetId') ?? '';
        const subnet = await moto.one(region, 'DescribeSubnets', 'subnetSet', 'SubnetId', subnetId);
        const groups = numbered(parameters, 'NetworkInterface.1.SecurityGroupId');
        return subnet && strangers(region, textAt(subnet, 'vpcId') ?? '', groups);
      }
      if (action === 'ModifyInstanceAttribute' && parameters.has('GroupId.1')) {
        const id = parameters.get('InstanceId') ?? '';
        const reservation = await moto.one(region, 'DescribeInstances', 'reservationSet', 'InstanceId', id);
        const vpc = textAt(items(reservation, 'instancesSet')[0], 'vpcId');
        return vpc === undefined ? undefined : strangers(region, vpc, numbered(parameters, 'GroupId'));
      }
      return undefined;
    },
    async prepare({ region, action, parameters }) {
      if (action === 'AssociateAddress' && parameters.get('AllowReassociation') === 'true') {
        const id = parameters.get('AllocationId') ?? '';
        const address = await moto.one(region, 'DescribeAddresses', 'addressesSet', 'AllocationId', id);
        // moto would leave it with the first machine, too.
        if (address) await disassociate(region, address);
      }
      return parameters;
    },
    async learn({ region, action, parameters }, answer) {
      const { createMs } = faults.transitions();
      if (action === 'CreateVpc') passing.set(textAt(answer, 'vpc', 'vpcId') ?? '', 'pending', createMs);
      if (action === 'CreateSubnet')
        passing.set(textAt(answer, 'subnet', 'subnetId') ?? '', 'pending', createMs);
      if (action === 'TerminateInstances')
        for (const id of numbered(parameters, 'InstanceId'))
          for (const address of await those(region, 'DescribeAddresses', 'addressesSet', 'instance-id', id))
            await disassociate(region, address);
    },
    show(_, answer) {
      show(answer);
      return undefined;
    },
    clear() {},
  };
}
