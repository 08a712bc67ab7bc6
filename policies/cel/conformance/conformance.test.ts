import { readFileSync } from 'node:fs';
import { celAttribute, tableOfOffers } from '../../place/offers.ts';
import { NEUTRAL_REQUEST } from '../../place/types.ts';
import { compileColumnar, interpret } from '../columnar.ts';
import { celEnvironment, celRequest, EVALUATION, OFFER_ATTRIBUTES, type OfferAttribute } from '../schema.ts';
import { errorBits, hasBit, trueBits } from '../trivalue.ts';
import { type ConformanceCase, comparable, conformanceCases } from './cases.ts';
import { conformanceSection } from './document.ts';
import { NOT_CONFORMING } from './not-conforming.ts';
import { overOffers } from './over-offers.ts';

const { cases } = conformanceCases();
const listed = new Set(NOT_CONFORMING.flatMap((group) => group.cases));

function answer({ source, types, bindings }: ConformanceCase): string {
  try {
    const env = celEnvironment({});
    for (const [name, type] of Object.entries(types)) env.registerVariable(name, type);
    return comparable(env.parse(source)(bindings));
  } catch {
    return 'error';
  }
}

test("the interpreter gives the specification's answers, but for the listed cases", () => {
  const wrong = cases.filter((c) => !listed.has(c.id) && answer(c) !== c.expected);
  expect(wrong.map((c) => ({ id: c.id, source: c.source, expected: c.expected, got: answer(c) }))).toEqual(
    [],
  );
  expect(cases.length).toBeGreaterThan(1000);
});

test('every listed case exists, once, and still differs', () => {
  const passing = cases.filter((c) => listed.has(c.id) && answer(c) === c.expected);
  expect(passing.map((c) => c.id)).toEqual([]);
  const known = new Set(cases.map((c) => c.id));
  expect([...listed].filter((id) => !known.has(id))).toEqual([]);
  expect(NOT_CONFORMING.flatMap((group) => group.cases)).toHaveLength(listed.size);
});

test('the columnar engine gives the same answers where literals are the attributes of an offer', () => {
  const request = celRequest(NEUTRAL_REQUEST);
  const differing: unknown[] = [];
  const seen = { true: 0, false: 0, error: 0 };
  for (const c of cases) {
    if (listed.has(c.id) || Object.keys(c.types).length > 0) continue;
    const checked = EVALUATION.check(c.source);
    if (!checked.valid) continue;
    const over = overOffers(EVALUATION.parse(c.source).ast);
    if (over === null) continue;
    // What is no bool is compared with itself: that says whether it has a value.
    const source = checked.type === 'bool' ? over.source : `(${over.source}) == (${over.source})`;
    if (!EVALUATION.check(source).valid) continue;
    const value = compileColumnar(source).run(tableOfOffers([over.offer]), request);
    const columnar = hasBit(errorBits(value, 1), 0) ? 'error' : String(hasBit(trueBits(value, 1), 0));
    const reference = interpret(source)(request, celOffer(over.offer));
    const expected = checked.type === 'bool' || c.expected === 'error' ? c.expected : reference;
    if (columnar !== expected || reference !== expected)
      differing.push({ id: c.id, source, expected, columnar, reference });
    seen[columnar as keyof typeof seen]++;
  }
  expect(differing).toEqual([]);
  expect(Math.min(seen.true, seen.false, seen.error)).toBeGreaterThan(20);
});

function celOffer(offer: Parameters<typeof celAttribute>[0]): Record<string, unknown> {
  const names = Object.keys(OFFER_ATTRIBUTES) as OfferAttribute[];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = celAttribute(offer, name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

test('docs/cel.md shows the list as it is', () => {
  const page = readFileSync(new URL('../../../docs/cel.md', import.meta.url), 'utf8');
  // If this fails, put the expected text between the two marks.
  const [, between] = page.split(/<!-- conformance -->\n|\n<!-- end of conformance -->/);
  expect(between).toBe(conformanceSection());
});
