import type { Fault } from '../../../adapters/conformance/subject.ts';
import type { Kind } from '../../../adapters/contract.ts';

/** The catalogue of the conformance suite, and what only Azure has. Each lasts for `times` matching calls (default 1). */
export type AzureFault =
  | Fault
  /** No capacity, told by the operation that was accepted: the machine stays behind as failed. `start` = when started. */
  | { kind: 'allocation'; code?: string; of?: 'create' | 'start'; times?: number }
  /** The credentials may not do it (403 AuthorizationFailed). `of`: a type in small letters; others are then allowed. */
  | { kind: 'denied'; of?: string; times?: number }
  /** Calls of this method are answered so much later. */
  | { kind: 'slowAnswers'; method: string; ms: number; times?: number }
  /** Lists give at most `size` things a page. */
  | { kind: 'pages'; size: number }
  /** From now on operations on machines and on the network take these many milliseconds. */
  | { kind: 'transitions'; machineMs?: number; networkMs?: number };

export interface Refusal {
  status: number;
  code: string;
  message: string;
  retryAfterMs?: number;
  details?: { code: string; message: string }[];
}

/** What happens to one call. */
export interface Fate {
  delayMs: number;
  refusal?: Refusal;
  requestLost?: boolean;
  responseLost?: boolean;
  duplicate?: boolean;
  /** The accepted operation ends with this error. */
  operationError?: { code: string; message: string };
}

/** A call as the plan sees it: the type of the thing in its address, without the provider's namespace. */
export interface Called {
  method: string;
  type: string;
  action?: string;
  list: boolean;
}

export interface FaultPlan {
  /** What is said of a create holds for creates of the type that stands for `kind` (default: machines). */
  set(fault: AzureFault, kind?: Kind): void;
  clear(): void;
  fate(call: Called): Fate;
  /** How long deleting a thing of the type takes. */
  deleteMs(type: string): number;
  /** How long after it is gone a thing of the type is there again, where it is to be; uses the fault up. */
  returnsMs(type: string): number | undefined;
  /** Whether the blob that an image is made of now cannot be read; uses the fault up. */
  unreadable(): boolean;
  /** What Azure's clock shows now, in milliseconds. */
  now(): number;
  lag(): number;
  pageSize(): number;
  times(): { machineMs: number; networkMs: number };
}

const children = ['networksecuritygroups', 'publicipaddresses', 'networkinterfaces', 'virtualmachines'];
const types: Record<Kind, string> = {
  Instance: 'virtualmachines',
  Volume: 'disks',
  Snapshot: 'snapshots',
  Image: 'images',
  Network: 'virtualnetworks',
  Firewall: 'applicationsecuritygroups',
  Address: 'publicipaddresses',
};
const computeTypes = ['virtualmachines', 'disks', 'snapshots', 'images'];
const defaults = { machineMs: 150, networkMs: 30 };
const defaultDeletes = { virtualmachines: 150 };

const throttled: Refusal = {
  status: 429,
  code: 'OperationNotAllowed',
  message:
    'The server rejected the request because too many requests have been received for this subscription.',
  details: [
    { code: 'TooManyRequests', message: '{"operationGroup":"PutVM30Min","allowedRequestCount":1200}' },
  ],
};
const noSku: Refusal = {
  status: 409,
  code: 'SkuNotAvailable',
  message:
    'The requested VM size for resource is currently not available in location. Please try another size or deploy to a different location or different zone.',
};
const noQuota: Refusal = {
  status: 409,
  code: 'OperationNotAllowed',
  message:
    'Operation could not be completed as it results in exceeding approved standardBSFamily Cores quota. Additional details - Deployment Model: Resource Manager, Current Limit: 4, Current Usage: 4, Additional Required: 2, (Minimum) New Limit Required: 6.',
  details: [{ code: 'QuotaExceeded', message: 'Current Limit: 4, Current Usage: 4, Additional Required: 2' }],
};

/** Of the network's objects; only the code for addresses is known to be Azure's. */
const noMore = (type: string): Refusal => ({
  status: 400,
  code:
    type === 'publicipaddresses' ? 'IPv4StandardSkuPublicIpCountLimitReached' : 'ResourceCountLimitReached',
  message: `Cannot create more than 0 ${type} for this subscription in this region.`,
});

