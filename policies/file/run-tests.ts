import { type Catalogue, Catalogue as CatalogueClass } from '../catalogue/catalogue.ts';
import { architectureOf, burstableOf, familyOf } from '../catalogue/instance-types.ts';
import { jurisdictionOf } from '../catalogue/jurisdictions.ts';
import { compilePolicies } from '../place/compiled.ts';
import { requestProblems } from '../place/fit.ts';
import { type OfferFacts, tableOfOffers } from '../place/offers.ts';
import { place, placeAmong } from '../place/place.ts';
import { describe } from '../place/reasons.ts';
import { type Decision, type EstateMachine, NEUTRAL_REQUEST, type PlacementRequest } from '../place/types.ts';
import { parseFixture } from './fixture-file.ts';
import { parsePolicy } from './parse.ts';
import { goesTo } from './place-tests.ts';
import type { ParsedPolicy, PolicyTest } from './policy.ts';
import { formatProblem, type Problem } from './problems.ts';
import type { FixtureKind, FixtureValue } from './read-tests.ts';

/** How one test of a policy file went. */
export interface PolicyTestResult {
  policy: string;
  name: string;
  passed: boolean;
  /** What was expected and what happened; for a passed test, what happened. */
  message: string;
  /** Line of the test in the file, from 1. */
  line: number;
  /** What came of it in the words of `expect`, as far as that asks; null where nothing was placed or refused. */
  actual: PolicyTest['expect'] | null;
}

/** What the tests of a file run against. */
export interface PolicyTestOptions {
  /** Offers of tests that bring none of their own. */
  catalogue: Catalogue;
  /** Reads a file that a test names, relative to the policy file; the CLI and the editor bring theirs. */
  readFixture?: (path: string) => string;
}

/**
 * Runs the tests written in a policy file, each policy alone. A test without offers of its own is a plan over
 * the whole catalogue, providers without a site included. With problems in the file nothing runs.
 */
export function runPolicyTests(
  text: string,
  file: string,
  options: PolicyTestOptions,
): { results: PolicyTestResult[]; problems: Problem[] } {
  const { policies, problems } = parsePolicy(text, file);
  if (problems.some((p) => p.severity === 'error')) return { results: [], problems };
  const results = policies.flatMap((policy) => policy.tests.map((test) => runTest(policy, test, options)));
  return { results, problems };
}

/** Runs one test of a policy. */
export function runTest(
  policy: ParsedPolicy,
  test: PolicyTest,
  options: PolicyTestOptions,
): PolicyTestResult {
  const answer = (
    passed: boolean,
    message: string,
    actual: PolicyTest['expect'] | null = null,
  ): PolicyTestResult => ({
    policy: policy.name,
    name: test.name,
    passed,
    message,
    line: test.line,
    actual,
  });
  let fixtures: { [K in FixtureKind]: FixtureValue[K] | null };
  try {
    fixtures = {
      request: fixtureOf('request', test.request as FixtureValue['request'] | string, policy.file, options),
      offers: test.offers === null ? null : fixtureOf('offers', test.offers, policy.file, options),
      places: test.places === null ? null : fixtureOf('places', test.places, policy.file, options),
      estate: fixtureOf('estate', test.estate, policy.file, options),
    };
  } catch (error) {
    if (error instanceof UnreadableFixture) return answer(false, error.message);
    throw error;
  }
  const request: PlacementRequest = {
    ...NEUTRAL_REQUEST,
    [policy.scope.kind]: policy.scope.name,
    ...fixtures.request,
  };
  const unsound = requestProblems(request);
  if (unsound.length > 0) return answer(false, `the request cannot be: ${unsound.join('; ')}`);
  const policies = compilePolicies([policy]);
  const now = test.now === null ? new Date() : new Date(test.now);
  const { kind } = request;
  if (kind !== 'Instance' && fixtures.offers !== null)
    return answer(false, `a ${kind} goes to a place and takes no offer: give places, not offers`);
  if (kind === 'Instance' && fixtures.places !== null)
    return answer(false, 'an Instance takes an offer: give offers, or a request of another kind');
  if (kind !== 'Instance') {
    const asked = { ...fixtures.request, kind, project: request.project, organization: request.organization };
    const outcome = goesTo(asked, fixtures.places, options.catalogue, policies, now);
    const actual = actualOf(test.expect, outcome);
    return judge(test.expect, outcome, (passed, message) => answer(passed, message, actual));
  }
  const input = {
    request,
    catalogue: options.catalogue,
    sites: [],
    policies,
    setAside: [],
    includeUnconfigured: true,
    now,
    estate: fixtures.estate!.map((machine, i) => machineOf(machine, i, request, now)),
  };
  let decision: Decision;
  if (fixtures.offers === null) decision = place(input);
  else {
    const offers = fixtures.offers.map(facts);
    const empty = CatalogueClass.fromRows([], { name: 'offers of the test', date: '' });
    decision = placeAmong({ ...input, catalogue: empty }, [tableOfOffers(offers)], () => null, []);
  }
  const outcome = { ...decision, where: decision.winner && describe(decision.winner) };
  const actual = actualOf(test.expect, outcome);
  return judge(test.expect, outcome, (passed, message) => answer(passed, message, actual));
}

