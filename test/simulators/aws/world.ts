import type { FaultPlan, Refusal } from './faults.ts';
import { child, type Element, items, textAt } from './xml.ts';

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
  DescribeKeyPairs: {
    set: 'keySet',
    id: 'keyName',
    parameter: 'KeyName',
    notFound: 'InvalidKeyPair.NotFound',
  },
};

/** What the simulator knows beyond moto: states that take time, and what is not visible yet. */
export interface World {
  /** EC2's own refusal of a call that moto would accept. */
  refuse(action: string, parameters: URLSearchParams): Refusal | undefined;
  /** Learns from a call that moto has carried out. */
  learn(action: string, parameters: URLSearchParams, answer: Element): void;
  /** Shows the answer as EC2 would: intermediate states, and without what is not visible yet. */
  show(action: string, parameters: URLSearchParams, answer: Element): Refusal | undefined;
  /** The state EC2 would name now, given moto's. */
  state(instance: string, motoState: string): string;
  clear(): void;
}

interface Machine {
  /** What moto says. */
  state: string;
  /** What is shown until `until` (milliseconds since the epoch). */
  passing?: { state: string; until: number };
  groups: string[];
  spot: boolean;
}

export function createWorld(faults: FaultPlan, now: () => number = Date.now): World {
  const machines = new Map<string, Machine>();
  const hidden = new Map<string, number>();

  const shown = (id: string, motoState: string): string => {
    const passing = machines.get(id)?.passing;
    return passing && passing.until > now() ? passing.state : motoState;
  };
  const current = (id: string): string | undefined => {
    const machine = machines.get(id);
    return machine && shown(id, machine.state);
  };
  const hide = (id: string | undefined): void => {
    if (id && faults.lag() > 0) hidden.set(id, faults.lag());
  };
  const pass = (id: string, state: string, passing: string, ms: number): void => {
    const machine = machines.get(id) ?? { state, groups: [], spot: false };
    machines.set(id, { ...machine, state, passing: { state: passing, until: now() + ms } });
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
    clear() {
      machines.clear();
      hidden.clear();
    },
    refuse(action, parameters) {
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
    learn(action, parameters, answer) {
      const times = faults.transitions();
      if (action === 'RunInstances')
        for (const item of items(answer, 'instancesSet')) {
          const id = textAt(item, 'instanceId') ?? '';
          machines.set(id, {
            state: 'running',
            groups: items(item, 'groupSet').flatMap((group) => textAt(group, 'groupId') ?? []),
            spot: textAt(item, 'instanceLifecycle') === 'spot',
          });
          pass(id, 'running', 'pending', times.startMs);
          hide(id);
          for (const nic of items(item, 'networkInterfaceSet')) hide(textAt(nic, 'networkInterfaceId'));
          for (const disk of items(item, 'blockDeviceMapping')) hide(textAt(disk, 'ebs', 'volumeId'));
        }
      if (action === 'CreateSecurityGroup') hide(textAt(answer, 'groupId'));
      if (action === 'ImportKeyPair') hide(textAt(answer, 'keyName'));
      for (const id of numbered(parameters, 'InstanceId')) {
        const before = current(id);
        if (action === 'StartInstances' && before !== 'running')
          pass(id, 'running', 'pending', times.startMs);
        if (action === 'StopInstances' && before !== 'stopped') pass(id, 'stopped', 'stopping', times.stopMs);
        if (action === 'TerminateInstances' && before !== 'terminated' && before !== 'shutting-down')
          pass(id, 'terminated', 'shutting-down', times.terminateMs);
      }
    },
    show(action, parameters, answer) {
      showStates(answer, shown);
      const listing = listings[action];
      if (!listing) return undefined;
      const set = child(answer, listing.set);
      if (!set) return undefined;
      const asked = [...numbered(parameters, listing.parameter), ...numbered(parameters, 'GroupName')];
      const had = set.children.length;
      const visible = (item: Element): boolean => {
        const id = textAt(item, listing.id) ?? '';
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

/** `InstanceId.1`, `InstanceId.2`, … */
function numbered(parameters: URLSearchParams, name: string): string[] {
  return [...parameters].filter(([key]) => key.startsWith(`${name}.`)).map(([, value]) => value);
}
