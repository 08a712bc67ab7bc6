import type { Fault } from '../../../adapters/conformance/subject.ts';
import type { Kind } from '../../../adapters/contract.ts';

/** The catalogue of the conformance suite, and what only Compute Engine has. Each lasts for `times` matching calls (default 1). */
export type GcpFault =
  | Fault
  /** The credentials may not do it (403 forbidden). `method` absent = any call. */
  | { kind: 'denied'; method?: string; times?: number }
  /** The quota is refused at once (403 quotaExceeded), not in the operation. */
  | { kind: 'quotaStatus'; times?: number }
  /** A call is refused with 403 rateLimitExceeded, which names no time. */
  | { kind: 'rateLimit'; times?: number }
  /** Somebody else wrote labels or tags since they were read: the next write of one is refused with 412. */
  | { kind: 'staleFingerprint'; times?: number }
  /** The next write of a machine's labels takes this long to arrive, in milliseconds. */
  | { kind: 'slowLabels'; ms: number; times?: number }
  /** An insert is delivered twice; the second answer comes back. */
  | { kind: 'duplicate'; times?: number }
  /** At most `free` more machines of this type may start (in that zone, where one is given). */
  | { kind: 'pool'; machineType: string; zone?: string; free: number }
  /** Every call draws from a seeded generator: with probability `rate` it is delayed, throttled or lost. */
  | { kind: 'storm'; seed: number; rate: number }
  /** Lists give at most `size` objects a page. */
  | { kind: 'pages'; size: number }
  /** Lists answer 200 and name this zone as unreachable, with nothing of it; as often as `times` says, every time without it. */
  | { kind: 'unreachable'; zone: string; times?: number }
  /** From now on machines take these many milliseconds to start, stop and go. */
  | { kind: 'transitions'; startMs?: number; stopMs?: number; deleteMs?: number };

export interface Refusal {
  status: number;
  reason: string;
  message: string;
  retryAfterMs?: number;
}

/** How an operation ends, when it does not succeed. */
export interface OperationFailure {
  status: number;
  code: string;
  message: string;
  errorDetails?: unknown[];
  /** The machine's disk was made and stays. */
  leavesDisk?: boolean;
}

/** What happens to one call. */
export interface Fate {
  delayMs: number;
  refusal?: Refusal;
  requestLost?: boolean;
  responseLost?: boolean;
  duplicate?: boolean;
  failure?: OperationFailure;
}

/** A call as the faults look at it. */
export interface Asked {
  method: string;
  zone?: string;
  machineType?: string;
  filtered: boolean;
}

export interface FaultPlan {
  /** What is said of a create holds for creates of `kind` (default: Instance). */
  set(fault: GcpFault, kind?: Kind): void;
  clear(): void;
  /** Decides about a call, using up what matches. */
  fate(asked: Asked): Fate;
  /** How long after it is gone a thing of the kind is there again, where it is to be; uses the fault up. */
  returnsMs(kind: Kind): number | undefined;
  /** Whether the object that an image is made of now cannot be found; uses the fault up. */
  unreadable(): boolean;
  /** What Google's clock shows now, in milliseconds. */
  now(): number;
  /** How many looks what is created now stays invisible to. */
  lag(): number;
  pageSize(): number | undefined;
  /** Scopes that a list may find unreachable. */
  unreachables(): string[];
  /** Is this scope unreachable to a list? Uses the fault up. */
  unreachable(scope: string): boolean;
  transitions(): { startMs: number; stopMs: number; deleteMs: number };
}

/** The method by which each kind's main object is made, and the metric of its quota. */
const inserts: Record<Kind, { method: string; metric: string }> = {
  Instance: { method: 'compute.instances.insert', metric: 'CPUS' },
  Volume: { method: 'compute.disks.insert', metric: 'DISKS_TOTAL_GB' },
  Snapshot: { method: 'compute.snapshots.insert', metric: 'SNAPSHOTS' },
  Image: { method: 'compute.images.insert', metric: 'IMAGES' },
  Network: { method: 'compute.networks.insert', metric: 'NETWORKS' },
  Firewall: { method: 'compute.firewalls.insert', metric: 'FIREWALLS' },
  Address: { method: 'compute.addresses.insert', metric: 'STATIC_ADDRESSES' },
};