/** What became of a request: a decision of placement, or where a resource of another kind may go. */
export interface Outcome {
  winner: object | null;
  /** The winner in words. */
  where: string | null;
  rules: readonly Pick<Decision['rules'][number], 'rule' | 'mode' | 'rejected' | 'rejectedAlone'>[];
  reasons: readonly string[];
  approvals?: Decision['approvals'];
}

/** What came of a test, to be laid beside what was expected. */
function actualOf(expect: PolicyTest['expect'], { winner, rules, approvals }: Outcome): PolicyTest['expect'] {
  if (winner === null) {
    if (expect.rejectedBy === undefined) return { unplaceable: true };
    const rejecting = rules.filter(({ mode, rejected }) => mode === 'enforce' && rejected > 0);
    const named = expect.rejectedBy.filter((name) => rejecting.some(({ rule }) => rule === name));
    const needed = rejecting.filter(({ rejectedAlone }) => rejectedAlone > 0).map(({ rule }) => rule);
    return { rejectedBy: [...new Set([...named, ...needed])] };
  }
  if (expect.unplaceable !== undefined) return { unplaceable: false };
  const fields = Object.keys(
    expect.placed ?? { provider: '', region: '', ...('instanceType' in winner && { instanceType: '' }) },
  );
  const placed = Object.fromEntries(fields.map((name) => [name, (winner as Record<string, unknown>)[name]]));
  return {
    ...((expect.placed !== undefined || expect.approvals === undefined) && { placed }),
    ...(expect.approvals !== undefined && {
      approvals: [...new Set((approvals ?? []).map(({ rule }) => rule))].sort(),
    }),
  };
}

