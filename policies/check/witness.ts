import { celRequest } from '../cel/schema.ts';
import { NEUTRAL_REQUEST } from '../place/types.ts';
import type { Conditions } from './atoms.ts';
import type { Attribute } from './attributes.ts';
import { type Domain, type NumberDomain, type TextDomain, TRUTH } from './domains.ts';

/** Values for everything an expression can read. */
export interface Bindings {
  request: Record<string, unknown>;
  offer: Record<string, unknown>;
  resource: Record<string, unknown>;
}

const SOME_MACHINE = {
  provider: '',
  site: '',
  region: '',
  host: '',
  instanceType: '',
  market: 'onDemand',
  vcpus: 1n,
  memoryGiB: 1,
  architecture: '',
  gpuName: '',
  gpuCount: 0n,
  pricePerHour: 0,
  labels: {},
};
const SOME_OFFER = { ...SOME_MACHINE, family: '', burstable: false, price: 0, currency: 'USD', accel: '' };
const SOME_RESOURCE = {
  ...SOME_MACHINE,
  id: '',
  name: '',
  project: '',
  organization: '',
  state: 'Running',
  diskGiB: 0,
  publicAddress: false,
  ageHours: 0,
};

/**
 * Values that meet conditions on attributes, as far as these say enough. What is not an attribute is left to chance,
 * so the caller must try the values out.
 */
export function witness(conditions: Conditions): Bindings {
  const bindings: Bindings = {
    request: celRequest({ ...NEUTRAL_REQUEST, labels: {} }),
    offer: { ...SOME_OFFER, labels: {} },
    resource: { ...SOME_RESOURCE, labels: {} },
  };
  for (const { attribute, domain, present } of conditions.values()) {
    if (attribute === null || present === false) continue;
    const value = domain === null ? missingValue(attribute) : pick(domain, attribute);
    if (value === undefined) continue;
    const of = bindings[attribute.root];
    if (attribute.entry !== null) (of[attribute.name] as Record<string, unknown>)[attribute.entry] = value;
    else of[attribute.name] = value;
  }
  bindings.offer.price = bindings.offer.pricePerHour;
  return bindings;
}

/** Some value of an attribute of which only the presence is asked. */
function missingValue({ type, nullable }: Attribute): unknown {
  if (!nullable) return undefined;
  return type === 'string' ? '' : type === 'double' ? 0 : type === 'int' ? 0n : undefined;
}

function pick(domain: Domain, attribute: Attribute): unknown {
  switch (domain.kind) {
    case 'number': {
      const number = pickNumber(domain);
      return attribute.type === 'int' ? BigInt(number) : number;
    }
    case 'text':
      return pickText(domain);
    case 'truth':
      return attribute.type === 'bool' ? (domain.may & TRUTH.true) !== 0 : undefined;
  }
}

function pickNumber({ int, lo, loOpen, hi, hiOpen, not }: NumberDomain): number {
  const inside = (x: number): boolean =>
    (x > lo || (x === lo && !loOpen)) && (x < hi || (x === hi && !hiOpen)) && !not.includes(x);
  const start = Number.isFinite(lo) ? lo : Number.isFinite(hi) ? hi - 1 : 0;
  const step = int ? 1 : Number.isFinite(hi) && Number.isFinite(lo) && hi > lo ? (hi - lo) / 8 : 0.5;
  for (let i = 0; i <= not.length + 1; i++) if (inside(start + i * step)) return start + i * step;
  return Number.isFinite(hi) ? hi : start;
}

function pickText({ only, not, tests }: TextDomain): string {
  if (only !== null) return [...only][0]!;
  const wanted = tests.filter((t) => t.wanted);
  const longest = (part: 'prefix' | 'suffix'): string =>
    wanted.reduce((best, t) => ((t[part]?.length ?? 0) > best.length ? t[part]! : best), '');
  const [start, end] = [longest('prefix'), longest('suffix')];
  const fits = (text: string): boolean => !not.has(text) && tests.every((t) => t.holds(text) === t.wanted);
  return (
    [`${start}${end}`, ...['x', 'y', 'z', 'other'].map((middle) => `${start}${middle}${end}`)].find(fits) ??
    ''
  );
}

/** The request of a witness in words: what it asks for beyond the neutral one. */
export function describeRequest({ request }: Bindings): string {
  const neutral = celRequest({ ...NEUTRAL_REQUEST, labels: {} });
  const said = Object.entries(request).flatMap(([name, value]) => {
    if (name === 'labels')
      return Object.entries(value as Record<string, string>).map(([key, label]) => `label ${key} "${label}"`);
    if (value === neutral[name] || typeof value === 'object') return [];
    return [`${name} ${typeof value === 'string' ? JSON.stringify(value) : String(value)}`];
  });
  return said.length === 0 ? 'any request' : `a request with ${said.join(', ')}`;
}
