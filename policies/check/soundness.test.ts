import { interpret, type Verdict } from '../cel/columnar.ts';
import { celRequest } from '../cel/schema.ts';
import type { ParsedPolicy, ParsedRule } from '../file/policy.ts';
import { NEUTRAL_REQUEST } from '../place/types.ts';
import { policy } from '../testing/policies.ts';
import { RandomCases } from '../testing/random-cases.ts';
import { checkPolicies } from './check-policies.ts';

/** Expressions over a few values, so that rules that contradict each other are common. */
class FewValues extends RandomCases {
  condition(depth: number): string {
    if (depth === 0) return this.atom();
    return this.pick([
      () => `${this.condition(depth - 1)} && ${this.condition(depth - 1)}`,
      () => `${this.condition(depth - 1)} && ${this.condition(depth - 1)}`,
      () => `(${this.condition(depth - 1)} || ${this.condition(depth - 1)})`,
      () => `!(${this.condition(depth - 1)})`,
      () => `(${this.condition(depth - 1)} ? ${this.condition(depth - 1)} : ${this.condition(depth - 1)})`,
      () => this.atom(),
    ])();
  }

  atom(): string {
    const op = (): string => this.pick(['<', '<=', '>', '>=', '==', '!=']);
    const text = (): string => this.pick(['"a"', '"ab"', '"b"', '"bc"', '""']);
    const term = (): string =>
      this.pick(['offer.region', 'offer.zone', 'request.labels.env', 'request.dataClass']);
    return this.pick([
      () =>
        `${this.pick(['offer.vcpus', 'request.count'])} ${op()} ${this.pick(['0', '1', '2', '3', '-1', '1 + 1'])}`,
      () => `${this.pick(['0', '2'])} ${op()} offer.vcpus`,
      () =>
        `${this.pick(['offer.price', 'offer.carbon'])} ${op()} ${this.pick(['0.0', '0.5', '1.0', '-0.5'])}`,
      () => `offer.carbon ${this.pick(['<', '>='])} 1`,
      () => `${this.pick(['offer.vcpus * 2', 'offer.vcpus / request.gpuCount'])} ${op()} 2`,
      () => `offer.price / 0.0 ${op()} 1.0`,
      () => `${this.pick(['offer.vcpus', 'request.count'])} ${op()} request.vcpus`,
      () => `offer.price ${op()} offer.carbon`,
      () => `${term()} ${this.pick(['==', '!='])} ${text()}`,
      () => `${text()} ${this.pick(['==', '!=', '<'])} ${term()}`,
      () => `${term()} in [${text()}, ${text()}]`,
      () => `${term()}.${this.pick(['startsWith', 'endsWith', 'contains'])}(${text()})`,
      () => `${term()}.matches("${this.pick(['^a', 'b$', '^$', 'c'])}")`,
      () => `offer.zone ${this.pick(['==', '<'])} offer.region`,
      () =>
        this.pick([
          'has(offer.zone)',
          'has(offer.carbon)',
          'has(request.labels.env)',
          '"env" in request.labels',
        ]),
      () =>
        this.pick(['offer.burstable', 'request.publicAddress', 'true', 'false', 'offer.burstable == false']),
      () => `offer.certifications.exists(c, c == ${text()})`,
      () => `(${this.pick(['offer.burstable', 'has(offer.zone)'])}) == (offer.vcpus > 1)`,
    ])();
  }
}

const TEXTS = ['', 'a', 'ab', 'b', 'bc', 'c'];
const NUMBERS = [0, 0.25, 0.5, 1, 2, 3];

/** Requests and offers with every value the expressions name, those between them, and none. */
function world(random: FewValues): { request: Record<string, unknown>; offer: Record<string, unknown> }[] {
  return Array.from({ length: 200 }, () => {
    const request = celRequest({
      ...NEUTRAL_REQUEST,
      vcpus: random.pick([1, 2, 3]),
      count: random.pick([1, 2, 3, 4]),
      gpuCount: random.pick([0, 1, 2]),
      dataClass: random.pick(TEXTS),
      publicAddress: random.chance(0.5),
      labels: random.chance(0.3) ? {} : { env: random.pick(TEXTS) },
    });
    const price = random.pick(NUMBERS);
    const offer = {
      vcpus: BigInt(random.pick([0, 1, 2, 3])),
      price,
      pricePerHour: price,
      region: random.pick(TEXTS),
      burstable: random.chance(0.5),
      ...(random.chance(0.3) ? {} : { zone: random.pick(TEXTS) }),
      ...(random.chance(0.3) ? {} : { carbon: random.pick(NUMBERS) }),
      ...(random.chance(0.3) ? {} : { certifications: ['a', 'b'].filter(() => random.chance(0.5)) }),
    };
    return { request, offer };
  });
}

