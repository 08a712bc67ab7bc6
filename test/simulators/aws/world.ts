import type { FaultPlan, Refusal } from './faults.ts';
import type { MotoCaller } from './moto-calls.ts';
import { createPassing, type Passing } from './passing.ts';
import { createSpotRequests, type SpotRequests } from './spot-requests.ts';
import { child, type Element, items, parseXml, textAt } from './xml.ts';

/** States that EC2 passes through, by name; moto jumps over them. */
const stateCodes: Record<string, string> = {
  pending: '0',
  running: '16',
  'shutting-down': '32',
  terminated: '48',
  stopping: '64',
  stopped: '80',
};

/** Where each kind of object stands in the answer of its Describe call. */
const listings: Record<string, { set: string; id: string; parameter: string; notFound: string }> = {
  DescribeInstances: {
    set: 'reservationSet',
    id: 'instanceId',
    parameter: 'InstanceId',
    notFound: 'InvalidInstanceID.NotFound',
  },
  DescribeVolumes: {
    set: 'volumeSet',
    id: 'volumeId',
    parameter: 'VolumeId',
    notFound: 'InvalidVolume.NotFound',
  },
  DescribeNetworkInterfaces: {
    set: 'networkInterfaceSet',
    id: 'networkInterfaceId',
    parameter: 'NetworkInterfaceId',
    notFound: 'InvalidNetworkInterfaceID.NotFound',
  },
  DescribeSecurityGroups: {
    set: 'securityGroupInfo',
    id: 'groupId',
    parameter: 'GroupId',
    notFound: 'InvalidGroup.NotFound',
  },
  DescribeSnapshots: {
    set: 'snapshotSet',
    id: 'snapshotId',
    parameter: 'SnapshotId',
    notFound: 'InvalidSnapshot.NotFound',
  },
  DescribeImages: {
    set: 'imagesSet',
    id: 'imageId',
    parameter: 'ImageId',
    notFound: 'InvalidAMIID.NotFound',
  },
  DescribeVpcs: { set: 'vpcSet', id: 'vpcId', parameter: 'VpcId', notFound: 'InvalidVpcID.NotFound' },
  DescribeSubnets: {
    set: 'subnetSet',
    id: 'subnetId',
    parameter: 'SubnetId',
    notFound: 'InvalidSubnetID.NotFound',
  },
  DescribeInternetGateways: {
    set: 'internetGatewaySet',
    id: 'internetGatewayId',
    parameter: 'InternetGatewayId',
    notFound: 'InvalidInternetGatewayID.NotFound',
  },
  DescribeAddresses: {
    set: 'addressesSet',
    id: 'allocationId',
    parameter: 'AllocationId',
    notFound: 'InvalidAllocationID.NotFound',
  },
  DescribeKeyPairs: {
    set: 'keySet',
    id: 'keyName',
    parameter: 'KeyName',
    notFound: 'InvalidKeyPair.NotFound',
  },
};

/** One request, as it goes to moto. */
export interface Request {
  region: string;
  action: string;
  parameters: URLSearchParams;
}

/** What the simulator knows of EC2 beyond moto, for some kinds of objects. */
export interface Part {
  /** EC2's own refusal of a call that moto would accept. */
  refuse(request: Request): Promise<Refusal | undefined> | Refusal | undefined;
  /** An answer in moto's place, for what moto does at once or cannot do. */
  instead?(request: Request): Promise<Element | undefined>;
  /** The request as moto understands it. */
  prepare?(request: Request): Promise<URLSearchParams> | URLSearchParams;
  /** Learns from a call that moto has carried out, and puts right what moto left undone. */
  learn(request: Request, answer: Element): Promise<void> | void;
  /** Shows the answer as EC2 would. */
  show(request: Request, answer: Element): Refusal | undefined;
  /** Carries out what was put off and is due. */
  settle?(): Promise<void>;
  clear(): void;
}

