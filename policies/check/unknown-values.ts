import type { ASTNode } from '@marcbachmann/cel-js';
import type { Catalogue } from '../catalogue/catalogue.ts';
import { children, EVALUATION, type OfferAttribute } from '../cel/schema.ts';
import type { ParsedPolicy } from '../file/policy.ts';
import { nearest, type Problem } from '../file/problems.ts';
import { memo } from '../memo.ts';
import { cloudTable } from '../place/offers.ts';
import { literal } from './atoms.ts';
import { attributeKey, attributeOf, CLOSED } from './attributes.ts';
import { ruleProblem } from './rule-cases.ts';

/** What an on-prem site's offers have beside the catalogue's. */
const ONPREM: Partial<Record<OfferAttribute, readonly string[]>> = {
  provider: ['onprem'],
  family: ['kvm'],
  gpuName: [''],
};

/** Attributes of which an on-prem site may have values of its own: only what looks like a slip is reported. */
const SITES_OWN: ReadonlySet<string> = new Set([
  'region',
  'zone',
  'jurisdiction',
  'architecture',
  'instanceType',
]);

const CATALOGUED: ReadonlySet<string> = new Set([
  'provider',
  'region',
  'zone',
  'instanceType',
  'family',
  'architecture',
  'gpuName',
  'jurisdiction',
  'cpuVendor',
]);

/** Attributes that only come from tables: one that no offer has a value of rejects everything that reads it. */
const FROM_TABLES = [
  'carbon',
  'networkGbps',
  'localDiskGiB',
  'gpuMemoryGiB',
  'cpuVendor',
  'interruptionRate',
] as const;

/** Of one rule's unknown values, so many are reported: looking for what was meant takes time. */
const MOST = 10;

/** Texts in expressions that no offer of the catalogue has, and attributes none has. */
export function unknownValues(policies: readonly ParsedPolicy[], catalogue: Catalogue): Problem[] {
  const values = memo(KNOWN, catalogue, () => new KnownValues(catalogue));
  return policies.flatMap((policy) =>
    policy.rules.flatMap((rule, index) => {
      const sources = rule.clauses.flatMap((clause) => ('expression' in clause ? [clause.expression] : []));
      if (rule.when !== null) sources.push(rule.when);
      const said = new Set<string>();
      const problems: Problem[] = [];
      for (const source of sources)
        for (const { message, suggestion } of strangeValues(EVALUATION.parse(source).ast, values)) {
          if (said.has(message)) continue;
          said.add(message);
          const problem = ruleProblem({ policy, rule, index }, 'unknown-value', message);
          problems.push(suggestion === undefined ? problem : { ...problem, suggestion });
          if (problems.length === MOST) return problems;
        }
      return problems;
    }),
  );
}

interface Strange {
  message: string;
  suggestion?: string;
}

function* strangeValues(node: ASTNode, values: KnownValues): Iterable<Strange> {
  if (node.op === '==' || node.op === '!=') {
    const [left, right] = node.args;
    yield* compared(left, right, values);
    yield* compared(right, left, values);
  } else if (node.op === 'in' && node.args[1].op === 'list')
    for (const element of node.args[1].args) yield* compared(node.args[0], element, values);
  else if (node.op === 'rcall' && (node.args[0] === 'startsWith' || node.args[0] === 'endsWith'))
    yield* tested(node.args[0], node.args[1], node.args[2][0]!, values);
  const attribute = attributeOf(node);
  if (attribute?.root === 'offer' && (FROM_TABLES as readonly string[]).includes(attribute.name)) {
    if (values.of(attribute.name as OfferAttribute).size === 0)
      yield { message: `no offer in the catalogue has a value of offer.${attribute.name}` };
  }
  for (const child of children(node)) yield* strangeValues(child, values);
}

function* compared(term: ASTNode, value: ASTNode, values: KnownValues): Iterable<Strange> {
  const [attribute, text] = [attributeOf(term), literal(value)];
  if (attribute === null || attribute.entry !== null || typeof text !== 'string') return;
  const key = attributeKey(attribute);
  const closed = CLOSED[key];
  if (closed !== undefined) {
    if (!closed.includes(text)) yield strange(`${key} is one of ${quoted(closed)}`, text, closed);
    return;
  }
  if (attribute.root !== 'offer' || !CATALOGUED.has(attribute.name)) return;
  const known = values.of(attribute.name as OfferAttribute);
  if (known.size === 0 || known.has(text)) return;
  const found = strange(`no offer in the catalogue has ${key} "${text}"`, text, known);
  if (found.suggestion !== undefined || !SITES_OWN.has(attribute.name)) yield found;
}

function* tested(name: string, term: ASTNode, value: ASTNode, values: KnownValues): Iterable<Strange> {
  const [attribute, text] = [attributeOf(term), literal(value)];
  if (attribute?.root !== 'offer' || typeof text !== 'string') return;
  if (!CATALOGUED.has(attribute.name) || SITES_OWN.has(attribute.name)) return;
  const known = [...values.of(attribute.name as OfferAttribute)];
  if (known.length > 0 && !known.some((v) => (name === 'startsWith' ? v.startsWith(text) : v.endsWith(text))))
    yield {
      message: `no offer in the catalogue has a ${attributeKey(attribute)} that ${name === 'startsWith' ? 'starts' : 'ends'} with "${text}"`,
    };
}

function strange(what: string, text: string, known: Iterable<string>): Strange {
  const near = nearest(text, known);
  const said = what.endsWith(`"${text}"`) ? what : `"${text}" is no value here: ${what}`;
  return near === undefined ? { message: said } : { message: said, suggestion: `"${near}"` };
}

function quoted(values: readonly string[]): string {
  return values.map((v) => `"${v}"`).join(', ');
}

/** The texts each attribute has in a catalogue. */
class KnownValues {
  readonly #catalogue: Catalogue;
  readonly #known = new Map<OfferAttribute, ReadonlySet<string>>();

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue;
  }

  of(attribute: OfferAttribute): ReadonlySet<string> {
    return memo(this.#known, attribute, () => {
      const { values } = cloudTable(this.#catalogue, []).column(attribute);
      const texts = values.filter((v) => v !== undefined && v !== null).map(String);
      return new Set(texts.length === 0 ? [] : [...texts, ...(ONPREM[attribute] ?? [])]);
    });
  }
}

const KNOWN = new WeakMap<Catalogue, KnownValues>();
