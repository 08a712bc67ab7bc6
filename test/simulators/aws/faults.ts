import type { Fault } from '../../../adapters/conformance/subject.ts';

/** The catalogue of the conformance suite, and what only EC2 has. Each lasts for `times` matching calls (default 1). */
export type AwsFault =
  | Fault
  /** The credentials may not do it (403 UnauthorizedOperation). `action` absent = any call. */
  | { kind: 'denied'; action?: string; times?: number }
  /** RunInstances is delivered twice at the same time; one answer comes back. */
  | { kind: 'duplicate'; times?: number }
  /** At most `free` more machines of this type may exist (in that zone, where one is given). */
  | { kind: 'pool'; instanceType: string; zone?: string; free: number }
  /** Every call draws from a seeded generator: with probability `rate` it is delayed, throttled or lost. */
  | { kind: 'storm'; seed: number; rate: number }
  /** DescribeInstances gives at most `size` reservations a page. */
  | { kind: 'pages'; size: number }
  /** From now on machines take these many milliseconds to start, stop and go. */
  | { kind: 'transitions'; startMs?: number; stopMs?: number; terminateMs?: number };

/** What happens to one call. */
export interface Fate {
  delayMs: number;
  /** Answered so, without reaching EC2. */
  refusal?: Refusal;
  /** The connection ends before EC2 sees the request. */
  requestLost?: boolean;
  /** EC2 does it; the connection ends before the answer. */
  responseLost?: boolean;
  duplicate?: boolean;
}

export interface Refusal {
  status: number;
  code: string;
  message: string;
  retryAfterMs?: number;
}

export interface FaultPlan {
  set(fault: AwsFault): void;
  clear(): void;
  /** Decides about a call, using up what matches. */
  fate(action: string, parameters: URLSearchParams): Fate;
  /** How many looks what is created now stays invisible to. */
  lag(): number;
  /** Reservations on a page, where it is limited. */
  pageSize(): number | undefined;
  /** How long the machines' transitions take. */
  transitions(): { startMs: number; stopMs: number; terminateMs: number };
}

/** Calls by which a create of ours makes something, in the order they come. */
const childCalls: Record<string, string> = {
  ImportKeyPair: 'ResourceLimitExceeded',
  CreateSecurityGroup: 'SecurityGroupLimitExceeded',
  AuthorizeSecurityGroupIngress: 'RulesPerSecurityGroupLimitExceeded',
  RunInstances: 'VolumeLimitExceeded',
};

const throttled: Refusal = { status: 503, code: 'RequestLimitExceeded', message: 'Request limit exceeded.' };
const defaults = { startMs: 150, stopMs: 150, terminateMs: 150 };