export function createFaultPlan(): FaultPlan {
  let active: { fault: AzureFault; left: number; seen: number; type: string }[] = [];
  let lists = 0;
  let pageSize = 1000;
  let skewMs = 0;
  let times = { ...defaults };
  let deletes: Record<string, number> = { ...defaultDeletes };

  /** Takes one use of the first fault of this kind (set for creates of `type`, where one is given), after `skip` matching calls. */
  function use<K extends AzureFault['kind']>(
    kind: K,
    matches: (fault: Extract<AzureFault, { kind: K }>) => boolean = () => true,
    skip: (fault: Extract<AzureFault, { kind: K }>) => number = () => 0,
    type?: string,
  ): Extract<AzureFault, { kind: K }> | undefined {
    const entry = active.find(
      (one) => one.fault.kind === kind && one.left > 0 && (type === undefined || one.type === type),
    );
    const fault = entry?.fault as Extract<AzureFault, { kind: K }> | undefined;
    if (!entry || !fault || !matches(fault)) return undefined;
    entry.seen += 1;
    if (entry.seen <= skip(fault)) return undefined;
    entry.left -= 1;
    return fault;
  }

  const ofCreate = (kind: AzureFault['kind'], { method, type }: Called) =>
    method === 'PUT' && use(kind, undefined, undefined, type) !== undefined;

  function refusal(call: Called): Refusal | undefined {
    const { method, type, list } = call;
    if (use('denied', ({ of }) => of === undefined || of === type))
      return {
        status: 403,
        code: 'AuthorizationFailed',
        message:
          'The client does not have authorization to perform action over scope or the scope is invalid.',
      };
    const throttle = use('throttle');
    if (throttle) return { ...throttled, retryAfterMs: throttle.retryAfterMs };
    if (list && use('brokenList', undefined, () => 1))
      return { status: 500, code: 'InternalServerError', message: 'Encountered internal server error.' };
    const child = method === 'PUT' && children.includes(type);
    if (child && use('failChild', undefined, (fault) => fault.n - 1))
      return {
        status: 400,
        code: 'ResourceCountLimitReached',
        message: 'Cannot create more than 0 resources of this type for this subscription in this region.',
      };
    if (ofCreate('capacity', call)) return noSku;
    if (ofCreate('quota', call)) return computeTypes.includes(type) ? noQuota : noMore(type);
    return undefined;
  }

  return {
    set(fault, kind = 'Instance') {
      if (fault.kind === 'lag') lists = fault.lists;
      else if (fault.kind === 'pages') pageSize = fault.size;
      else if (fault.kind === 'clockSkew') skewMs = fault.ms;
      else if (fault.kind === 'slowDelete') deletes = { ...deletes, [types[kind]]: fault.ms };
      else if (fault.kind === 'transitions') times = { ...times, ...fault };
      else {
        // A list fails in the middle only if it has more than one page.
        if (fault.kind === 'brokenList') pageSize = 2;
        const left = ('times' in fault ? fault.times : undefined) ?? 1;
        active.push({ fault, left, seen: 0, type: types[kind] });
      }
    },
    clear() {
      active = [];
      lists = 0;
      pageSize = 1000;
      skewMs = 0;
      times = { ...defaults };
      deletes = { ...defaultDeletes };
    },
    deleteMs: (type) => deletes[type] ?? times.networkMs,
    returnsMs: (type) => use('deleteReturns', undefined, undefined, type)?.ms,
    unreadable: () => use('unreadable') !== undefined,
    now: () => Date.now() + skewMs,
    lag: () => lists,
    pageSize: () => pageSize,
    times: () => times,
    fate(call) {
      const creates = call.method === 'PUT' && call.type === 'virtualmachines';
      const fate: Fate = {
        delayMs: (use('latency') ?? use('slowAnswers', ({ method }) => method === call.method))?.ms ?? 0,
      };
      if (ofCreate('requestLost', call)) return { ...fate, requestLost: true };
      fate.refusal = refusal(call);
      if (fate.refusal) return fate;
      const of = creates ? 'create' : call.action === 'start' ? 'start' : undefined;
      const allocation = of && use('allocation', (fault) => (fault.of ?? 'create') === of);
      if (allocation)
        fate.operationError = {
          code: allocation.code ?? 'AllocationFailed',
          message:
            'Allocation failed. We do not have sufficient capacity for the requested VM size in this region.',
        };
      if (ofCreate('responseLost', call)) fate.responseLost = true;
      if (ofCreate('duplicate', call)) fate.duplicate = true;
      return fate;
    },
  };
}
