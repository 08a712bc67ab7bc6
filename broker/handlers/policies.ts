import {
  checkPolicies,
  formatProblem,
  type ParsedPolicy,
  type Problem as PolicyProblem,
  parsePolicy,
  runPolicyTests,
} from '@landfall/policies';
import type { Db } from '@landfall/store';
import { findProject } from '@landfall/store/identity.ts';
import {
  deletePolicy,
  getPolicy,
  listPolicies,
  policiesInForce,
  putPolicy,
} from '@landfall/store/policies.ts';
import { catalogueInForce } from '@landfall/workflows/placement.ts';
import type { Handlers } from '../handler.ts';
import { Problem } from '../problems.ts';

/** A policy of someone else's scope would be in force nowhere. */
export async function checkScope(
  db: Db,
  organization: string,
  scope: ParsedPolicy['scope'],
  pointer = '/source',
): Promise<void> {
  const own =
    scope.kind === 'organization'
      ? scope.name === organization
      : (await findProject(db, scope.name))?.organization === organization;
  if (own) return;
  const message = `metadata.scope is ${scope.kind}s/${scope.name}, and ${scope.kind === 'organization' ? `this token's organization is ${organization}` : `organization ${organization} has no project ${scope.name}`}`;
  throw new Problem('unprocessable', `${message}.`, { errors: [{ pointer, message }] });
}

/** The refusal of a policy file with errors; null when there are none. */
export function policyProblem(problems: readonly PolicyProblem[], pointer = '/source'): Problem | null {
  const wrong = problems.filter((problem) => problem.severity === 'error');
  if (wrong.length === 0) return null;
  return new Problem(
    'unprocessable',
    `The policy file has ${wrong.length} error${wrong.length === 1 ? '' : 's'}, and nothing was changed. ${formatProblem(wrong[0]!)}`,
    {
      errors: wrong.slice(0, 50).map((problem) => ({
        pointer,
        message: formatProblem(problem),
        ...(problem.suggestion === undefined ? {} : { suggestion: problem.suggestion }),
      })),
    },
  );
}

/** The policies in force that these would stand beside: a rule can be redundant or contradicted by one of them. */
async function othersInForce(
  db: Db,
  organization: string,
  given: readonly ParsedPolicy[],
): Promise<ParsedPolicy[]> {
  const named = new Set(given.map((policy) => policy.name));
  const others = (await policiesInForce(db, organization)).filter((policy) => !named.has(policy.name));
  return others.flatMap(({ name, source }) => parsePolicy(source, `${name} (in force)`).policies);
}

export const policyHandlers = {
  async listPolicies({ principal, query }, { db }) {
    return { status: 200, body: await listPolicies(db, principal.organization, query) };
  },
  async validatePolicy({ principal, body }, { db }) {
    const file = body.file ?? 'policy.yaml';
    const { policies, partly, problems } = parsePolicy(body.source, file);
    const given = [...policies, ...partly];
    const beside = await othersInForce(db, principal.organization, given);
    const catalogue = await catalogueInForce(db, principal.organization);
    const warnings = checkPolicies([...beside, ...given], catalogue, { whole: true }).filter(
      (problem) => problem.file === file,
    );
    return { status: 200, body: { problems: [...problems, ...warnings] } };
  },
  async testPolicy({ principal, body }, { db }) {
    const { results, problems } = runPolicyTests(body.source, body.file ?? 'policy.yaml', {
      catalogue: await catalogueInForce(db, principal.organization),
    });
    return {
      status: 200,
      body: {
        results: results.map(({ policy, name, passed, message }) => ({ policy, name, passed, message })),
        problems,
      },
    };
  },
  async getPolicy({ principal, params }, { db }) {
    return { status: 200, body: await getPolicy(db, principal.organization, params.policy) };
  },
  async putPolicy({ principal, params, body, query, ifMatch, requester }, { db }) {
    const { policies, problems } = parsePolicy(body.source, body.file ?? `${params.policy}.yaml`);
    const refusal = policyProblem(problems);
    if (refusal) throw refusal;
    const [policy] = policies;
    if (policies.length !== 1 || !policy) {
      throw new Problem('unprocessable', `Put one policy at a time: this file has ${policies.length}.`, {
        errors: [{ pointer: '/source', message: `must have one document, has ${policies.length}` }],
      });
    }
    if (policy.name !== params.policy) {
      throw new Problem(
        'unprocessable',
        `The file's metadata.name is ${policy.name}, the path's is ${params.policy}.`,
        {
          errors: [
            {
              pointer: '/source',
              message: `metadata.name must be ${params.policy}, as in the path, is ${policy.name}`,
            },
          ],
        },
      );
    }
    await checkScope(db, principal.organization, policy.scope);
    const kept = {
      name: policy.name,
      scope: `${policy.scope.kind}s/${policy.scope.name}`,
      mode: policy.mode,
      version: policy.version,
      source: body.source,
      rules: policy.rules.map((rule) => rule.name),
    };
    const put = await putPolicy(db, principal.organization, kept, ifMatch, requester, query.validateOnly);
    return { status: put.created ? 201 : 200, body: put.policy };
  },
  async deletePolicy({ principal, params, query, ifMatch, requester }, { db }) {
    await deletePolicy(db, principal.organization, params.policy, ifMatch!, requester, query.validateOnly);
    return { status: 204 };
  },
} satisfies Partial<Handlers>;
