import type { CompiledPolicies, PlacementRequest } from '@landfall/policies';
import { interpret } from '@landfall/policies/cel/columnar.ts';
import { celRequest } from '@landfall/policies/cel/schema.ts';
import { refusedBy } from '@landfall/policies/place/admission.ts';
import { rulesInForce } from '@landfall/policies/place/in-force.ts';

/** A rule that refuses a request whatever is on offer, and the part of the request that it is about. */
export interface AdmissionRefusal {
  pointer: '/labels' | '/spec/ttl' | '';
  message: string;
}

const pointers = { labels: '/labels', ttl: '/spec/ttl', window: '' } as const;

/**
 * What required labels, longest lives and closed times refuse, where the request alone decides it. A rule whose `when` has no
 * value without an offer is left to placement. `changed`: the parts that a change of a machine is about; a `ttl` rule's default
 * does not stand in for a ttl that is taken away.
 */
export function admissionRefusals(
  policies: CompiledPolicies,
  request: PlacementRequest,
  now: Date,
  changed?: readonly AdmissionRefusal['pointer'][],
): AdmissionRefusal[] {
  const cel = celRequest(request);
  return rulesInForce(policies, [], request, cel, now).rules.flatMap((rule) => {
    const { clause, mode, gateText } = rule;
    if (clause.effect !== 'labels' && clause.effect !== 'ttl' && clause.effect !== 'window') return [];
    if (mode !== 'enforce' || (gateText !== null && interpret(gateText)(cel, {}) !== 'true')) return [];
    const pointer = pointers[clause.effect];
    if (changed && !changed.includes(pointer)) return [];
    const strict = changed && clause.effect === 'ttl' ? { ...clause, defaultHours: null } : clause;
    const why = refusedBy(strict, request, now);
    if (why === null) return [];
    // A message without a field stands alone.
    const subject = pointer === '' ? 'the request ' : '';
    const message = `${subject}is refused by ${rule.policy}/${rule.rule}: ${rule.message?.(cel) ?? why}`;
    return [{ pointer, message }];
  });
}