export function createFaultPlan(): FaultPlan {
  let active: { fault: AwsFault; left: number; seen: number }[] = [];
  let lists = 0;
  let pageSize: number | undefined;
  let times = { ...defaults };
  let draw: (() => number) | undefined;
  let rate = 0;
  const pools = new Map<string, number>();

  /** Takes one use of the first fault of this kind that `matches`. */
  function use<K extends AwsFault['kind']>(
    kind: K,
    matches = true,
  ): Extract<AwsFault, { kind: K }> | undefined {
    if (!matches) return undefined;
    const entry = active.find((candidate) => candidate.fault.kind === kind && candidate.left > 0);
    if (!entry) return undefined;
    entry.left -= 1;
    return entry.fault as Extract<AwsFault, { kind: K }>;
  }

  /** Skips `skip` matching calls, then takes one use. */
  function useAfter(kind: AwsFault['kind'], skip: (fault: AwsFault) => number): AwsFault | undefined {
    const entry = active.find((candidate) => candidate.fault.kind === kind && candidate.left > 0);
    if (!entry) return undefined;
    entry.seen += 1;
    if (entry.seen <= skip(entry.fault)) return undefined;
    entry.left -= 1;
    return entry.fault;
  }

  function refusal(action: string, parameters: URLSearchParams): Refusal | undefined {
    const denied = active.find(
      ({ fault, left }) => fault.kind === 'denied' && left > 0 && (fault.action ?? action) === action,
    );
    if (denied) {
      denied.left -= 1;
      return {
        status: 403,
        code: 'UnauthorizedOperation',
        message: 'You are not authorized to perform this operation.',
      };
    }
    const throttle = use('throttle');
    if (throttle) return { ...throttled, retryAfterMs: throttle.retryAfterMs };
    const listing = action.startsWith('Describe') && parameters.has('Filter.1.Name');
    if (listing && useAfter('brokenList', () => 1))
      return { status: 500, code: 'InternalError', message: 'An internal error has occurred' };
    const code = childCalls[action];
    if (code && useAfter('failChild', (fault) => (fault.kind === 'failChild' ? fault.n - 1 : 0)))
      return { status: 400, code, message: 'You have reached the limit of your account.' };
    const starts = action === 'RunInstances' || action === 'StartInstances';
    if (!starts || parameters.get('DryRun') === 'true') return undefined;
    const type = parameters.get('InstanceType') ?? '';
    if (use('capacity') || poolIsEmpty(type, parameters.get('Placement.AvailabilityZone')))
      return {
        status: 500,
        code: 'InsufficientInstanceCapacity',
        message: `We currently do not have sufficient ${type || 'instance'} capacity in the Availability Zone you requested.`,
      };
    if (action === 'RunInstances' && use('quota'))
      return {
        status: 400,
        code: 'VcpuLimitExceeded',
        message:
          'You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket that the specified instance type belongs to.',
      };
    return undefined;
  }

  function poolIsEmpty(type: string, zone: string | null): boolean {
    const key = pools.has(`${type}@${zone}`) ? `${type}@${zone}` : `${type}@`;
    const free = pools.get(key);
    if (free === undefined) return false;
    if (free <= 0) return true;
    pools.set(key, free - 1);
    return false;
  }

  return {
    set(fault) {
      if (fault.kind === 'lag') lists = fault.lists;
      else if (fault.kind === 'pages') pageSize = fault.size;
      else if (fault.kind === 'slowDelete') times = { ...times, terminateMs: fault.ms };
      else if (fault.kind === 'transitions') times = { ...times, ...fault };
      else if (fault.kind === 'pool') pools.set(`${fault.instanceType}@${fault.zone ?? ''}`, fault.free);
      else if (fault.kind === 'storm') {
        draw = seeded(fault.seed);
        rate = fault.rate;
      } else active.push({ fault, left: ('times' in fault ? fault.times : undefined) ?? 1, seen: 0 });
    },
    clear() {
      active = [];
      lists = 0;
      pageSize = undefined;
      times = { ...defaults };
      draw = undefined;
      pools.clear();
    },
    lag: () => lists,
    pageSize: () => pageSize,
    transitions: () => times,
    fate(action, parameters) {
      const creates = action === 'RunInstances' && parameters.get('DryRun') !== 'true';
      const fate: Fate = { delayMs: use('latency')?.ms ?? 0 };
      if (draw && draw() < rate) {
        const which = Math.floor(draw() * 4);
        if (which === 0) fate.delayMs += Math.floor(draw() * 300);
        else if (which === 1) return { ...fate, refusal: { ...throttled, retryAfterMs: 1000 } };
        else if (which === 2) return { ...fate, requestLost: true };
        else return { ...fate, responseLost: true };
      }
      if (use('requestLost', creates)) return { ...fate, requestLost: true };
      fate.refusal = refusal(action, parameters);
      if (fate.refusal) return fate;
      if (use('responseLost', creates)) fate.responseLost = true;
      if (use('duplicate', creates)) fate.duplicate = true;
      return fate;
    },
  };
}

/** Mulberry32: small, seeded, good enough to repeat a storm. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
