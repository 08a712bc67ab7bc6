import type { Fault } from '../../../adapters/conformance/subject.ts';
import type { Kind } from '../../../adapters/contract.ts';

/** The catalogue's; `forgotten`: as more than an hour later, when EC2 shows the machine no more and its spot request still. */
export type Interrupt = Extract<Fault, { kind: 'interrupt' }> & { forgotten?: boolean };

/** The catalogue of the conformance suite, and what only EC2 has. Each lasts for `times` matching calls (default 1). */
export type AwsFault =
  | Exclude<Fault, { kind: 'interrupt' }>
  | Interrupt
  /** The credentials may not do it (403 UnauthorizedOperation). `action` absent = any call. */
  | { kind: 'denied'; action?: string; times?: number }
  /** An import finds that the account has no role `vmimport` that may read the bucket. */
  | { kind: 'noImportRole'; times?: number }
  /** An import is accepted, and its task finds that the disk is of no format that it can read. */
  | { kind: 'noDisk'; times?: number }
  /** RunInstances is accepted, and the machine ends while it starts, with this code as its state's reason. */
  | { kind: 'launchFails'; code: string; times?: number }
  /** At most `free` more machines of this type may exist (in that zone, where one is given). */
  | { kind: 'pool'; instanceType: string; zone?: string; free: number }
  /** Every call draws from a seeded generator: with probability `rate` it is delayed, throttled or lost. */
  | { kind: 'storm'; seed: number; rate: number }
  /** DescribeInstances gives at most `size` reservations a page. */
  | { kind: 'pages'; size: number }
  /** From now on these take so many milliseconds. */
  | ({ kind: 'transitions' } & Partial<Transitions>);

/** How long states last that EC2 passes through, in milliseconds. */
export interface Transitions {
  startMs: number;
  stopMs: number;
  terminateMs: number;
  /** Volumes, snapshots, images, networks and subnets until they can be used. */
  createMs: number;
  /** Volumes until they are attached, detached or larger. */
  attachMs: number;
  /** Volumes until they are gone. */
  deleteMs: number;
}

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
  /** What the fault says of a create holds for this kind (default: Instance). */
  set(fault: AwsFault, kind?: Kind): void;
  clear(): void;
  /** Decides about a call, using up what matches. */
  fate(action: string, parameters: URLSearchParams): Fate;
  /** How many looks what this call creates stays invisible to. */
  lag(action: string): number;
  /** How long after it is gone a machine is there again, where it is to be; uses the fault up. */
  returnsMs(): number | undefined;
  /** Why EC2 refuses the import that is asked for now; uses the fault up. */
  importRefusal(): 'unreadable' | 'noImportRole' | undefined;
  /** Does the import that starts now find no disk? Uses the fault up. */
  findsNoDisk(): boolean;
  /** Why the machine that is made now ends while it starts, where it does; uses the fault up. */
  launchFailure(): string | undefined;
  /** What EC2's clock shows now, in milliseconds. */
  now(): number;
  /** Spot machines that EC2 is to take away, each told once. */
  interrupted(): Interrupt[];
  /** Reservations on a page, where it is limited. */
  pageSize(): number | undefined;
  transitions(): Transitions;
}

/** The calls that make what stands for a resource of the kind, and those that make what belongs to it. */
const creates: Record<Kind, { main: string[]; children: string[] }> = {
  Instance: {
    main: ['RunInstances'],
    children: ['ImportKeyPair', 'CreateSecurityGroup', 'AuthorizeSecurityGroupIngress'],
  },
  Volume: { main: ['CreateVolume'], children: [] },
  Snapshot: { main: ['CreateSnapshot'], children: [] },
  Image: { main: ['CreateImage', 'RegisterImage', 'ImportSnapshot'], children: [] },
  Network: { main: ['CreateVpc'], children: ['CreateSubnet', 'CreateInternetGateway'] },
  Firewall: { main: ['CreateSecurityGroup'], children: [] },
  Address: { main: ['AllocateAddress'], children: [] },
};

/** What EC2 says at the limit of the account. */
const limits: Record<string, string> = {
  ImportKeyPair: 'ResourceLimitExceeded',
  CreateSecurityGroup: 'SecurityGroupLimitExceeded',
  AuthorizeSecurityGroupIngress: 'RulesPerSecurityGroupLimitExceeded',
  RunInstances: 'VolumeLimitExceeded',
  CreateVolume: 'VolumeLimitExceeded',
  CreateSnapshot: 'SnapshotLimitExceeded',
  CreateImage: 'ResourceLimitExceeded',
  RegisterImage: 'ResourceLimitExceeded',
  ImportSnapshot: 'ResourceLimitExceeded',
  CreateVpc: 'VpcLimitExceeded',
  CreateSubnet: 'SubnetLimitExceeded',
  CreateInternetGateway: 'InternetGatewayLimitExceeded',
  AllocateAddress: 'AddressLimitExceeded',
};

const throttled: Refusal = { status: 503, code: 'RequestLimitExceeded', message: 'Request limit exceeded.' };
const defaults: Transitions = {
  startMs: 150,
  stopMs: 150,
  terminateMs: 150,
  createMs: 120,
  attachMs: 120,
  deleteMs: 120,
};