function judge(
  expect: PolicyTest['expect'],
  decision: Outcome,
  answer: (passed: boolean, message: string) => PolicyTestResult,
): PolicyTestResult {
  const { winner } = decision;
  const got =
    winner === null ? `nothing could be placed: ${decision.reasons.join('; ')}` : `placed ${decision.where}`;
  if (expect.unplaceable !== undefined) {
    const passed = (winner === null) === expect.unplaceable;
    return answer(
      passed,
      passed ? got : `expected ${expect.unplaceable ? 'nothing to be placed' : 'a placement'}; ${got}`,
    );
  }
  if (expect.approvals !== undefined) {
    if (winner === null) return answer(false, `expected a placement; ${got}`);
    const needed = [...new Set((decision.approvals ?? []).map(({ rule }) => rule))].sort();
    const wanted = [...new Set(expect.approvals)].sort();
    const words = (rules: string[]): string =>
      rules.length === 0 ? 'no approval' : `approval by ${rules.join(', ')}`;
    if (needed.join() !== wanted.join())
      return answer(false, `expected ${words(wanted)}, not ${words(needed)}; ${got}`);
    if (expect.placed === undefined) return answer(true, got);
  }
  if (expect.placed !== undefined) {
    if (winner === null) return answer(false, `expected a placement; ${got}`);
    const differing = Object.entries(expect.placed).filter(([name, wanted]) => {
      const value = (winner as Record<string, unknown>)[name];
      return Array.isArray(wanted) ? !wanted.includes(value) : value !== wanted;
    });
    const wanted = differing.map(
      ([name, value]) =>
        `${name} ${JSON.stringify(value)}, not ${JSON.stringify((winner as Record<string, unknown>)[name])}`,
    );
    return answer(
      differing.length === 0,
      differing.length === 0 ? got : `expected ${wanted.join(', ')}; ${got}`,
    );
  }
  const named = expect.rejectedBy ?? [];
  if (winner !== null)
    return answer(false, `expected all offers to be rejected by ${named.join(', ')}; ${got}`);
  const idle = named.filter((name) => !decision.rules.some((r) => r.rule === name && r.rejected > 0));
  if (idle.length > 0) return answer(false, `${idle.join(', ')} rejected nothing; ${got}`);
  const others = decision.rules.filter(
    (r) => r.mode === 'enforce' && r.rejectedAlone > 0 && !named.includes(r.rule),
  );
  if (others.length > 0)
    return answer(false, `some offers were rejected only by ${others.map((r) => r.rule).join(', ')}; ${got}`);
  return answer(true, got);
}

/** A file of a test that cannot be used; says which and why. */
class UnreadableFixture extends Error {}

/** What a test has in itself, or in a file. Throws {@link UnreadableFixture}. */
function fixtureOf<K extends FixtureKind>(
  kind: K,
  given: FixtureValue[K] | string,
  file: string,
  { readFixture }: PolicyTestOptions,
): FixtureValue[K] {
  if (typeof given !== 'string') return given;
  if (readFixture === undefined)
    throw new UnreadableFixture(`this test's ${kind} is in ${given}, and no way to read files was given`);
  let text: string;
  try {
    text = readFixture(given);
  } catch (error) {
    throw new UnreadableFixture(
      `the ${kind} of this test cannot be read from ${given}: ${(error as Error).message}`,
    );
  }
  const { value, problems } = parseFixture(kind, text, given);
  if (value === undefined) throw new UnreadableFixture(`${file}: ${problems.map(formatProblem).join('; ')}`);
  return value;
}

/** An offer of a test with what follows from its names filled in. */
function facts(given: Record<string, unknown>): OfferFacts {
  const { provider, region, instanceType } = given as {
    provider: string;
    region: string;
    instanceType: string;
  };
  return {
    site: null,
    zone: null,
    host: null,
    family: familyOf(provider, instanceType),
    market: 'onDemand',
    vcpus: 1,
    memoryGiB: 1,
    architecture: architectureOf(provider, instanceType),
    gpuName: null,
    gpuCount: 0,
    burstable: burstableOf(provider, instanceType),
    jurisdiction: jurisdictionOf(provider, region),
    certifications: null,
    accel: '',
    labels: {},
    ...given,
  } as OfferFacts;
}

/** A machine of a test with what it does not say filled in. */
function machineOf(
  given: Record<string, unknown>,
  index: number,
  request: PlacementRequest,
  now: Date,
): EstateMachine {
  const { ageHours = 0, ...more } = given as { ageHours?: number; provider: string; instanceType?: string };
  return {
    id: `machine-${index + 1}`,
    project: request.project,
    organization: request.organization,
    labels: {},
    state: 'Running',
    site: more.provider,
    zone: null,
    host: null,
    instanceType: '',
    market: 'onDemand',
    architecture: architectureOf(more.provider, more.instanceType ?? ''),
    gpuName: null,
    gpuCount: 0,
    vcpus: 1,
    memoryGiB: 1,
    diskGiB: 0,
    pricePerHour: 0,
    publicAddress: false,
    createdAt: new Date(now.getTime() - ageHours * 3_600_000).toISOString(),
    ...more,
  } as EstateMachine;
}
