import { interpret, type Verdict } from '../cel/columnar.ts';
import {
  type CelRequest,
  celRequest,
  celResource,
  OFFER_ATTRIBUTES,
  type OfferAttribute,
} from '../cel/schema.ts';
import { fullBits, hasBit, type TriValue } from '../cel/trivalue.ts';
import type { Clause, Effect, Mode, OnViolation } from '../file/policy.ts';
import { memo } from '../memo.ts';
import { refusedBy } from '../place/admission.ts';
import type { Circumstances } from '../place/circumstances.ts';
import { type CompiledPolicies, type CompiledRule, compileRequestRules } from '../place/compiled.ts';
import { rulesInForce } from '../place/in-force.ts';
import {
  celAttribute,
  compareOffers,
  type OfferFacts,
  type OfferTable,
  placedOffer,
  tableOfOffers,
} from '../place/offers.ts';
import { describe } from '../place/reasons.ts';
import type { EstateMachine, SiteView } from '../place/types.ts';
import { ruleVerdict } from '../place/verdicts.ts';
import type { Standing } from './standing.ts';
import { judgeTogether } from './together.ts';

/** A machine that a rule would not let through where it stands. */
export interface Violation {
  machine: EstateMachine;
  policy: string;
  policyVersion: string;
  rule: string;
  /** Line of the rule in its policy file, from 1. */
  line: number;
  mode: Mode;
  effect: Effect;
  message: string;
  /** Null: the machine's project. */
  owner: string | null;
  onViolation: OnViolation;
  /** The exception that sets the rule aside for this machine; null = none does. */
  exception: { owner: string; reason: string; expires: string } | null;
}

/** What compliance is judged on. */
export interface ComplianceInput {
  /** The machines to judge, where they stand. */
  standings: readonly Standing[];
  /** Every machine of the organization that counts for rules about several; the judged ones are among them. */
  estate: readonly EstateMachine[];
  policies: CompiledPolicies;
  sites: readonly SiteView[];
  now: Date;
}

/** Machines judged between two yields: few enough to hold nobody up, and small tables are quick to ask. */
const AT_ONCE = 64;

/**
 * Holds machines against the rules that placement holds requests to, those that came with a request too: each with its request
 * as asked, where it stands, at today's price; and against the rules that read `resource`. Preferences, windows and approvals are about the moment of
 * placement and are left out. Answers at most one violation for each machine and rule, in the order of the machines;
 * yields as it goes, so that a caller can let others have their turn.
 */
export function* judge(input: ComplianceInput): Generator<void, Violation[]> {
  const { standings, now } = input;
  const inForce = layers(input.policies, now);
  const wrongs = new Map<string, Wrong[]>();
  const add = (wrong: Wrong): void => {
    memo(wrongs, wrong.held.standing.machine.id, () => [] as Wrong[]).push(wrong);
  };
  const together = new Map<CompiledRule, Map<string, Held & { gate: Verdict }>>();
  for (let from = 0; from < standings.length; from += AT_ONCE) {
    const page = tableOf(standings.slice(from, from + AT_ONCE));
    page.standings.forEach((standing, row) => {
      const { machine, request } = standing;
      const cel = celRequest(request);
      const context = { request, cel, now, estate: [], sites: input.sites };
      for (const rule of inForce(standing, cel)) {
        const held: Held = { rule, standing, cel };
        const asking: Asking = { ...held, table: page.table, row, context };
        if (isTogether(rule.clause)) {
          const gate = gateOf(asking);
          if (gate !== 'false')
            memo(together, rule, () => new Map<string, Held & { gate: Verdict }>()).set(machine.id, {
              ...held,
              gate,
            });
          continue;
        }
        const verdict = alone(asking);
        if (verdict === 'false' || (verdict === 'error' && rule.missing === 'reject'))
          add({ held, detail: verdict === 'error' ? unknownValue : detailOf(rule.clause, standing, now) });
      }
    });
    yield;
  }
  const inOrder = oldestFirst(input);
  for (const [rule, about] of together) {
    if (!isTogether(rule.clause)) continue;
    const found = yield* judgeTogether(rule.clause, {
      inOrder,
      requestOf: (machine) => about.get(machine.id)?.standing.request,
      now,
      sites: input.sites,
    });
    for (const [id, { error, detail }] of found) {
      const held = about.get(id)!;
      if ((error || held.gate === 'error') && rule.missing === 'pass') continue;
      add({ held, detail });
    }
    yield;
  }
  return standings.flatMap(({ machine }) => violationsOf(wrongs.get(machine.id) ?? [], now));
}

