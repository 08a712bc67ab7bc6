import type { ASTNode } from '@marcbachmann/cel-js';
import type { OfferFacts } from '../../place/offers.ts';
import { printCel } from '../print.ts';

/** An expression whose literals are attributes of an offer, and the offer that has them as values. */
export interface OverOffers {
  source: string;
  offer: OfferFacts;
}

const PLAIN: OfferFacts = {
  site: null,
  provider: 'aws',
  region: '',
  zone: null,
  host: null,
  instanceType: '',
  family: '',
  market: 'onDemand',
  vcpus: 1,
  memoryGiB: 1,
  architecture: 'x86_64',
  gpuName: null,
  gpuCount: 0,
  burstable: false,
  pricePerHour: 1,
  jurisdiction: null,
  certifications: null,
  accel: '',
  labels: {},
};

/** Attributes that can take any value of a literal's type; one that is used up leaves further literals as they are. */
const STAND_INS: Record<string, readonly (keyof OfferFacts)[]> = {
  string: ['region', 'instanceType', 'family', 'zone', 'host', 'accel', 'jurisdiction', 'architecture'],
  bigint: ['vcpus', 'gpuCount'],
  number: ['memoryGiB', 'carbon', 'networkGbps', 'localDiskGiB'],
  boolean: ['burstable'],
};

/** Puts attributes in the place of literals, as far as there are attributes; null where no literal has one. */
export function overOffers(ast: ASTNode): OverOffers | null {
  const offer: Record<string, unknown> = { ...PLAIN };
  const free = new Map(Object.entries(STAND_INS).map(([type, names]) => [type, [...names]]));
  let replaced = 0;
  const replace = (node: ASTNode): unknown => {
    const value: unknown = node.op === 'value' ? node.args : undefined;
    const exact = typeof value !== 'bigint' || BigInt(Number(value)) === value;
    const attribute = exact ? free.get(typeof value)?.shift() : undefined;
    if (attribute === undefined) return null;
    offer[attribute] = typeof value === 'bigint' ? Number(value) : value;
    replaced++;
    return attribute;
  };
  const walk = (node: ASTNode): ASTNode => {
    const attribute = replace(node);
    if (attribute !== null)
      return { op: '.', args: [{ op: 'id', args: 'offer' }, attribute] } as unknown as ASTNode;
    // The pattern of matches() must stay a literal.
    if ((node.op === 'rcall' || node.op === 'call') && node.args[0] === 'matches') return node;
    return { ...node, args: within(node.args, walk) } as ASTNode;
  };
  const source = printCel(walk(ast));
  return replaced === 0 ? null : { source, offer: offer as unknown as OfferFacts };
}

function within(args: unknown, walk: (node: ASTNode) => ASTNode): unknown {
  if (Array.isArray(args)) return args.map((arg) => within(arg, walk));
  if (args !== null && typeof args === 'object' && 'op' in args) return walk(args as ASTNode);
  return args;
}
