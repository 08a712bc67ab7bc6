import { readFileSync } from 'node:fs';
import { celAttribute, tableOfOffers } from '../place/offers.ts';
import { NEUTRAL_REQUEST } from '../place/types.ts';
import { RandomExpressions } from '../testing/random-expressions.ts';
import { compileColumnar, interpret } from './columnar.ts';
import { celRequest, OFFER_ATTRIBUTES, type OfferAttribute } from './schema.ts';
import { errorBits, hasBit, trueBits } from './trivalue.ts';

const offer = {
  ...new RandomExpressions(1).offers(1)[0]!,
  vcpus: 2,
  zone: null,
  certifications: ['a', 'b'],
  burstable: true,
  carbon: 100,
};
const request = celRequest(NEUTRAL_REQUEST);

/** What both engines say; they must agree. */
function value(source: string): string {
  const result = compileColumnar(source).run(tableOfOffers([offer]), request);
  const columnar = hasBit(errorBits(result, 1), 0) ? 'error' : String(hasBit(trueBits(result, 1), 0));
  const names = Object.keys(OFFER_ATTRIBUTES) as OfferAttribute[];
  const known = names.flatMap((name) => {
    const attribute = celAttribute(offer, name);
    return attribute === undefined ? [] : [[name, attribute]];
  });
  expect({ source, columnar }).toEqual({
    source,
    columnar: interpret(source)(request, Object.fromEntries(known)),
  });
  return columnar;
}

/** True, false, an error: read from the offer, so that nothing is folded. */
const [T, F, E] = ['offer.burstable', '!offer.burstable', 'offer.zone == "a"'];

test.each([
  [`${F} && ${E}`, 'false'],
  [`${E} && ${F}`, 'false'],
  [`${T} && ${E}`, 'error'],
  [`${E} && ${T}`, 'error'],
  [`${E} && ${E}`, 'error'],
  [`${T} || ${E}`, 'true'],
  [`${E} || ${T}`, 'true'],
  [`${F} || ${E}`, 'error'],
  [`${E} || ${F}`, 'error'],
  [`${E} || ${E}`, 'error'],
  [`!(${E})`, 'error'],
  [`(${E}) ? true : true`, 'error'],
  [`${T} ? ${T} : ${E}`, 'true'],
  [`${F} ? ${E} : ${F}`, 'false'],
  [`${T} ? ${E} : ${F}`, 'error'],
  [`(${E}) == (${E})`, 'error'],
  ['offer.certifications.all(c, c == "a" && offer.zone == "x")', 'false'],
  ['offer.certifications.all(c, c == "a" || offer.zone == "x")', 'error'],
  ['offer.certifications.exists(c, c == "a" || offer.zone == "x")', 'true'],
  ['offer.certifications.exists(c, c == "z" || offer.zone == "x")', 'error'],
  ['offer.certifications.exists_one(c, c == "a" || offer.zone == "x")', 'error'],
  ['offer.certifications.filter(c, offer.zone == c).size() == 0', 'error'],
  ['offer.certifications.map(c, c + offer.zone).size() == 2', 'error'],
  ['has(offer.zone)', 'false'],
  ['has(offer.labels.nowhere)', 'false'],
  ['has(offer.carbon)', 'true'],
  ['offer.zone in ["a"]', 'error'],
  ['offer.labels["nowhere"] == "x"', 'error'],
  ['offer.certifications[5] == "x"', 'error'],
  ['offer.vcpus / 0 == 1', 'error'],
  ['offer.vcpus % 0 == 1', 'error'],
  ['offer.vcpus * 9223372036854775807 > 0', 'error'],
  ['int(offer.region) > 0', 'error'],
  ['offer.carbon / 0.0 > 1.0', 'true'],
  ['(offer.carbon - 100.0) / 0.0 == (offer.carbon - 100.0) / 0.0', 'false'],
  ['(offer.carbon - 100.0) / 0.0 != 1.0', 'true'],
  ['(offer.carbon - 100.0) / 0.0 < 1.0 || (offer.carbon - 100.0) / 0.0 >= 1.0', 'false'],
  ['offer.carbon > 99', 'true'],
])('%s is %s', (source, expected) => expect(value(source)).toBe(expected));

test('docs/cel.md states what is tested here', () => {
  const page = readFileSync(new URL('../../docs/cel.md', import.meta.url), 'utf8');
  for (const row of ['| `false && e`, `e && false` | false |', '| `e ? a : b` | error |', '| `!e` | error |'])
    expect(page).toContain(row);
});