export function createFaultPlan(): FaultPlan {
  let active: { fault: AwsFault; of: Kind; left: number; seen: number }[] = [];
  const lists = new Map<Kind, number>();
  let interrupted: Interrupt[] = [];
  let pageSize: number | undefined;
  let times = { ...defaults };
  let skewMs = 0;
  let draw: (() => number) | undefined;
  let rate = 0;
  const pools = new Map<string, number>();

  type Entry = (typeof active)[number];

  /** Takes one use of the first fault of this kind, where one is set and `matches`. */
  function use<K extends AwsFault['kind']>(
    kind: K,
    matches: (entry: Entry) => boolean = () => true,
  ): Extract<AwsFault, { kind: K }> | undefined {
    const entry = active.find(
      (candidate) => candidate.fault.kind === kind && candidate.left > 0 && matches(candidate),
    );
    if (!entry) return undefined;
    entry.left -= 1;
    return entry.fault as Extract<AwsFault, { kind: K }>;
  }

  /** True for the call after the first `skip` that match. */
  const after =
    (skip: (fault: AwsFault) => number, matches: (entry: Entry) => boolean = () => true) =>
    (entry: Entry): boolean => {
      if (!matches(entry)) return false;
      entry.seen += 1;
      return entry.seen > skip(entry.fault);
    };

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
    if (
      listing &&
      use(
        'brokenList',
        after(() => 1),
      )
    )
      return { status: 500, code: 'InternalError', message: 'An internal error has occurred' };
    const makes = ({ of }: Entry) =>
      [...creates[of].children, ...creates[of].main].includes(action) && !isDryRun(parameters);
    const nth = after((fault) => (fault.kind === 'failChild' ? fault.n - 1 : 0), makes);
    const atLimit = {
      status: 400,
      code: limits[action] ?? '',
      message: 'You have reached the limit of your account.',
    };
    if (use('failChild', nth)) return atLimit;
    if (action !== 'RunInstances' && use('quota', standsFor(action, parameters))) return atLimit;
    const starts = action === 'RunInstances' || action === 'StartInstances';
    if (!starts || isDryRun(parameters)) return undefined;
    const type = parameters.get('InstanceType') ?? '';
    if (use('capacity') || poolIsEmpty(type, parameters.get('Placement.AvailabilityZone')))
      return {
        status: 500,
        code: 'InsufficientInstanceCapacity',
        message: `We currently do not have sufficient ${type || 'instance'} capacity in the Availability Zone you requested.`,
      };
    if (action === 'RunInstances' && use('quota', standsFor(action, parameters)))
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
    set(fault, of = 'Instance') {
      if (fault.kind === 'lag') lists.set(of, fault.lists);
      else if (fault.kind === 'interrupt') interrupted.push(fault);
      else if (fault.kind === 'pages') pageSize = fault.size;
      else if (fault.kind === 'clockSkew') skewMs = fault.ms;
      else if (fault.kind === 'slowDelete')
        times = { ...times, [of === 'Instance' ? 'terminateMs' : 'deleteMs']: fault.ms };
      else if (fault.kind === 'transitions') times = { ...times, ...fault };
      else if (fault.kind === 'pool') pools.set(`${fault.instanceType}@${fault.zone ?? ''}`, fault.free);
      else if (fault.kind === 'storm') {
        draw = seeded(fault.seed);
        rate = fault.rate;
      } else active.push({ fault, of, left: ('times' in fault ? fault.times : undefined) ?? 1, seen: 0 });
    },
    clear() {
      active = [];
      interrupted = [];
      lists.clear();
      pageSize = undefined;
      skewMs = 0;
      times = { ...defaults };
      draw = undefined;
      pools.clear();
    },
    lag(action) {
      const kinds = [...lists.keys()].filter((kind) =>
        [...creates[kind].children, ...creates[kind].main].includes(action),
      );
      return Math.max(0, ...kinds.map((kind) => lists.get(kind) ?? 0));
    },
    returnsMs: () => use('deleteReturns')?.ms,
    importRefusal: () => (use('unreadable') ?? use('noImportRole'))?.kind,
    findsNoDisk: () => use('noDisk') !== undefined,
    launchFailure: () => use('launchFails')?.code,
    now: () => Date.now() + skewMs,
    interrupted: () => interrupted.splice(0),
    pageSize: () => pageSize,
    transitions: () => times,
    fate(action, parameters) {
      const makes = standsFor(action, parameters);
      const fate: Fate = { delayMs: use('latency')?.ms ?? 0 };
      if (draw && draw() < rate) {
        const which = Math.floor(draw() * 4);
        if (which === 0) fate.delayMs += Math.floor(draw() * 300);
        else if (which === 1) return { ...fate, refusal: { ...throttled, retryAfterMs: 1000 } };
        else if (which === 2) return { ...fate, requestLost: true };
        else return { ...fate, responseLost: true };
      }
      if (use('requestLost', makes)) return { ...fate, requestLost: true };
      fate.refusal = refusal(action, parameters);
      if (fate.refusal) return fate;
      if (use('responseLost', makes)) fate.responseLost = true;
      if (use('duplicate', makes)) fate.duplicate = true;
      return fate;
    },
  };
}

/** Is this the call that makes what stands for a resource of the fault's kind? */
function standsFor(action: string, parameters: URLSearchParams) {
  return ({ of }: { of: Kind }) => creates[of].main.includes(action) && !isDryRun(parameters);
}

export function isDryRun(parameters: URLSearchParams): boolean {
  return parameters.get('DryRun') === 'true';
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
