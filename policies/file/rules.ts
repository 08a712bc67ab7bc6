import { isMap, isScalar, type Node } from 'yaml';
import { CLAUSES } from './clauses.ts';
import { readsOf } from './expressions.ts';
import type { Clause, ParsedRule } from './policy.ts';
import { weight } from './quantities.ts';
import { join } from './reader.ts';
import {
  cel,
  choice,
  type Entry,
  flag,
  list,
  mapping,
  message,
  optional,
  type Reading,
  refined,
  required,
  type Shape,
  text,
} from './shape.ts';

/** Rules a policy may have. */
const MAX_RULES = 500;

/** Rules a request may bring. */
const MAX_REQUEST_RULES = 50;

/** Strict preferences a request may bring, as many as placement can put in order. */
const MAX_REQUEST_STRICT = 20;

/** Kinds of rules a request may bring: those that narrow or rank its own offers. */
const IN_REQUESTS = ['require', 'deny', 'spread', 'affinity', 'antiAffinity', 'gravity', 'maxPrice'];

const prefer = cel({ offer: true, wanted: 'bool' });

/** The fields of a rule, in the order they are written in; `kinds` are the clauses it may have. */
function ruleFields(
  kinds: readonly string[],
  more: Record<string, Entry<unknown>>,
): Record<string, Entry<unknown>> {
  const clauses = Object.fromEntries(kinds.map((kind) => [kind, CLAUSES[kind]!]));
  const { require, deny, ...others } = clauses;
  return {
    name: required(text, 'Unique in the policy; reports, tests and exceptions call the rule by it.'),
    when: optional(
      cel({ offer: true, resource: true, wanted: 'bool' }),
      'CEL: where the rule has a say; always, when absent.',
    ),
    require: require!,
    deny: deny!,
    prefer: optional(prefer, 'CEL over request and offer: what is better; weight says how much.'),
    weight: optional(
      weight,
      'What meeting the preference is worth: a share of the price (0.03), money (0.01 USD/h), or strict (before any price).',
    ),
    ...others,
    message: optional(message, 'What people are told: a text, or a CEL string over the request.'),
    missing: optional(
      choice(['reject', 'pass']),
      'What an expression without a value (a missing attribute) does to the offer; reject when absent.',
    ),
    ...more,
  };
}

const POLICY_RULE = ruleShape(
  ruleFields(Object.keys(CLAUSES), {
    onViolation: optional(
      choice(['report', 'approve', 'replace', 'stop']),
      'What happens when a running machine is found against the rule; report when absent.',
    ),
    owner: optional(text, "Who answers for violations; the machine's project when absent."),
    overridable: optional(flag, "Whether a project's rule of the same name may take this one's place."),
    override: optional(
      flag,
      "Whether this takes the place of the organization's overridable rule of the same name.",
    ),
  }),
);
const REQUEST_RULE = ruleShape(ruleFields(IN_REQUESTS, {}));

const allRules = list(POLICY_RULE, { max: MAX_RULES });

/** `spec.rules` of a policy. */
export const policyRules: Shape<ParsedRule[]> = {
  ...allRules,
  read(field, path, reading) {
    const rules = allRules.read(field, path, reading);
    if (rules?.length === 0)
      reading.reader.report(field.key, path, 'no-rules', 'the policy has no rules', { severity: 'warning' });
    return rules;
  },
};

/** `spec.placement.rules` of a request. */
export const requestRules: Shape<ParsedRule[]> = refined(
  list(REQUEST_RULE, { max: MAX_REQUEST_RULES }),
  (rules, report) => {
    const strict = rules
      .flatMap((r) => r.clauses)
      .filter((c) => c.effect === 'prefer' && c.weight.kind === 'strict');
    return strict.length > MAX_REQUEST_STRICT
      ? report(`has more than ${MAX_REQUEST_STRICT} strict preferences: give the others a weight`)
      : rules;
  },
);