/** Instances: states that take time, and of all objects those that are not visible yet. */
export interface World extends Part {
  /** The state EC2 would name now, given moto's. */
  state(instance: string, motoState: string): string;
  /** Is it with a machine that is gone, and will be there again? */
  isAway(id: string): boolean;
}

interface Machine {
  region: string;
  /** What moto says. */
  state: string;
  groups: string[];
  spot: boolean;
  /** Disks and interfaces that came with it. */
  brought: string[];
}

/** A machine that was terminated and comes back. */
interface Return {
  /** Until then it is on its way out. */
  goesUntil: number;
  /** From then on it is there again. */
  backAt: number;
}

/** Where a create call's answer names what it made. */
const created: Record<string, string[]> = {
  CreateSecurityGroup: ['groupId'],
  ImportKeyPair: ['keyName'],
  CreateVolume: ['volumeId'],
  CreateSnapshot: ['snapshotId'],
  CreateImage: ['imageId'],
  RegisterImage: ['imageId'],
  CreateVpc: ['vpc', 'vpcId'],
  CreateSubnet: ['subnet', 'subnetId'],
  CreateInternetGateway: ['internetGateway', 'internetGatewayId'],
  AllocateAddress: ['allocationId'],
};

export function createWorld(
  faults: FaultPlan,
  moto: Pick<MotoCaller, 'call'>,
  passing: Passing = createPassing(),
  spotRequests: Pick<SpotRequests, 'ended'> = createSpotRequests(),
): World {
  const machines = new Map<string, Machine>();
  /** Why EC2 ended a machine by itself, as the code of its state's reason. */
  const reasons = new Map<string, string>();
  let ending: Promise<unknown> = Promise.resolve();
  const hidden = new Map<string, number>();
  const returns = new Map<string, Return>();

  const shown = (id: string, motoState: string): string => {
    const { goesUntil = 0, backAt = 0 } = returns.get(id) ?? {};
    if (Date.now() < backAt) return Date.now() < goesUntil ? 'shutting-down' : 'terminated';
    return passing.of(id) ?? motoState;
  };
  const isAway = (id: string): boolean =>
    [...returns].some(
      ([machine, { goesUntil, backAt }]) =>
        machines.get(machine)?.brought.includes(id) && goesUntil <= Date.now() && Date.now() < backAt,
    );
  /** Ends a machine in moto, for a reason of EC2's own. Calls that come meanwhile find it done. */
  const end = (id: string, region: string, reason: string): void => {
    reasons.set(id, reason);
    ending = Promise.all([ending, moto.call(region, 'TerminateInstances', { 'InstanceId.1': id })]);
  };
  const current = (id: string): string | undefined => {
    const machine = machines.get(id);
    return machine && shown(id, machine.state);
  };
  const pass = (id: string, state: string, through: string, ms: number): void => {
    machines.set(id, {
      region: 'us-east-1',
      groups: [],
      spot: false,
      brought: [],
      ...machines.get(id),
      state,
    });
    passing.set(id, through, ms);
  };

  const needs = (ids: string[], allowed: string[], what: string): Refusal | undefined => {
    const wrong = ids.find((id) => {
      const state = current(id);
      return state !== undefined && !allowed.includes(state);
    });
    return wrong === undefined
      ? undefined
      : {
          status: 400,
          code: 'IncorrectInstanceState',
          message: `The instance '${wrong}' is not in a state from which it can be ${what}.`,
        };
  };

  return {
    state: shown,
    isAway,
    clear() {
      machines.clear();
      reasons.clear();
      returns.clear();
      hidden.clear();
    },
    async settle() {
      for (const { ref: id, forgotten } of faults.interrupted()) {
        const machine = machines.get(id);
        if (!machine?.spot) throw new Error(`${id} is no spot machine: EC2 does not interrupt it`);
        if (forgotten) hidden.set(id, Number.POSITIVE_INFINITY);
        spotRequests.ended(id, 'instance-terminated-no-capacity');
        pass(id, 'terminated', 'shutting-down', faults.transitions().terminateMs);
        end(id, machine.region, 'Server.SpotInstanceTermination');
      }
      await ending;
    },
    async instead({ action, parameters }) {
      const id = parameters.get('InstanceId.1') ?? '';
      const before = current(id);
      if (action !== 'TerminateInstances' || !before || before === 'terminated') return undefined;
      const returnsMs = faults.returnsMs();
      if (returnsMs === undefined) return undefined;
      const goesUntil = Date.now() + faults.transitions().terminateMs;
      returns.set(id, { goesUntil, backAt: goesUntil + returnsMs });
      const state = (name: string) => `<code>${stateCodes[name]}</code><name>${name}</name>`;
      return parseXml(
        `<TerminateInstancesResponse><requestId>r</requestId><instancesSet><item><instanceId>${id}</instanceId><currentState>${state('shutting-down')}</currentState><previousState>${state(before)}</previousState></item></instancesSet></TerminateInstancesResponse>`,
      );
    },
    refuse({ action, parameters }) {
      const ids = numbered(parameters, 'InstanceId');
      const one = parameters.get('InstanceId');
      if (action === 'StartInstances') return needs(ids, ['stopped', 'pending', 'running'], 'started');
      if (action === 'StopInstances') {
        const spot = ids.find((id) => machines.get(id)?.spot);
        if (spot)
          return {
            status: 400,
            code: 'UnsupportedOperation',
            message: `You can't stop the Spot Instance '${spot}' because it is associated with a one-time Spot Instance request.`,
          };
        return needs(ids, ['running', 'stopping', 'stopped', 'pending'], 'stopped');
      }
      if (action === 'RebootInstances') return needs(ids, ['running', 'pending'], 'rebooted');
      if (action === 'ModifyInstanceAttribute' && one && parameters.has('InstanceType.Value'))
        return needs([one], ['stopped'], 'modified');
      if (action === 'DeleteNetworkInterface') {
        const nic = parameters.get('NetworkInterfaceId') ?? '';
        const user = [...machines].find(
          ([id, { brought }]) => brought.includes(nic) && current(id) !== 'terminated',
        );
        if (user)
          return {
            status: 400,
            code: 'InvalidNetworkInterface.InUse',
            message: `Interface: ${nic} in use.`,
          };
      }
      if (action === 'DeleteSecurityGroup') {
        const group = parameters.get('GroupId');
        const user = [...machines].find(
          ([id, machine]) => group && machine.groups.includes(group) && current(id) !== 'terminated',
        );
        if (user)
          return {
            status: 400,
            code: 'DependencyViolation',
            message: `resource ${group} has a dependent object`,
          };
      }
      return undefined;
    },
    learn({ region, action, parameters }, answer) {
      const times = faults.transitions();
      const hide = (id: string | undefined): void => {
        const lists = faults.lag(action);
        if (id && lists > 0) hidden.set(id, lists);
      };
      if (action === 'RunInstances')
        for (const item of items(answer, 'instancesSet')) {
          const id = textAt(item, 'instanceId') ?? '';
          machines.set(id, {
            region,
            state: 'running',
            groups: items(item, 'groupSet').flatMap((group) => textAt(group, 'groupId') ?? []),
            spot: textAt(item, 'instanceLifecycle') === 'spot',
            brought: [
              ...items(item, 'networkInterfaceSet').map((nic) => textAt(nic, 'networkInterfaceId') ?? ''),
              ...items(item, 'blockDeviceMapping').map((disk) => textAt(disk, 'ebs', 'volumeId') ?? ''),
            ],
          });
          const failure = faults.launchFailure();
          pass(id, failure ? 'terminated' : 'running', 'pending', times.startMs);
          if (failure) end(id, region, failure);
          for (const made of [id, ...(machines.get(id)?.brought ?? [])]) hide(made);
        }
      const path = created[action];
      if (path) hide(textAt(answer, ...path));
      const modified = machines.get(parameters.get('InstanceId') ?? '');
      if (action === 'ModifyInstanceAttribute' && modified && parameters.has('GroupId.1'))
        modified.groups = numbered(parameters, 'GroupId');
      for (const id of numbered(parameters, 'InstanceId')) {
        const before = current(id);
        if (action === 'StartInstances' && before !== 'running')
          pass(id, 'running', 'pending', times.startMs);
        if (action === 'StopInstances' && before !== 'stopped') pass(id, 'stopped', 'stopping', times.stopMs);
        if (action === 'TerminateInstances' && before !== 'terminated' && before !== 'shutting-down')
          pass(id, 'terminated', 'shutting-down', times.terminateMs);
      }
    },
    show({ action, parameters }, answer) {
      showStates(answer, shown);
      for (const reservation of items(answer, 'reservationSet'))
        for (const machine of items(reservation, 'instancesSet'))
          showReason(machine, reasons.get(textAt(machine, 'instanceId') ?? ''));
      const listing = listings[action];
      if (!listing) return undefined;
      const set = child(answer, listing.set);
      if (!set) return undefined;
      const asked = [...numbered(parameters, listing.parameter), ...numbered(parameters, 'GroupName')];
      const had = set.children.length;
      const visible = (item: Element): boolean => {
        const id = textAt(item, listing.id) ?? '';
        if (isAway(id)) return false;
        const left = hidden.get(id) ?? 0;
        if (left > 0) hidden.set(id, left - 1);
        return left === 0;
      };
      if (action === 'DescribeInstances')
        for (const reservation of set.children) {
          const instances = child(reservation, 'instancesSet');
          if (instances) instances.children = instances.children.filter(visible);
        }
      set.children = set.children.filter((item) =>
        action === 'DescribeInstances' ? items(item, 'instancesSet').length > 0 : visible(item),
      );
      if (asked.length > 0 && set.children.length < had)
        return { status: 400, code: listing.notFound, message: `The ID '${asked[0]}' does not exist` };
      return undefined;
    },
  };
}