interface Asked {
  gate: Verdict;
  passes: boolean;
}

/** What a rule says of everything in the world, by the interpreter. */
function asked(p: ParsedPolicy, rule: ParsedRule, all: ReturnType<typeof world>): Asked[] {
  const gate = interpret(
    [p.match, rule.when]
      .filter((g) => g !== null)
      .map((g) => `(${g})`)
      .join(' && ') || 'true',
  );
  const clause = rule.clauses[0] as { effect: string; expression: string };
  const body = clause.effect === 'deny' ? `!(${clause.expression})` : `(${clause.expression})`;
  const gates = [p.match, rule.when].filter((g) => g !== null).map((g) => `(${g})`);
  const whole = interpret(gates.length === 0 ? body : `!(${gates.join(' && ')}) || ${body}`);
  return all.map(({ request, offer }) => {
    const verdict = whole(request, offer);
    return {
      gate: gate(request, offer),
      passes: verdict === 'true' || (verdict === 'error' && rule.missing === 'pass'),
    };
  });
}

test('no warning is ever wrong: what is said of rules holds for every request and offer tried', () => {
  const random = new FewValues(20261120);
  const all = world(random);
  const said: Record<string, number> = {};
  for (let i = 0; i < 900; i++) {
    const p = policy(
      'p',
      Array.from({ length: 3 }, () => ({
        expression: random.condition(random.pick([0, 1, 2, 3])),
        effect: random.pick(['require', 'deny'] as const),
        when: random.chance(0.4) ? random.condition(random.pick([0, 1])) : null,
        missing: random.pick(['reject', 'pass'] as const),
      })),
      { match: random.chance(0.2) ? random.pick(['request.count > 1', 'has(request.labels.env)']) : null },
    );
    const verdicts = p.rules.map((rule) => asked(p, rule, all));
    for (const problem of checkPolicies([p], null)) {
      said[problem.code] = (said[problem.code] ?? 0) + 1;
      const own = verdicts[problem.line - 1]!;
      const other = verdicts[Number(/\(line (\d)\)/.exec(problem.message)?.[1] ?? problem.line) - 1]!;
      const counterexample = all.findIndex((_, k) => {
        switch (problem.code) {
          case 'never-holds':
            return own[k]!.gate === 'true' && own[k]!.passes;
          case 'always-holds':
            return !own[k]!.passes;
          case 'never-applies':
            return own[k]!.gate === 'true';
          case 'redundant-rule':
            return !own[k]!.passes && other[k]!.passes;
          default:
            return own[k]!.gate === 'true' && other[k]!.gate === 'true' && own[k]!.passes && other[k]!.passes;
        }
      });
      expect({
        problem,
        rules: counterexample < 0 ? null : p.rules,
        at: all[counterexample] ?? null,
      }).toEqual({
        problem,
        rules: null,
        at: null,
      });
    }
  }
  for (const code of ['never-holds', 'always-holds', 'never-applies', 'redundant-rule', 'contradiction'])
    expect({ code, often: (said[code] ?? 0) >= 10 }).toEqual({ code, often: true });
});

test('most rules that reject everything in a small world are found', () => {
  const random = new FewValues(7);
  const all = world(random);
  let [dead, found] = [0, 0];
  for (let i = 0; i < 1500; i++) {
    const expression = random.condition(2);
    // The world has no such certification and no infinite price; and a constant is never called wrong.
    if (/certifications|0\.0|^[!()]*(true|false)/.test(expression)) continue;
    const p = policy('p', [{ expression }]);
    if (asked(p, p.rules[0]!, all).some((a) => a.passes)) continue;
    dead++;
    if (checkPolicies([p], null).some((x) => x.code === 'never-holds')) found++;
  }
  expect(dead).toBeGreaterThan(30);
  expect(found / dead).toBeGreaterThan(0.7);
});