function ruleShape(entries: Record<string, Entry<unknown>>): Shape<ParsedRule> {
  const effects = Object.keys(entries).filter((field) => field in CLAUSES || field === 'prefer');
  const fields = mapping(entries, {
    what: 'a rule',
    schema: {
      anyOf: effects.map((effect) => ({ required: [effect] })),
      not: { required: ['require', 'deny'] },
      dependencies: { prefer: ['weight'], weight: ['prefer'] },
    },
  });
  /**
   * Rules without problems by their nodes, of which an editor reads all again at each keystroke, and the names that their
   * expressions could read. An edit in a rule makes its node anew.
   */
  const sound = new WeakMap<Node, { scope: number; rule: ParsedRule }>();
  return {
    ...fields,
    read(field, path, reading) {
      const { reader, expressions } = reading;
      const node = reader.follow(field.value, path);
      const given = (wanted: string): Node | undefined =>
        isMap(node)
          ? (node.items.find((p) => isScalar(p.key) && p.key.value === wanted)?.key as Node)
          : undefined;
      const named = isMap(node) ? node.get('name') : undefined;
      const at = given('name') ?? node;
      const { line } = reader.position(at?.range?.[0] ?? 0);
      if (typeof named === 'string') {
        const first = reading.ruleNames.get(named);
        if (first === undefined) reading.ruleNames.set(named, line);
        else {
          const message = `rule '${named}' is already on line ${first}`;
          reader.report(at, join(path, 'name'), 'duplicate-rule', message);
        }
      }
      const { scope } = expressions;
      const known = node === null ? undefined : sound.get(node);
      if (known !== undefined && known.scope === scope) return { ...known.rule, line };
      const before = reader.findings;
      const values = fields.read(field, path, reading) as Record<string, unknown> | undefined;
      if (!isMap(node)) return undefined;
      if (given('require') && given('deny')) {
        reader.report(given('deny'), path, 'rule-effect', 'a rule has either require or deny, not both');
        return undefined;
      }
      if (!effects.some(given)) {
        const message = `a rule needs an effect: one or more of ${effects.join(', ')}`;
        reader.report(node, path, 'rule-effect', message);
        return undefined;
      }
      if (given('prefer') && !given('weight')) {
        const message = 'a preference needs a weight: 0.03 (3% of the price), 0.01 USD/h, or strict';
        reader.report(given('prefer'), join(path, 'weight'), 'missing-field', message);
        return undefined;
      }
      if (given('weight') && !given('prefer')) {
        reader.report(
          given('weight'),
          join(path, 'weight'),
          'rule-effect',
          'weight belongs to prefer, and there is none',
        );
        return undefined;
      }
      if (values === undefined) return undefined;
      const clauses = effects.flatMap((effect) =>
        values[effect] === undefined
          ? []
          : [
              effect === 'prefer'
                ? ({ effect, expression: values.prefer, weight: values.weight } as Clause)
                : (values[effect] as Clause),
            ],
      );
      if (!whenFits(values.when as string | undefined, clauses, given('when'), path, reading))
        return undefined;
      const rule: ParsedRule = {
        name: values.name as string,
        line,
        clauses,
        when: (values.when as string | undefined) ?? null,
        message: (values.message as ParsedRule['message'] | undefined) ?? null,
        missing: (values.missing as ParsedRule['missing'] | undefined) ?? 'reject',
        onViolation: (values.onViolation as ParsedRule['onViolation'] | undefined) ?? 'report',
        owner: (values.owner as string | undefined) ?? null,
        overridable: values.overridable === true,
        override: values.override === true,
      };
      // What a window is told of depends on the time.
      const isTimeless = clauses.every(({ effect }) => effect !== 'window');
      if (scope !== undefined && isTimeless && reader.findings === before) sound.set(node, { scope, rule });
      return rule;
    },
  };
}

/** `when` may speak of a running machine only where the whole rule is about running machines. */
function whenFits(
  when: string | undefined,
  clauses: readonly Clause[],
  at: Node | undefined,
  path: string,
  { reader }: Reading,
): boolean {
  if (when === undefined || !readsResource(when)) return true;
  if (clauses.every(({ effect }) => effect === 'require' || effect === 'deny')) return true;
  const message = `${path}.when may read resource only beside require or deny: ${clauses.map((c) => c.effect).join(' and ')} is about requests`;
  reader.report(at, `${path}.when`, 'cel-not-allowed', message);
  return false;
}

/** Whether an expression of a policy speaks of a machine that exists. */
export function readsResource(expression: string): boolean {
  return (readsOf(expression)?.resource.size ?? 0) > 0;
}
