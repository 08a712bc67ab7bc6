import { interpret } from '../cel/columnar.ts';
import { celResource, EVALUATION, reads } from '../cel/schema.ts';
import { memo } from '../memo.ts';
import type { Circumstances } from './circumstances.ts';
import { isSelf } from './groups.ts';
import { Recent } from './recent.ts';
import type { EstateMachine, PlacementRequest } from './types.ts';

interface Test {
  /** A machine that lacks what is asked about is not one of those chosen. */
  chooses: (machine: EstateMachine, context: Circumstances) => boolean;
  readsRequest: string[];
  readsAge: boolean;
}

const tests = new Recent<Test>(1024);

function testOf(to: string): Test {
  return memo(tests, to, () => {
    const evaluate = interpret(to);
    const { request, resource } = reads(EVALUATION.parse(to).ast);
    return {
      readsRequest: [...request].sort(),
      readsAge: resource.has('ageHours'),
      chooses: (machine, { cel, now }) => evaluate(cel, {}, celResource(machine, now)) === 'true',
    };
  });
}

const chosen = new WeakMap<readonly EstateMachine[], Recent<EstateMachine[]>>();
const REMEMBERED = 64;

/** The machines, but the request's own, that an expression over request and `resource` is true for; an error is not true. */
export function chosenMachines(to: string, context: Circumstances): EstateMachine[] {
  const { request, now, estate } = context;
  const { chooses, readsRequest, readsAge } = testOf(to);
  const known = memo(chosen, estate, () => new Recent<EstateMachine[]>(REMEMBERED));
  const values = readsRequest.map((name) => request[name as keyof PlacementRequest]);
  const key = JSON.stringify([to, readsAge ? now.getTime() : 0, values]);
  const all = memo(known, key, () => estate.filter((machine) => chooses(machine, context)));
  return all.filter((machine) => !isSelf(machine, request));
}

/** The machine that is asked for, as rules about other machines see it before it has a place. */
export function askedFor(request: PlacementRequest, now: Date): EstateMachine {
  return {
    id: '',
    name: request.name,
    project: request.project,
    organization: request.organization,
    labels: request.labels,
    state: 'Pending',
    site: '',
    provider: '',
    region: '',
    zone: null,
    host: null,
    instanceType: request.instanceType,
    market: request.market,
    architecture: request.architecture,
    gpuName: request.gpuName,
    gpuCount: request.gpuCount,
    vcpus: request.vcpus,
    memoryGiB: request.memoryGiB,
    diskGiB: request.diskGiB,
    pricePerHour: 0,
    publicAddress: request.publicAddress,
    createdAt: now.toISOString(),
  };
}

/** Whether the expression would be true for the machine that is asked for. */
export function wouldBeChosen(to: string, context: Circumstances): boolean {
  return testOf(to).chooses(askedFor(context.request, context.now), context);
}