const kindMadeBy = (method: string): Kind | undefined =>
  (Object.keys(inserts) as Kind[]).find((kind) => inserts[kind].method === method);

const defaults = { startMs: 150, stopMs: 150, deleteMs: 150 };
const tooFast =
  "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'compute.googleapis.com'";

export function createFaultPlan(): FaultPlan {
  let active: { fault: GcpFault; of: Kind; left: number; seen: number }[] = [];
  let lists = 0;
  let pageSize: number | undefined;
  let skewMs = 0;
  let times = { ...defaults };
  let storm: { draw: () => number; rate: number } | undefined;
  const pools = new Map<string, number>();

  /** Takes one use of the first fault of this kind, set for `of` where one is given, after `skip` matching calls. */
  function use<K extends GcpFault['kind']>(
    kind: K,
    skip = 0,
    of?: Kind,
  ): Extract<GcpFault, { kind: K }> | undefined {
    const entry = active.find(
      (candidate) => candidate.fault.kind === kind && candidate.left > 0 && (!of || candidate.of === of),
    );
    if (!entry || ++entry.seen <= skip) return undefined;
    entry.left -= 1;
    return entry.fault as Extract<GcpFault, { kind: K }>;
  }

  function refusal({ method, filtered }: Asked): Refusal | undefined {
    const denied = active.find(
      ({ fault, left }) => fault.kind === 'denied' && left > 0 && (fault.method ?? method) === method,
    );
    if (denied) {
      denied.left -= 1;
      return { status: 403, reason: 'forbidden', message: `Required '${method}' permission for the project` };
    }
    const throttle = use('throttle');
    if (throttle)
      return throttle.retryAfterMs === undefined
        ? { status: 403, reason: 'rateLimitExceeded', message: tooFast }
        : { status: 429, reason: 'rateLimitExceeded', message: tooFast, retryAfterMs: throttle.retryAfterMs };
    if (/\.set(Labels|Tags)$/.test(method) && use('staleFingerprint'))
      return {
        status: 412,
        reason: 'conditionNotMet',
        message: 'Supplied fingerprint does not match current metadata fingerprint.',
      };
    if (use('rateLimit')) return { status: 403, reason: 'rateLimitExceeded', message: tooFast };
    if (filtered && /list$/i.test(method) && use('brokenList', 1))
      return { status: 503, reason: 'backendError', message: 'Backend Error' };
    if (method === 'compute.instances.insert' && use('quotaStatus'))
      return {
        status: 403,
        reason: 'quotaExceeded',
        message: "Quota 'CPUS' exceeded.  Limit: 200.0 in region us-central1.",
      };
    return undefined;
  }

  function failure({ method, zone = '', machineType = '' }: Asked): OperationFailure | undefined {
    const kind = kindMadeBy(method);
    // What an instance brings with it: the disk and the machine by one call, the rule for SSH by another.
    const ofInstance = active.find(({ fault, left }) => fault.kind === 'failChild' && left > 0);
    const last = ofInstance?.fault.kind === 'failChild' && ofInstance.fault.n > 2;
    if (kind === 'Firewall' && last && use('failChild'))
      return { status: 500, code: 'INTERNAL_ERROR', message: 'Internal error. Please try again (firewall).' };
    const starts = kind === 'Instance' || method === 'compute.instances.start';
    if (!kind && !starts) return undefined;
    if (starts && (use('capacity', 0, 'Instance') || poolIsEmpty(machineType, zone)))
      return {
        status: 503,
        code: 'ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS',
        message: `The zone '${zone}' does not have enough resources available to fulfill the request.  '(resource type:compute)'.`,
        errorDetails: [
          {
            errorInfo: {
              reason: 'resource_availability',
              domain: 'compute.googleapis.com',
              metadatas: { zone, vmType: machineType, attachment: '', zonesAvailable: '' },
            },
          },
        ],
      };
    if (kind && use('quota', 0, kind)) {
      const { metric } = inserts[kind];
      const quotaInfo = {
        metricName: `compute.googleapis.com/${metric.toLowerCase()}`,
        limitName: `${metric}-per-project-region`,
        limit: 200,
      };
      return {
        status: 403,
        code: 'QUOTA_EXCEEDED',
        message: `Quota '${metric}' exceeded.  Limit: 200.0 in region us-central1.`,
        errorDetails: [{ quotaInfo }],
      };
    }
    const child = kind === 'Instance' && !last ? use('failChild') : undefined;
    if (child)
      return {
        status: 500,
        code: 'INTERNAL_ERROR',
        message: `Internal error. Please try again (${child.n === 1 ? 'disk' : 'instance'}).`,
        leavesDisk: child.n > 1,
      };
    return undefined;
  }

  function poolIsEmpty(machineType: string, zone: string): boolean {
    const key = pools.has(`${machineType}@${zone}`) ? `${machineType}@${zone}` : `${machineType}@`;
    const free = pools.get(key);
    if (free === undefined) return false;
    if (free > 0) pools.set(key, free - 1);
    return free <= 0;
  }

  return {
    set(fault, kind = 'Instance') {
      if (fault.kind === 'lag') lists = fault.lists;
      else if (fault.kind === 'pages') pageSize = fault.size;
      else if (fault.kind === 'clockSkew') skewMs = fault.ms;
      else if (fault.kind === 'slowDelete') times = { ...times, deleteMs: fault.ms };
      else if (fault.kind === 'transitions') times = { ...times, ...fault };
      else if (fault.kind === 'pool') pools.set(`${fault.machineType}@${fault.zone ?? ''}`, fault.free);
      else if (fault.kind === 'storm') storm = { draw: seeded(fault.seed), rate: fault.rate };
      else {
        const times = 'times' in fault ? fault.times : undefined;
        const always = fault.kind === 'unreachable' ? Number.POSITIVE_INFINITY : 1;
        active.push({ fault, of: kind, left: times ?? always, seen: 0 });
      }
    },
    clear() {
      active = [];
      lists = 0;
      pageSize = undefined;
      skewMs = 0;
      times = { ...defaults };
      storm = undefined;
      pools.clear();
    },
    returnsMs: (kind) => use('deleteReturns', 0, kind)?.ms,
    unreadable: () => use('unreadable') !== undefined,
    now: () => Date.now() + skewMs,
    lag: () => lists,
    pageSize: () => pageSize,
    unreachables: () =>
      active.flatMap(({ fault, left }) =>
        fault.kind === 'unreachable' && left > 0 ? [`zones/${fault.zone}`] : [],
      ),
    unreachable(scope) {
      const entry = active.find(
        ({ fault, left }) => fault.kind === 'unreachable' && `zones/${fault.zone}` === scope && left > 0,
      );
      if (entry) entry.left -= 1;
      return entry !== undefined;
    },
    transitions: () => times,
    fate(asked) {
      const kind = kindMadeBy(asked.method);
      const fate: Fate = { delayMs: use('latency')?.ms ?? 0 };
      if (asked.method === 'compute.instances.setLabels') fate.delayMs += use('slowLabels')?.ms ?? 0;
      if (storm && storm.draw() < storm.rate) {
        const which = Math.floor(storm.draw() * 4);
        if (which === 0) fate.delayMs += Math.floor(storm.draw() * 300);
        else if (which === 1)
          return { ...fate, refusal: { status: 403, reason: 'rateLimitExceeded', message: tooFast } };
        else if (which === 2) return { ...fate, requestLost: true };
        else return { ...fate, responseLost: true };
      }
      if (kind && use('requestLost', 0, kind)) return { ...fate, requestLost: true };
      fate.refusal = refusal(asked);
      if (fate.refusal) return fate;
      if (kind && use('responseLost', 0, kind)) fate.responseLost = true;
      if (kind && use('duplicate', 0, kind)) fate.duplicate = true;
      fate.failure = failure(asked);
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
