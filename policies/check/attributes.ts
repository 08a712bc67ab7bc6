import type { ASTNode } from '@marcbachmann/cel-js';
import { OFFER_ATTRIBUTES, REQUEST_ATTRIBUTES, RESOURCE_ATTRIBUTES } from '../cel/schema.ts';
import { RESOURCE_KINDS } from '../place/types.ts';
import { type Domain, numbers, texts } from './domains.ts';

/** An attribute, or a label, that an expression names. */
export interface Attribute {
  root: 'request' | 'offer' | 'resource';
  name: string;
  /** The key, where it is an entry of a map of texts such as `request.labels.env`. */
  entry: string | null;
  type: string;
  /** Whether it can be missing. */
  nullable: boolean;
}

const TYPES: Record<Attribute['root'], Record<string, string>> = {
  request: REQUEST_ATTRIBUTES,
  offer: OFFER_ATTRIBUTES,
  resource: RESOURCE_ATTRIBUTES,
};

/** Attributes that can be missing; every other one always has a value. */
const NULLABLE = new Set([
  'offer.zone',
  'offer.jurisdiction',
  'offer.certifications',
  'offer.carbon',
  'offer.networkGbps',
  'offer.localDiskGiB',
  'offer.gpuMemoryGiB',
  'offer.cpuVendor',
  'offer.interruptionRate',
  'resource.zone',
]);

/** What `node` names, or null when it is no attribute. */
export function attributeOf(node: ASTNode): Attribute | null {
  if (node.op === '[]') {
    const [map, key] = node.args;
    const whole = attributeOf(map);
    if (whole?.type !== 'map<string, string>' || key.op !== 'value' || typeof key.args !== 'string')
      return null;
    return { ...whole, entry: key.args, type: 'string', nullable: true };
  }
  if (node.op !== '.') return null;
  const [of, name] = node.args;
  if (of.op === 'id') {
    const root = of.args;
    if (root !== 'request' && root !== 'offer' && root !== 'resource') return null;
    const type = TYPES[root][name];
    // One price under two names.
    const known = root === 'offer' && name === 'price' ? 'pricePerHour' : name;
    return type === undefined
      ? null
      : { root, name: known, entry: null, type, nullable: NULLABLE.has(`${root}.${name}`) };
  }
  const map = attributeOf(of);
  return map?.type === 'map<string, string>' && map.entry === null
    ? { ...map, entry: name, type: 'string', nullable: true }
    : null;
}

/** Its name, the same for every way of writing it. */
export function attributeKey({ root, name, entry }: Attribute): string {
  return entry === null ? `${root}.${name}` : `${root}.${name}[${JSON.stringify(entry)}]`;
}

/** Texts that an attribute is limited to by the broker itself. */
export const CLOSED: Record<string, readonly string[]> = {
  'request.kind': RESOURCE_KINDS,
  'request.market': ['onDemand', 'spot', 'any'],
  'request.architecture': ['x86_64', 'arm64', 'any'],
  'offer.market': ['onDemand', 'spot'],
  'offer.accel': ['', 'kvm', 'tcg'],
  'offer.currency': ['USD'],
};

const AT_LEAST_ONE = new Set(['request.vcpus', 'request.count']);

/** What an attribute can be at all. */
export function baseDomain(attribute: Attribute): Domain | null {
  const key = attributeKey(attribute);
  if (attribute.type === 'string') return texts(CLOSED[key] === undefined ? {} : { only: CLOSED[key] });
  if (attribute.type === 'int') return numbers(true, { lo: AT_LEAST_ONE.has(key) ? 1 : 0 });
  // A machine's age may be below 0 by the difference of two clocks.
  if (attribute.type === 'double') return numbers(false, key === 'resource.ageHours' ? {} : { lo: 0 });
  return null;
}
