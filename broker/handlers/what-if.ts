import { setImmediate as pause } from 'node:timers/promises';
import { durationMs, type Schemas } from '@landfall/model';
import {
  type Catalogue,
  type CompiledPolicies,
  compilePolicies,
  type ParsedPolicy,
  parsePolicy,
  parseRequestRules,
} from '@landfall/policies';
import { PolicyProblems } from '@landfall/policies/file/problems.ts';
import {
  decisionAfter,
  type RecordedRequest as Recorded,
  type Replayed,
  replay,
  sumUp,
  type WhatIfWorld,
} from '@landfall/policies/what-if/what-if.ts';
import { type Db, ledgerHosts } from '@landfall/store';
import {
  recordedRequest,
  recordedRequests,
  type RecordedRequest as StoredRequest,
} from '@landfall/store/decisions.ts';
import { estateMachines } from '@landfall/store/estate.ts';
import { policiesInForce } from '@landfall/store/policies.ts';
import { catalogueByVersion, catalogueInForce, siteViews } from '@landfall/workflows/placement.ts';
import type { Handlers } from '../handler.ts';
import type { Principal } from '../principal.ts';
import { Problem } from '../problems.ts';
import { closest } from '../suggestion.ts';
import { scopeOf } from './operations.ts';
import { checkScope, policyProblem } from './policies.ts';

type Given = NonNullable<Schemas['WhatIfInput']['policies']>;

/** Changes named one by one in a report; beyond these they are only counted. */
const NAMED = 1000;

/** The policies of the files given, each of them valid and of a scope that is the caller's to speak of. */
async function givenPolicies(db: Db, principal: Principal, given: Given): Promise<ParsedPolicy[]> {
  const policies: ParsedPolicy[] = [];
  for (const [index, { source, file }] of given.entries()) {
    const pointer = `/policies/${index}/source`;
    const parsed = parsePolicy(source, file ?? `policies[${index}]`);
    const refusal = policyProblem(parsed.problems, pointer);
    if (refusal) throw refusal;
    for (const policy of parsed.policies) await checkScope(db, principal.organization, policy.scope, pointer);
    policies.push(...parsed.policies);
  }
  return policies;
}

/** The policies in force, and those with the given ones put in their places and others taken away. */
async function bothSets(
  db: Db,
  principal: Principal,
  given: Given,
  without: readonly string[],
): Promise<{ before: CompiledPolicies; after: CompiledPolicies }> {
  const changed = await givenPolicies(db, principal, given);
  const inForce = (await policiesInForce(db, principal.organization)).flatMap(({ name, source, version }) => {
    const { policies, problems } = parsePolicy(source, name);
    const refusal = policyProblem(problems, '');
    if (refusal)
      throw new Problem('unprocessable', `Policy ${name}, in force, cannot be read: ${refusal.message}`);
    return policies.map((policy) => ({ ...policy, version }));
  });
  checkNames(inForce, changed, without);
  const gone = new Set([...changed.map(({ name }) => name), ...without]);
  try {
    return {
      before: compilePolicies(inForce),
      after: compilePolicies([...inForce.filter(({ name }) => !gone.has(name)), ...changed]),
    };
  } catch (error) {
    if (!(error instanceof PolicyProblems)) throw error;
    throw policyProblem(error.problems, '/policies')!;
  }
}

const scopeName = ({ scope }: ParsedPolicy): string => `${scope.kind}s/${scope.name}`;

/** Refuses what could not be done to the policies in force. */
function checkNames(
  inForce: readonly ParsedPolicy[],
  changed: readonly ParsedPolicy[],
  without: readonly string[],
): void {
  const names = inForce.map(({ name }) => name);
  for (const [index, name] of without.entries()) {
    const pointer = `/without/${index}`;
    if (!names.includes(name)) {
      const meant = closest(name, names);
      const hint = meant ? `; did you mean ${meant}?` : names.length > 0 ? `: ${names.join(', ')}` : '';
      throw unprocessable(pointer, `must name a policy in force${hint}`);
    }
    if (changed.some((policy) => policy.name === name))
      throw unprocessable(pointer, `takes ${name} away, which a file given here changes`);
  }
  for (const policy of changed) {
    const known = inForce.find(({ name }) => name === policy.name);
    if (known && scopeName(known) !== scopeName(policy))
      throw unprocessable(
        '/policies',
        `must not have ${policy.name} for ${scopeName(policy)}: the policy of this name in force is for ${scopeName(known)}`,
      );
  }
}