/** A rule that a machine is held to. */
interface Held {
  rule: CompiledRule;
  standing: Standing;
  cel: CelRequest;
}

/** The same, with where to look: the machine's offer is the row of the table. */
interface Asking extends Held {
  table: OfferTable;
  row: number;
  context: Circumstances;
}

interface Wrong {
  held: Held;
  detail: string;
}

const unknownValue = 'a value that the rule reads is not known';

const JUDGED = new Set<Effect>([
  'require',
  'deny',
  'maxPrice',
  'labels',
  'ttl',
  'spread',
  'affinity',
  'antiAffinity',
  'budget',
  'quota',
]);

/**
 * The rules a machine is held to: layered as placement layers them, but with those that read `resource`, and with those
 * that an exception sets aside.
 */
function layers(policies: CompiledPolicies, now: Date) {
  const original = new Map<CompiledRule, CompiledRule>();
  const judged = (rules: readonly CompiledRule[]): CompiledRule[] =>
    rules
      .filter((rule) => JUDGED.has(rule.effect))
      .map((rule) => {
        const bare = { ...rule, readsResource: false, exceptions: [] };
        original.set(bare, rule);
        return bare;
      });
  const bare = { ...policies, rules: judged(policies.rules) };
  const ownOf = new Map<readonly CompiledRule[], CompiledRule[]>();
  return ({ request, requestRules }: Standing, cel: CelRequest): CompiledRule[] => {
    const compiled = compileRequestRules(requestRules ?? []);
    const own = memo(ownOf, compiled, () => judged(compiled));
    return rulesInForce(bare, own, request, cel, now).rules.map((rule) => original.get(rule)!);
  };
}

/** Offers of machines as a table, with the machines in its order. */
function tableOf(page: Standing[]): { standings: Standing[]; table: OfferTable } {
  const priced = page.map((standing) => ({ standing, placed: placedOffer(standing.offer) }));
  // The table sorts by the same order, stably: row i is machine i.
  const standings = priced.sort((a, b) => compareOffers(a.placed, b.placed)).map(({ standing }) => standing);
  return { standings, table: tableOfOffers(standings.map(({ offer }) => offer)) };
}

type TogetherClause = Parameters<typeof judgeTogether>[0];

function isTogether(clause: Clause): clause is TogetherClause {
  return ['spread', 'affinity', 'antiAffinity', 'budget', 'quota'].includes(clause.effect);
}

/** What a rule about one machine says of it; true = it lets it through. */
function alone(asking: Asking): Verdict {
  const { rule, standing, table, row, context } = asking;
  const { clause } = rule;
  if (clause.effect === 'labels' || clause.effect === 'ttl')
    return gated(gateOf(asking), refused(clause, standing, context.now) === null ? 'true' : 'false');
  if (!rule.readsResource) return atRow(ruleVerdict(rule, table, fullBits(table.length), context), row);
  if (clause.effect === 'maxPrice')
    return gated(gateOf(asking), standing.offer.pricePerHour <= clause.perHour ? 'true' : 'false');
  if (clause.effect !== 'require' && clause.effect !== 'deny')
    throw new Error(`a ${clause.effect} cannot be judged for one machine`);
  const says = ask(clause.expression, asking);
  return gated(gateOf(asking), clause.effect === 'require' ? says : opposite(says));
}