/** Rewrites every state of an instance in the answer. */
function showStates(element: Element, shown: (id: string, motoState: string) => string): void {
  const id = textAt(element, 'instanceId');
  const state = child(element, 'instanceState') ?? child(element, 'currentState');
  const name = child(state, 'name');
  const code = child(state, 'code');
  if (id && name && code) {
    name.text = shown(id, name.text);
    code.text = stateCodes[name.text] ?? code.text;
  }
  for (const inner of element.children) showStates(inner, shown);
}

/** What EC2 says of the reasons for which it terminates a machine by itself. */
const words: Record<string, string> = {
  'Server.SpotInstanceTermination': 'Spot instance termination',
  'Server.InsufficientInstanceCapacity':
    'There was insufficient capacity available to satisfy the launch request',
  'Client.VolumeLimitExceeded': 'Volume limit exceeded',
};

/** Says of a machine that EC2 ended why it did. */
function showReason(machine: Element, code: string | undefined): void {
  if (code === undefined || textAt(machine, 'instanceState', 'name') === 'pending') return;
  const leaf = (name: string, text: string): Element => ({ name, attributes: '', children: [], text });
  const said: Element[] = [
    leaf('reason', code),
    {
      ...leaf('stateReason', ''),
      children: [leaf('code', code), leaf('message', `${code}: ${words[code] ?? 'ended'}`)],
    },
  ];
  const names = said.map(({ name }) => name);
  machine.children = [...machine.children.filter(({ name }) => !names.includes(name)), ...said];
}

/** `InstanceId.1`, `InstanceId.2`, … */
export function numbered(parameters: URLSearchParams, name: string): string[] {
  return [...parameters].filter(([key]) => key.startsWith(`${name}.`)).map(([, value]) => value);
}
