import { interpret } from '../cel/columnar.ts';
import { celRequest, celResource, EVALUATION, reads } from '../cel/schema.ts';
import { parseRequestRules } from '../file/parse.ts';
import { memo } from '../memo.ts';
import { askedFor, chosenMachines } from './chosen-machines.ts';
import type { Circumstances } from './circumstances.ts';
import {
  type CompiledPolicies,
  type CompiledRule,
  compileRequestRules,
  NO_POLICIES,
  scopeHolds,
} from './compiled.ts';
import { foundIn, type Parts, partsOf } from './estate.ts';
import { Grouping, isSelf } from './groups.ts';
import { machineWords } from './machine-words.ts';
import { Recent } from './recent.ts';
import { readsOfText } from './request-parts.ts';
import { type EstateMachine, NEUTRAL_REQUEST, type PlacementRequest } from './types.ts';

/** A rule of machines that stand, turned against who comes: it may not stand where one of them is to be apart from it. */
export interface TurnedRule extends CompiledRule {
  turned: CompiledRule;
  /** The rules that came with requests, as a text: of the machines with these it is. Not there: a policy's. */
  owners?: string;
}

export function isTurned(rule: CompiledRule): rule is TurnedRule {
  return rule.turned !== undefined;
}

/** What the list of machines says of a standing machine's request, and a request of the machine that it is for. */
const KNOWN: ReadonlySet<string> = new Set(['kind', 'name', 'project', 'organization', 'labels']);

const turnedOf = new WeakMap<CompiledPolicies, readonly TurnedRule[]>();

/**
 * The enforced anti-affinity rules that can be asked for machines that stand. Left out, for compliance to find afterwards, are
 * those that would have to know more of them: rules that read of the request, or of the other machine, more than names, project,
 * organization and labels; and rules that an exception or an override may set aside for some.
 */
export function turnedRules(policies: CompiledPolicies): readonly TurnedRule[] {
  return memo(turnedOf, policies, () =>
    policies.rules.filter((rule) => isTurnable(rule, policies)).map(turn),
  );
}

function turn(rule: CompiledRule): TurnedRule {
  return { ...rule, gateText: null, gate: null, turned: rule };
}

/** Turned rules of policies and of machines' own requests that have something against a request. */
export function rulesAgainst(policies: CompiledPolicies, context: Circumstances): readonly TurnedRule[] {
  const of = turnedRules(policies).filter((rule) => machinesAgainst(rule, context).length > 0);
  const own = ownRulesAgainst(context);
  return own.length === 0 ? of : [...of, ...own];
}

/** Of the rules that came with the requests of machines that stand, those that have something against a request. */
export function ownRulesAgainst(context: Circumstances): readonly TurnedRule[] {
  return ownStandingRules(context.estate).filter((rule) => machinesAgainst(rule, context).length > 0);
}

/** The rules that came with the requests of machines that stand, turned. */
export function ownStandingRules(estate: readonly EstateMachine[]): readonly TurnedRule[] {
  if (estate.length === 0) return NO_RULES;
  const { standing, added } = partsOf(estate);
  const groups = byOwnRules(standing);
  const texts = new Set([
    ...[...groups.entries()].map(([text]) => text),
    ...added.map((machine) => groups.nameOf(machine)),
  ]);
  texts.delete(NOT_HELD);
  return texts.size === 0 ? NO_RULES : [...texts].flatMap(ownTurned);
}

const NO_RULES: readonly TurnedRule[] = Object.freeze([]);

/** Machines by the text of the rules that their requests brought. */
function byOwnRules(standing: readonly EstateMachine[]): Grouping {
  return foundIn(
    standing,
    'own rules',
    () => new Grouping(standing, ({ rules }) => (rules?.length ? JSON.stringify(rules) : NOT_HELD)),
  );
}

const ownKnown = new Recent<readonly TurnedRule[]>(1024);

/** What can no longer be read holds nobody back: its machine's next placement says so. */
function ownTurned(owners: string): readonly TurnedRule[] {
  return memo(ownKnown, owners, () =>
    compileRequestRules(parseRequestRules(JSON.parse(owners), 'request').rules)
      .filter((rule) => isTurnable(rule, NO_POLICIES))
      .map((rule) => ({ ...turn(rule), owners })),
  );
}

function isTurnable(rule: CompiledRule, { rules }: CompiledPolicies): boolean {
  const { clause, gateText } = rule;
  if (clause.effect !== 'antiAffinity' || rule.mode !== 'enforce' || rule.exceptions.length > 0) return false;
  if (rule.overridable && rules.some((other) => other.override && other.rule === rule.rule)) return false;
  return [clause.to, ...(gateText === null ? [] : [gateText])].every((text) => {
    const { request, offer, resource } = reads(EVALUATION.parse(text).ast);
    const isResourceKnown =
      text === clause.to ? [...resource].every((name) => KNOWN.has(name)) : resource.size === 0;
    return isResourceKnown && offer.size === 0 && [...request].every((name) => KNOWN.has(name));
  });
}