/** A life without end is against a `ttl` rule, default or not: the default was not in force when the machine was made. */
function refused(
  clause: Extract<Clause, { effect: 'labels' | 'ttl' }>,
  { request }: Standing,
  now: Date,
): string | null {
  return refusedBy(clause.effect === 'ttl' ? { ...clause, defaultHours: null } : clause, request, now);
}

/** `match` and `when` for the machine. */
function gateOf(asking: Asking): Verdict {
  const { rule, table, row, cel } = asking;
  if (rule.gateText === null) return 'true';
  return rule.gate === null ? ask(rule.gateText, asking) : atRow(rule.gate.run(table, cel), row);
}

/** `!(gate) || verdict`, as CEL has it. */
function gated(gate: Verdict, verdict: Verdict): Verdict {
  if (gate === 'false' || verdict === 'true') return 'true';
  return gate === 'true' && verdict === 'false' ? 'false' : 'error';
}

function opposite(verdict: Verdict): Verdict {
  return verdict === 'true' ? 'false' : verdict === 'false' ? 'true' : 'error';
}

function atRow(value: TriValue, row: number): Verdict {
  if (value.all !== null) return value.all;
  if (hasBit(value.true, row)) return 'true';
  return value.error !== null && hasBit(value.error, row) ? 'error' : 'false';
}

const evaluators = new Map<string, ReturnType<typeof interpret>>();
const EVALUATORS_KEPT = 1_000;

/** An expression over request, offer and `resource`. */
function ask(source: string, { standing, cel, context }: Asking): Verdict {
  if (evaluators.size >= EVALUATORS_KEPT) evaluators.clear();
  const evaluate = memo(evaluators, source, () => interpret(source));
  return evaluate(cel, celOffer(standing.offer), celResource(standing.machine, context.now));
}

function celOffer(facts: OfferFacts): Record<string, unknown> {
  const offer: Record<string, unknown> = {};
  for (const attribute of Object.keys(OFFER_ATTRIBUTES) as OfferAttribute[]) {
    const value = celAttribute(facts, attribute);
    if (value !== undefined) offer[attribute] = value;
  }
  return offer;
}

function detailOf(clause: Clause, standing: Standing, now: Date): string {
  switch (clause.effect) {
    case 'labels':
    case 'ttl':
      return refused(clause, standing, now)!;
    case 'maxPrice':
      return `it costs ${Number(standing.offer.pricePerHour.toFixed(5))} USD an hour, ${clause.perHour} are allowed`;
    default:
      return `the rule does not allow ${describe(placedOffer(standing.offer))}`;
  }
}

function oldestFirst({ standings, estate }: ComplianceInput): EstateMachine[] {
  const today = new Map(standings.map(({ machine }) => [machine.id, machine]));
  return estate
    .map((machine) => today.get(machine.id) ?? machine)
    .sort((a, b) => (a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : a.id < b.id ? -1 : 1));
}

/** One violation for each rule, whatever number of its clauses is against the machine. */
function violationsOf(wrongs: readonly Wrong[], now: Date): Violation[] {
  const byRule = new Map<string, Wrong[]>();
  for (const wrong of wrongs) {
    const { policy, rule } = wrong.held.rule;
    memo(byRule, `${policy}/${rule}`, () => [] as Wrong[]).push(wrong);
  }
  return [...byRule.values()].map((clauses) => {
    const { rule, standing, cel } = clauses[0]!.held;
    const except = rule.exceptions.find((e) => now.getTime() < e.until && e.matches(cel));
    return {
      machine: standing.machine,
      policy: rule.policy,
      policyVersion: rule.policyVersion,
      rule: rule.rule,
      line: rule.line,
      mode: rule.mode,
      effect: rule.effect,
      message: rule.message?.(cel) ?? clauses.map(({ detail }) => detail).join('; '),
      owner: rule.owner,
      onViolation: rule.onViolation,
      exception: except ? { owner: except.owner, reason: except.reason, expires: except.expires } : null,
    };
  });
}
