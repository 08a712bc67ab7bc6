import { celAttribute, type OfferFacts, tableOfOffers } from '../place/offers.ts';
import { type EstateMachine, NEUTRAL_REQUEST } from '../place/types.ts';
import { RandomExpressions } from '../testing/random-expressions.ts';
import { checkExpression } from './check.ts';
import { compileColumnar, interpret, type Verdict } from './columnar.ts';
import { printCel } from './print.ts';
import {
  celRequest,
  celResource,
  EVALUATION,
  OFFER_ATTRIBUTES,
  type OfferAttribute,
  RESOURCE_ATTRIBUTES,
} from './schema.ts';
import { errorBits, hasBit, trueBits } from './trivalue.ts';

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
  const random = new RandomExpressions(20250302);
  const seen = { true: 0, false: 0, error: 0 };
  let pairs = 0;
  const worlds = Array.from({ length: 20 }, () => {
    const offers = random.offers(100);
    return { offers, cel: offers.map(celOffer) };
  });
  for (let i = 0; i < 1000; i++) {
    const source = random.expression(i % 5);
    const { ast, issues } = checkExpression(source, { offer: true, variables: {}, wanted: 'bool' });
    expect({ source, issues }).toEqual({ source, issues: [] });
    const { offers, cel } = random.pick(worlds);
    const request = celRequest(random.request());
    const reference = interpret(source);
    const expected = cel.map((offer) => reference(request, offer));
    expect({ source, verdicts: verdicts(printCel(ast!), offers, request) }).toEqual({
      source,
      verdicts: expected,
    });
    for (const verdict of expected) seen[verdict]++;
    pairs += offers.length;
  }
  expect(pairs).toBeGreaterThanOrEqual(100_000);
  // All three values must occur often, or the comparison says little.
  expect(Math.min(seen.true, seen.false, seen.error)).toBeGreaterThan(15_000);
});

test('a printed expression parses to the same tree', () => {
  const random = new RandomExpressions(7);
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
  const offer = new RandomExpressions(1).offers(1)[0]!;
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

describe('a rule over machines that exist', () => {
  const machine: EstateMachine = {
    id: 'vm-1',
    name: 'web',
    project: 'shop',
    organization: 'default',
    labels: { env: 'prod' },
    state: 'Running',
    site: 'aws-1',
    provider: 'aws',
    region: 'eu-central-1',
    zone: null,
    host: null,
    instanceType: 'm5.large',
    market: 'onDemand',
    architecture: 'x86_64',
    gpuName: null,
    gpuCount: 0,
    vcpus: 2,
    memoryGiB: 8,
    diskGiB: 10,
    pricePerHour: 0.1,
    publicAddress: false,
    createdAt: '2026-11-19T00:00:00Z',
  };
  const resource = celResource(machine, new Date('2026-11-20T12:00:00Z'));
  const verdict = (source: string): Verdict => {
    const { ast, issues } = checkExpression(source, {
      offer: true,
      resource: true,
      variables: {},
      wanted: 'bool',
    });
    expect(issues).toEqual([]);
    return interpret(printCel(ast!))(celRequest(NEUTRAL_REQUEST), {}, resource);
  };

  test('reads its attributes, with its age in hours', () =>
    expect(verdict('resource.ageHours == 36.0 && resource.vcpus == 2 && resource.host == ""')).toBe('true'));
  test('has every attribute the language knows, but a zone the provider chose', () => {
    expect(Object.keys(RESOURCE_ATTRIBUTES).filter((name) => !(name in resource))).toEqual(['zone']);
    expect(verdict('resource.zone == "a"')).toBe('error');
  });
  test('is an error where no machine is known', () =>
    expect(interpret('resource.vcpus == 2')(celRequest(NEUTRAL_REQUEST), {})).toBe('error'));
  test('is refused where no machine can be known', () =>
    expect(checkExpression('resource.vcpus == 2', { offer: true, variables: {} }).issues).toMatchObject([
      {
        code: 'cel-not-allowed',
        message: "'resource' is not known here: only the request and the offer are",
      },
    ]));
});

test('a table without offers has no verdicts', () => {
  expect(verdicts('offer.vcpus > 2 && offer.zone == "a"', [])).toEqual([]);
});

test('what an expression has in common with one that is still in use is computed once', () => {
  const random = new RandomExpressions(3);
  const table = tableOfOffers(random.offers(40));
  const request = celRequest(NEUTRAL_REQUEST);
  const older = compileColumnar('offer.vcpus > 2');
  const newer = compileColumnar('request.vcpus == 1 ? offer.vcpus > 2 : offer.burstable');
  const other = compileColumnar('request.vcpus == 1 ? offer.vcpus > 3 : offer.burstable');
  expect(newer.run(table, request)).toBe(older.run(table, request));
  expect(other.run(table, request)).not.toBe(older.run(table, request));
});

test('results are not mixed up between requests that differ in what the rule reads', () => {
  const offers = new RandomExpressions(3).offers(40);
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
