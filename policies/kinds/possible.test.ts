import { interpret } from '../cel/columnar.ts';
import { celRequest, EVALUATION, OFFER_ATTRIBUTES, type OfferAttribute, reads } from '../cel/schema.ts';
import { celAttribute } from '../place/offers.ts';
import { RandomExpressions } from '../testing/random-expressions.ts';
import { OFFER_OF_PLACE, REQUEST_OF_ALL } from './known.ts';
import { MAY, possibleValues } from './possible.ts';

/** Only the entries of these names. */
function only(names: ReadonlySet<string>, from: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.has(name)));
}

test('whatever a machine at a place is, what an expression says of it is among the possible values; of the place alone, it is the only one', () => {
  const random = new RandomExpressions(20_261_127);
  const seen = { exact: 0, open: 0, decided: 0 };
  for (let i = 0; i < 800; i++) {
    const source = random.expression(i % 4);
    const { request, offer } = reads(EVALUATION.parse(source).ast);
    const isKnown =
      [...request].every((name) => REQUEST_OF_ALL.has(name)) &&
      [...offer].every((name) => OFFER_OF_PLACE.has(name));
    const [possible, verdict] = [possibleValues(source), interpret(source)];
    for (const facts of random.offers(5)) {
      const asked = celRequest(random.request());
      const whole: Record<string, unknown> = {};
      for (const name of Object.keys(OFFER_ATTRIBUTES) as OfferAttribute[]) {
        const value = celAttribute(facts, name);
        if (value !== undefined) whole[name] = value;
      }
      const values = possible({
        request: only(REQUEST_OF_ALL, asked),
        place: only(OFFER_OF_PLACE, whole),
        ofPlace: OFFER_OF_PLACE,
      });
      const says = MAY[verdict(asked, whole)];
      expect({ source, has: values & says }).toEqual({ source, has: says });
      if (isKnown) expect({ source, values }).toEqual({ source, values: says });
      seen[isKnown ? 'exact' : values === (MAY.true | MAY.false | MAY.error) ? 'open' : 'decided']++;
    }
  }
  expect(Math.min(seen.exact, seen.open, seen.decided)).toBeGreaterThan(200);
});
