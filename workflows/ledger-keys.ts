import type { Decision, Offer } from '@landfall/model';
import type { CompiledPolicies, PlacementRequest } from '@landfall/policies';
import type { Clause, GroupKey, ParsedRule } from '@landfall/policies/file/policy.ts';
import { candidateValue, groupName } from '@landfall/policies/place/groups.ts';
import { turnedRules } from '@landfall/policies/place/standing-rules.ts';

/** Kinds of rules whose verdict depends on the machines that exist. */
const ofEstate: ReadonlySet<string> = new Set<Clause['effect']>([
  'spread',
  'affinity',
  'antiAffinity',
  'budget',
  'quota',
]);

/** What the affinity rules of an organization share: they may look at any machine. */
const neighbours = 'neighbours';

/** Whether the machines that exist must be read for a request to this project; `minds`: some may have rules of their own about others. */
export function readsEstate(
  policies: CompiledPolicies,
  own: readonly ParsedRule[],
  { organization, project }: { organization: string; project: string },
  minds: boolean,
): boolean {
  // Machines that stand may have a rule about it that is not one of its own.
  return (
    minds ||
    turnedRules(policies).length > 0 ||
    own.some((rule) => rule.clauses.some((clause) => ofEstate.has(clause.effect))) ||
    policies.rules.some(
      ({ effect, scope }) =>
        ofEstate.has(effect) && scope.name === (scope.kind === 'organization' ? organization : project),
    )
  );
}

/**
 * The groups of the ledger that a placement adds to; none where no enforced rule counted machines for it or could be held
 * against it by a machine that stands, since then it may be taken to come after all others. One that was counted for adds to every group that any rule of the organization counts,
 * not only to those of its own rules: two requests under different rules may stand in each other's groups.
 */
export function ledgerKeys(
  policies: CompiledPolicies,
  own: readonly ParsedRule[],
  request: PlacementRequest,
  decision: Decision,
  winner: Offer,
  minds: boolean,
): string[] {
  const counted = decision.rules.some(
    ({ effect, mode, applies }) => applies && mode === 'enforce' && ofEstate.has(effect),
  );
  const others = minds || turnedRules(policies).length > 0 ? [neighbours] : [];
  if (!counted) return others;
  const enforced = policies.rules.filter(({ mode }) => mode === 'enforce').map(({ clause }) => clause);
  const keys = [...enforced, ...own.flatMap((rule) => rule.clauses)].flatMap((clause) => {
    if (clause.effect === 'affinity' || clause.effect === 'antiAffinity') return [neighbours];
    if (clause.effect !== 'spread' && clause.effect !== 'budget' && clause.effect !== 'quota') return [];
    return [groupOf(clause.group, request, winner)];
  });
  return [...new Set([...keys, ...others])];
}

function groupOf(group: readonly GroupKey[], request: PlacementRequest, winner: Offer): string {
  const ordered = [...group].sort();
  const at = winner as unknown as Record<string, unknown>;
  const values = ordered.map((key) => candidateValue(request, (attribute) => at[attribute] ?? '', key));
  return `${ordered.join()} ${groupName(values)}`;
}