/** The request of a machine that stands, as far as the rules asked here read it. */
function requestOf({ name, project, organization, labels }: EstateMachine): PlacementRequest {
  return { ...NEUTRAL_REQUEST, name, project, organization, labels };
}

/** What a rule asks of machines that stand; the same for equal rules. */
interface Subject {
  /** The rule in a text: equal only for rules that say the same of every machine. */
  key: string;
  /** Equal for machines under the rule that it cannot tell apart; {@link NOT_HELD} for those it is not for. */
  signatureOf: (machine: EstateMachine) => string;
  /** Whether a machine under the rule is to be apart from another. */
  minds: (machine: EstateMachine, other: Record<string, unknown>) => boolean;
}

const NOT_HELD = '';
const subjects = new WeakMap<CompiledRule, Subject>();

function subjectOf(rule: CompiledRule): Subject {
  return memo(subjects, rule, () => {
    const { scope, gateText, missing } = rule;
    const { to } = rule.clause as { to: string };
    const gate = gateText === null ? null : interpret(gateText);
    const chooses = interpret(to);
    const { attributes, labels } = readsOfText(to);
    return {
      key: `under ${JSON.stringify([scope, gateText, missing, to])}`,
      signatureOf(machine) {
        const asked = requestOf(machine);
        if (!scopeHolds(scope, asked)) return NOT_HELD;
        // A gate without a value holds the rule against the machine, as in placement.
        const gated = gate?.(celRequest(asked), {}) ?? 'true';
        if (gated === 'false' || (gated === 'error' && missing === 'pass')) return NOT_HELD;
        return JSON.stringify([
          ...[...attributes].map((name) => asked[name]),
          ...[...labels].map((name) => asked.labels[name] ?? null),
        ]);
      },
      minds: (machine, other) => chooses(celRequest(requestOf(machine)), {}, other) === 'true',
    };
  });
}

const against = new WeakMap<Circumstances, Map<CompiledRule, EstateMachine[]>>();

/**
 * The machines that stand under the rule and are to be apart from who comes. Those that the same rule keeps it apart from anyway
 * are left out.
 */
export function machinesAgainst(turned: TurnedRule, context: Circumstances): EstateMachine[] {
  const known = memo(against, context, () => new Map<CompiledRule, EstateMachine[]>());
  return memo(known, turned, () => lookAgainst(turned, context));
}

/** The machines that may be under a rule. */
function ownersOf({ owners }: TurnedRule, estate: readonly EstateMachine[]): Parts {
  const { standing, added } = partsOf(estate);
  if (owners === undefined) return { standing, added };
  const groups = byOwnRules(standing);
  return {
    standing: groups.get(owners) ?? NOBODY,
    added: added.filter((machine) => groups.nameOf(machine) === owners),
  };
}

const NOBODY: readonly EstateMachine[] = Object.freeze([]);

function lookAgainst(turned: TurnedRule, context: Circumstances): EstateMachine[] {
  const { request, cel, now, estate } = context;
  const { turned: rule, owners } = turned;
  const { standing, added } = ownersOf(turned, estate);
  const { key, signatureOf, minds } = subjectOf(rule);
  const groups = foundIn(standing, key, () => new Grouping(standing, signatureOf));
  const comer = celResource(askedFor(request, now), now);
  const found = [
    ...[...groups.entries()].flatMap(([name, machines]) =>
      name !== NOT_HELD && minds(machines[0]!, comer) ? machines : [],
    ),
    ...added.filter((machine) => groups.nameOf(machine) !== NOT_HELD && minds(machine, comer)),
  ].filter(
    // A request has no say over where the machines of other projects stand: that is a policy's.
    (machine) => !isSelf(machine, request) && (owners === undefined || machine.project === request.project),
  );
  if (found.length === 0 || owners !== undefined || !scopeHolds(rule.scope, request)) return found;
  const gated = rule.gateText === null ? 'true' : interpret(rule.gateText)(cel, {});
  if (gated !== 'true') return found;
  const anyway = new Set(chosenMachines((rule.clause as { to: string }).to, context));
  return found.filter((machine) => !anyway.has(machine));
}

/** Whose rule it is, for a person. */
export function whoseRule(rule: TurnedRule, context: Circumstances): string {
  const [first, ...others] = machinesAgainst(rule, context);
  if (!first) return 'no machine that stands is to be apart from it';
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  const { by } = rule.clause as { by: string };
  return `it is the rule of ${machineWords(first)}${more}, to be in no ${by} with what is asked for`;
}