/** Replays one request after the other, letting others have their turn between. */
async function replayAll(requests: Recorded[], world: WhatIfWorld, signal: AbortSignal): Promise<Replayed[]> {
  const replayed: Replayed[] = [];
  for (const recorded of requests) {
    replayed.push(replay(recorded, world));
    await pause();
    signal.throwIfAborted();
  }
  return replayed;
}

/** What is told of each request that changes, and of one that is asked about. */
function told({ recorded, change, from, to, approvals, rules, allows, why }: Replayed) {
  return {
    project: recorded.request.project,
    name: recorded.request.name,
    change,
    from: from as Schemas['Offer'] | null,
    to: to as Schemas['Offer'] | null,
    approvals,
    rules: rules.map(({ policy, rule }) => `${policy}/${rule}`),
    allows,
    why,
  };
}

function changesOf(replayed: Replayed[]): Schemas['WhatIfChange'][] {
  return replayed.flatMap((one) => {
    const { change, why, ...rest } = told(one);
    return change === 'unchanged' || why === null
      ? []
      : [{ decision: one.recorded.decision, change, why, ...rest }];
  });
}

/** Sites, machines and prices that requests are replayed against, with the policies before and after. */
async function worldOf(
  db: Db,
  principal: Principal,
  { policies = [], without = [], catalogue: version }: Omit<Schemas['WhatIfInput'], 'since' | 'limit'>,
): Promise<WhatIfWorld & { catalogueAfter: Catalogue }> {
  const { organization } = principal;
  if (policies.length === 0 && without.length === 0 && version === undefined)
    throw unprocessable('', 'must have policies, names of policies to do without, or a catalogue');
  const sets = await bothSets(db, principal, policies, without);
  const catalogue = await catalogueInForce(db, organization);
  const catalogueAfter =
    version === undefined ? catalogue : await catalogueByVersion(db, organization, version);
  if (catalogueAfter === undefined)
    throw unprocessable('/catalogue', `must be a version that is kept, is '${version}'`);
  const sites = await siteViews(db, organization, await ledgerHosts(db));
  const estate = await estateMachines(db, organization);
  return { ...sets, catalogue, catalogueAfter, sites, estate };
}

/** The requests whose own rules can be read, ready to be replayed. */
function readable(recorded: StoredRequest[]): Recorded[] {
  return recorded.flatMap(({ rules: written, request, ...rest }) => {
    const { rules, problems } = parseRequestRules(written, 'request');
    if (problems.some(({ severity }) => severity === 'error')) return [];
    // What was recorded before requests had a kind was for an instance.
    const asked = { kind: 'Instance', ...request } as Recorded['request'];
    return [{ ...rest, request: asked, requestRules: rules }];
  });
}

function unprocessable(pointer: string, message: string): Problem {
  return new Problem('unprocessable', `${pointer.slice(1) || 'The body'} ${message}.`, {
    errors: [{ pointer, message }],
  });
}

export const whatIfHandlers = {
  async whatIfPolicies({ principal, body, signal }, { db }) {
    const { since: back = '30d', limit = 1000, ...changed } = body;
    const world = await worldOf(db, principal, changed);
    const until = new Date();
    if (durationMs(back) > until.getTime()) throw unprocessable('/since', 'must reach back to 1970 at most');
    const since = new Date(until.getTime() - durationMs(back));
    const recorded = await recordedRequests(db, scopeOf(principal), since, limit);
    const requests = readable(recorded.requests);
    const replayed = await replayAll(requests, world, signal);
    const changes = changesOf(replayed);
    const { version, date, sources } = world.catalogueAfter;
    const report: Schemas['WhatIfReport'] = {
      since: since.toISOString(),
      until: until.toISOString(),
      ...sumUp(replayed),
      notReplayable: recorded.notReplayable + recorded.requests.length - requests.length,
      leftOut: recorded.leftOut,
      currency: 'USD',
      changes: changes.slice(0, NAMED),
      changesLeftOut: Math.max(0, changes.length - NAMED),
      catalogue: { version, date, sources },
      policies: world.after.policies.map(({ name, version }) => ({ name, version })),
    };
    return { status: 200, body: report };
  },

  async explainWhatIf({ principal, body: { decision, ...changed } }, { db }) {
    const stored = await recordedRequest(db, scopeOf(principal), decision);
    const [recorded] = readable(stored === undefined ? [] : [stored]);
    if (recorded === undefined)
      throw unprocessable('/decision', `must be a decision that can be replayed, is '${decision}'`);
    const world = await worldOf(db, principal, changed);
    const placement = decisionAfter(recorded, world) as Schemas['Decision'];
    return { status: 200, body: { ...told(replay(recorded, world)), placement } };
  },
} satisfies Partial<Handlers>;
