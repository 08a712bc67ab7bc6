import { architectureOf } from '../catalogue/instance-types.ts';
import { jurisdictionOf } from '../catalogue/jurisdictions.ts';
import { celAttribute, compareOffers, type OfferFacts, placedOffer, tableOfOffers } from '../place/offers.ts';
import { NEUTRAL_REQUEST } from '../place/types.ts';
import { RandomCases } from '../testing/random-cases.ts';
import { checkExpression } from './check.ts';
import { compileColumnar, interpret, type Verdict } from './columnar.ts';
import { printCel } from './print.ts';
import { celRequest, EVALUATION, OFFER_ATTRIBUTES, type OfferAttribute } from './schema.ts';
import { errorBits, hasBit, trueBits } from './trivalue.ts';

function facts(random: RandomCases, n: number): OfferFacts[] {
  const offers = random.rows(n).map((row) => ({
    ...row,
    site: random.chance(0.7) ? 'site-1' : null,
    host: null,
    family: row.instanceType.split('.')[0]!,
    architecture: architectureOf('aws', row.instanceType),
    jurisdiction: jurisdictionOf(row.provider, row.region),
    certifications: random.chance(0.2) ? null : ['iso27001', 'soc2'].filter(() => random.chance(0.5)),
    accel: random.pick(['', 'kvm', 'tcg']),
    labels: (random.chance(0.5) ? { tier: 'gold' } : {}) as Record<string, string>,
  }));
  return offers.sort((a, b) => compareOffers(placedOffer(a), placedOffer(b)));
}

function celOffer(offer: OfferFacts): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const name of Object.keys(OFFER_ATTRIBUTES) as OfferAttribute[]) {
    const value = celAttribute(offer, name);
    if (value !== undefined) out[name] = value;
  }
  return out;
}

function verdicts(source: string, offers: OfferFacts[], request = celRequest(NEUTRAL_REQUEST)): Verdict[] {
  const value = compileColumnar(source).run(tableOfOffers(offers), request);
  const [trues, errors] = [trueBits(value, offers.length), errorBits(value, offers.length)];
  return offers.map((_, i) => (hasBit(errors, i) ? 'error' : hasBit(trues, i) ? 'true' : 'false'));
}

/** A tree without its places in the text. */
function shape(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(shape);
  if (node === null || typeof node !== 'object' || !('op' in node)) return node;
  return [(node as { op: string }).op, shape((node as unknown as { args: unknown }).args)];
}

test('the columnar engine says what the reference interpreter says, errors included', () => {
  const random = new RandomCases(20250302);
  const seen = { true: 0, false: 0, error: 0 };
  let pairs = 0;
  let expressions = 0;
  for (let i = 0; i < 700; i++) {
    const source = random.expression(4);
    const { ast, issues } = checkExpression(source, { offer: true, variables: {}, wanted: 'bool' });
    expect({ source, issues }).toEqual({ source, issues: [] });
    const offers = facts(random, 37);
    const request = celRequest(random.request());
    const reference = interpret(source);
    const expected = offers.map((offer) => reference(request, celOffer(offer)));
    expect({ source, verdicts: verdicts(printCel(ast!), offers, request) }).toEqual({
      source,
      verdicts: expected,
    });
    for (const verdict of expected) seen[verdict]++;
    pairs += offers.length;
    expressions++;
  }
  expect(expressions).toBe(700);
  expect(pairs).toBeGreaterThan(20_000);
  // All three values must occur often, or the comparison says little.
  expect(Math.min(seen.true, seen.false, seen.error)).toBeGreaterThan(1000);
});

test('a printed expression parses to the same tree', () => {
  const random = new RandomCases(7);
  for (let i = 0; i < 500; i++) {
    const source = random.expression(4);
    const ast = EVALUATION.parse(source).ast;
    expect(shape(EVALUATION.parse(printCel(ast)).ast)).toEqual(shape(ast));
  }
});

test('printing keeps what subtraction and division group', () => {
  const ast = EVALUATION.parse('offer.price - (offer.price - 1.0) / (2.0 / 4.0) > -0.5').ast;
  expect(shape(EVALUATION.parse(printCel(ast)).ast)).toEqual(shape(ast));
});

describe('an attribute an offer lacks', () => {
  const offer = facts(new RandomCases(1), 1)[0]!;
  const unknown = [{ ...offer, jurisdiction: null, burstable: true }];

  test('is an error', () => expect(verdicts('offer.jurisdiction == "EU"', unknown)).toEqual(['error']));
  test('is absorbed by || when the other side is true', () =>
    expect(verdicts('offer.jurisdiction == "EU" || offer.burstable', unknown)).toEqual(['true']));
  test('is absorbed by && when the other side is false', () =>
    expect(verdicts('offer.jurisdiction == "EU" && !offer.burstable', unknown)).toEqual(['false']));
  test('stays an error under !', () =>
    expect(verdicts('!(offer.jurisdiction == "EU")', unknown)).toEqual(['error']));
  test('can be asked for with has()', () =>
    expect(verdicts('has(offer.jurisdiction)', unknown)).toEqual(['false']));
});

test('a table without offers has no verdicts', () => {
  expect(verdicts('offer.vcpus > 2 && offer.zone == "a"', [])).toEqual([]);
});

test('results are not mixed up between requests that differ in what the rule reads', () => {
  const offers = facts(new RandomCases(3), 40);
  const program = compileColumnar('offer.region in request.regions');
  const table = tableOfOffers(offers);
  for (const region of ['eu-central-1', 'us-east-1', 'eu-central-1']) {
    const value = program.run(table, celRequest({ ...NEUTRAL_REQUEST, regions: [region] }));
    const trues = trueBits(value, offers.length);
    offers.forEach((o, i) => {
      expect(hasBit(trues, i)).toBe(o.region === region);
    });
  }
});
