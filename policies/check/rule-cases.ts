import type { ASTNode } from '@marcbachmann/cel-js';
import { interpret, type Verdict } from '../cel/columnar.ts';
import { EVALUATION, reads } from '../cel/schema.ts';
import type { Clause, ParsedPolicy, ParsedRule } from '../file/policy.ts';
import type { Problem, ProblemCode } from '../file/problems.ts';
import { ANY, type CaseFinder, type Cases, either, type Wanted } from './cases.ts';
import { type Bindings, witness } from './witness.ts';

/** What a rule decides by the offer (or the machine) alone: the cases in which it has a say, passes and rejects. */
export class RuleCases {
  readonly policy: ParsedPolicy;
  readonly rule: ParsedRule;
  /** Place of the rule in its policy. */
  readonly index: number;
  readonly #finder: CaseFinder;
  readonly #gate: ASTNode | null;
  readonly #clauses: readonly ASTNode[];
  readonly #gateTest: ((bindings: Bindings) => Verdict) | null;

  private constructor(
    policy: ParsedPolicy,
    rule: ParsedRule,
    index: number,
    sources: readonly string[],
    finder: CaseFinder,
  ) {
    this.policy = policy;
    this.rule = rule;
    this.index = index;
    this.#finder = finder;
    const gates = [policy.match, rule.when].filter((gate) => gate !== null);
    const gate = gates.length === 0 ? null : gates.map((g) => `(${g})`).join(' && ');
    this.#gate = gate === null ? null : EVALUATION.parse(gate).ast;
    const test = gate === null ? null : interpret(gate);
    this.#gateTest = test === null ? null : ({ request, offer, resource }) => test(request, offer, resource);
    this.#clauses = sources.map((source) => EVALUATION.parse(source).ast);
  }

  /** What a rule forbids by one offer alone (require, deny, maxPrice); null for a rule that does not. */
  static of(policy: ParsedPolicy, rule: ParsedRule, index: number, finder: CaseFinder): RuleCases | null {
    const sources = rule.clauses.filter((c) => c.effect !== 'prefer').flatMap((c) => passing(c) ?? []);
    return sources.length === 0 ? null : new RuleCases(policy, rule, index, sources, finder);
  }

  /** Each preference of a rule, as if it were a requirement. */
  static preferences(policy: ParsedPolicy, rule: ParsedRule, index: number, finder: CaseFinder): RuleCases[] {
    return rule.clauses
      .filter((c) => c.effect === 'prefer')
      .map((c) => new RuleCases(policy, rule, index, [passing(c)!], finder));
  }

  /** Whether the rule does nothing but what is looked at here. */
  get complete(): boolean {
    return this.#clauses.length === this.rule.clauses.length;
  }

  /** Whether its clauses say `true` or `false` and no more: then that is meant. */
  get constant(): boolean {
    return this.#clauses.every((node) => {
      const { request, offer, resource } = reads(node);
      return request.size + offer.size + resource.size === 0;
    });
  }

  /** Where `match` and `when` have a value. */
  gate(wanted: Wanted): Cases {
    if (this.#gate === null) return wanted === 'true' || wanted === 'notFalse' ? ANY : [];
    return this.#remembered(`gate ${wanted}`, () => this.#finder.find(this.#gate!, wanted));
  }

  /** Where all of its clauses let an offer through, whether it has a say or not. */
  clausesPass(): Cases {
    return this.#remembered('pass', () => {
      const wanted = this.rule.missing === 'pass' ? 'notFalse' : 'true';
      return this.#clauses
        .map((node) => this.#finder.find(node, wanted))
        .reduce((all, cases) => this.#finder.both(all, cases));
    });
  }

  /** Where it lets an offer through. */
  passes(): Cases {
    return this.#remembered('passes', () =>
      either(this.gate(this.rule.missing === 'pass' ? 'notTrue' : 'false'), this.clausesPass()),
    );
  }

  /** Where it rejects. */
  rejects(): Cases {
    return this.#remembered('rejects', () => {
      const lenient = this.rule.missing === 'pass';
      const gate = this.gate(lenient ? 'true' : 'notFalse');
      return this.#clauses
        .map((node) => this.#finder.both(gate, this.#finder.find(node, lenient ? 'false' : 'notTrue')))
        .reduce(either);
    });
  }

  /** Whether it has a say for these values. */
  applies(bindings: Bindings): boolean {
    return this.#gateTest === null || this.#gateTest(bindings) === 'true';
  }

  /** The terms it depends on. */
  get terms(): ReadonlySet<string> {
    this.#terms ??= new Set([...this.rejects(), ...this.clausesPass()].flatMap((c) => [...c.keys()]));
    return this.#terms;
  }

  #terms: Set<string> | undefined;
  readonly #found = new Map<string, Cases>();

  #remembered(key: string, find: () => Cases): Cases {
    let cases = this.#found.get(key);
    if (cases === undefined) {
      cases = find();
      this.#found.set(key, cases);
    }
    return cases;
  }
}

/** Values for which all these rules have a say, if such are found among the cases. */
export function exampleOf(rules: readonly RuleCases[], cases: Cases): Bindings | null {
  for (const conditions of cases) {
    const bindings = witness(conditions);
    if (rules.every((rule) => rule.applies(bindings))) return bindings;
  }
  return null;
}

/** The CEL that is true where an offer meets the clause; null where that does not follow from the offer alone. */
function passing(clause: Clause): string | null {
  switch (clause.effect) {
    case 'require':
    case 'prefer':
      return clause.expression;
    case 'deny':
      return `!(${clause.expression})`;
    case 'maxPrice':
      return `offer.pricePerHour <= ${Number.isInteger(clause.perHour) ? clause.perHour.toFixed(1) : clause.perHour}`;
    default:
      return null;
  }
}

/** A warning at a rule. */
export function ruleProblem(
  cases: Pick<RuleCases, 'policy' | 'rule' | 'index'>,
  code: ProblemCode,
  message: string,
): Problem {
  const { policy, rule, index } = cases;
  return {
    code,
    message: `rule '${rule.name}': ${message}`,
    file: policy.file,
    line: rule.line,
    column: 1,
    path: `spec.rules[${index}]`,
    severity: 'warning',
  };
}
