import { interpret } from '../cel/columnar.ts';
import { type CelRequest, celResource, EVALUATION, reads } from '../cel/schema.ts';
import { memo } from '../memo.ts';
import type { Circumstances } from './circumstances.ts';
import { type Findings, foundIn, partsOf } from './estate.ts';
import { isSelf } from './groups.ts';
import { Recent } from './recent.ts';
import type { EstateMachine, PlacementRequest } from './types.ts';

interface Test {
  /** A machine that lacks what is asked about is not one of those chosen. */
  chooses: (machine: EstateMachine, cel: CelRequest, now: Date) => boolean;
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
      chooses: (machine, cel, now) => evaluate(cel, {}, celResource(machine, now)) === 'true',
    };
  });
}

const REMEMBERED = 64;

interface Choice {
  machines: readonly EstateMachine[];
  isChosen: (machine: EstateMachine) => boolean;
  /** It is for one moment only. */
  readsAge: boolean;
}

/** What expressions have chosen, each for what it reads of a request. */
class Choices implements Findings {
  #known = new Recent<Choice>(REMEMBERED);

  get(key: string, choose: () => Choice): readonly EstateMachine[] {
    return memo(this.#known, key, choose).machines;
  }

  change(gone: ReadonlySet<EstateMachine>, come: readonly EstateMachine[]): void {
    const before = this.#known;
    this.#known = new Recent<Choice>(REMEMBERED);
    for (const [key, { machines, isChosen, readsAge }] of before.entries()) {
      if (readsAge) continue;
      const left = [...machines.filter((machine) => !gone.has(machine)), ...come.filter(isChosen)];
      this.#known.set(key, { machines: left, isChosen, readsAge });
    }
  }
}

/** The machines, but the request's own, that an expression over request and `resource` is true for; an error is not true. */
export function chosenMachines(to: string, context: Circumstances): EstateMachine[] {
  const { request, now, estate } = context;
  const { chooses, readsRequest, readsAge } = testOf(to);
  const { standing, added } = partsOf(estate);
  const known = foundIn(standing, 'chosen', () => new Choices());
  const values = readsRequest.map((name) => request[name as keyof PlacementRequest]);
  const key = JSON.stringify([to, readsAge ? now.getTime() : 0, values]);
  const isChosen = choosing(chooses, context.cel, now);
  const before = known.get(key, () => ({ machines: standing.filter(isChosen), isChosen, readsAge }));
  return [...before, ...added.filter(isChosen)].filter((machine) => !isSelf(machine, request));
}

/** A function of its own, so that what is kept holds the request and not the list of machines. */
function choosing(chooses: Test['chooses'], cel: CelRequest, now: Date): Choice['isChosen'] {
  return (machine) => chooses(machine, cel, now);
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
  return testOf(to).chooses(askedFor(context.request, context.now), context.cel, context.now);
}
