import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { RecentlyUsed } from '../memo.ts';
import type { EstateMachine, PlacementRequest } from '../place/types.ts';

/** The CEL types an attribute may have here. */
export type AttributeType = 'string' | 'int' | 'double' | 'bool' | 'list<string>' | 'map<string, string>';

/** `request` as CEL sees it. Sizes that may be fractions are doubles, counts are ints. */
export const REQUEST_ATTRIBUTES: Record<keyof PlacementRequest, AttributeType> = {
  kind: 'string',
  name: 'string',
  project: 'string',
  organization: 'string',
  labels: 'map<string, string>',
  dataClass: 'string',
  image: 'string',
  vcpus: 'int',
  memoryGiB: 'double',
  diskGiB: 'double',
  architecture: 'string',
  gpuName: 'string',
  gpuCount: 'int',
  market: 'string',
  instanceType: 'string',
  publicAddress: 'bool',
  count: 'int',
  providers: 'list<string>',
  sites: 'list<string>',
  regions: 'list<string>',
  zones: 'list<string>',
  hosts: 'list<string>',
  maxPricePerHour: 'double',
  ttlHours: 'double',
};

/**
 * `offer` as CEL sees it. `zone`, `jurisdiction`, `certifications` and what is in `KNOWN_FACTS` (carbon, network, …)
 * are missing where they are not known, and reading a missing attribute is an error; the others always have a value (`''` for the host or
 * accelerator of a cloud's offer, the site of a provider without one, the GPU of a machine without one).
 */
export const OFFER_ATTRIBUTES = {
  provider: 'string',
  site: 'string',
  region: 'string',
  zone: 'string',
  host: 'string',
  instanceType: 'string',
  family: 'string',
  market: 'string',
  vcpus: 'int',
  memoryGiB: 'double',
  architecture: 'string',
  gpuName: 'string',
  gpuCount: 'int',
  burstable: 'bool',
  pricePerHour: 'double',
  price: 'double',
  currency: 'string',
  jurisdiction: 'string',
  certifications: 'list<string>',
  accel: 'string',
  labels: 'map<string, string>',
  carbon: 'double',
  networkGbps: 'double',
  localDiskGiB: 'double',
  gpuMemoryGiB: 'double',
  cpuVendor: 'string',
  interruptionRate: 'double',
} as const satisfies Record<string, AttributeType>;

/**
 * `resource` as CEL sees it: a machine that exists (`EstateMachine`). `zone` is missing where the provider chose it;
 * `host` and `gpuName` are `''` where there is none.
 */
export const RESOURCE_ATTRIBUTES = {
  id: 'string',
  name: 'string',
  project: 'string',
  organization: 'string',
  labels: 'map<string, string>',
  state: 'string',
  site: 'string',
  provider: 'string',
  region: 'string',
  zone: 'string',
  host: 'string',
  instanceType: 'string',
  market: 'string',
  architecture: 'string',
  gpuName: 'string',
  gpuCount: 'int',
  vcpus: 'int',
  memoryGiB: 'double',
  diskGiB: 'double',
  pricePerHour: 'double',
  publicAddress: 'bool',
  ageHours: 'double',
} as const satisfies Record<string, AttributeType>;

/** Name of an attribute of `offer`. */
export type OfferAttribute = keyof typeof OFFER_ATTRIBUTES;

/** Name of an attribute of `resource`. */
export type ResourceAttribute = keyof typeof RESOURCE_ATTRIBUTES;

/** Limits of an expression as written: far above what a person writes, far below what would hang an editor. */
const WRITTEN = { maxAstNodes: 5000, maxDepth: 60, maxListElements: 2000 };
/** Limits once variables are written out, and again for a whole rule: `match`, `when` and its expression. */
const WRITTEN_OUT = { ...WRITTEN, maxAstNodes: 12_000, maxDepth: 120 };
const WHOLE_RULE = { ...WRITTEN, maxAstNodes: 60_000, maxDepth: 500 };

/** An environment that knows `request`, optionally `offer` and `resource`, and a policy's variables by their types. */
export function celEnvironment(options: {
  offer?: boolean;
  resource?: boolean;
  variables?: Record<string, string>;
  limits?: typeof WRITTEN;
}): Environment {
  const env = new Environment({ limits: options.limits ?? WRITTEN });
  env.registerVariable({ name: 'request', schema: REQUEST_ATTRIBUTES });
  if (options.offer) env.registerVariable({ name: 'offer', schema: OFFER_ATTRIBUTES });
  if (options.resource) env.registerVariable({ name: 'resource', schema: RESOURCE_ATTRIBUTES });
  if (options.variables && Object.keys(options.variables).length > 0)
    env.registerVariable({ name: 'variables', schema: options.variables });
  return env;
}

/** The environment that evaluates: variables are inlined before evaluation, so it needs none. */
export const EVALUATION = celEnvironment({ offer: true, resource: true, limits: WHOLE_RULE });

const FINISHED = celEnvironment({ offer: true, resource: true, limits: WRITTEN_OUT });

/** An editor reads a file again at each keystroke, with all of its expressions but one as they were. */
const trees = new RecentlyUsed<string, ASTNode | null>(4096);

/** The tree of an expression whose variables are written out, not to be changed; null when that made it too large. */
export function writtenOut(source: string): ASTNode | null {
  return trees.get(source, () => {
    try {
      return FINISHED.parse(source).ast;
    } catch {
      // The parts were checked before, so only the limits can be the reason.
      return null;
    }
  });
}

/** What says that text is far from every limit: each level of depth takes one of these characters, and each node at least one. */
const LEVELS = /[([{?.]/g;

/** Whether an expression with its variables written out may be beyond a limit, as far as its text tells. */
export function mayBeTooLarge(source: string): boolean {
  if (source.length >= WRITTEN.maxListElements) return true;
  let levels = 1;
  for (const _ of source.matchAll(LEVELS)) levels++;
  return levels >= WRITTEN_OUT.maxDepth;
}

/**
 * An expression with its variables in their places, of their own trees: as {@link writtenOut} makes it, without the parsing. Only `op`
 * and `args` of its nodes count.
 */
export function withVariables(node: ASTNode, variable: (name: string) => ASTNode): ASTNode {
  if (node.op === '.' && node.args[0].op === 'id' && node.args[0].args === 'variables')
    return variable(node.args[1]);
  const args = replaced(node.args, variable);
  return args === node.args ? node : ({ op: node.op, args } as ASTNode);
}

function replaced(value: unknown, variable: (name: string) => ASTNode): unknown {
  if (Array.isArray(value)) {
    const made = value.map((one) => replaced(one, variable));
    return made.some((one, i) => one !== value[i]) ? made : value;
  }
  return value !== null && typeof value === 'object' && 'op' in value
    ? withVariables(value as ASTNode, variable)
    : value;
}

/** A request in CEL's own values: ints are bigints, the rest as it is. */
export type CelRequest = Record<string, unknown>;

/** Turns a valid request into CEL values. */
export function celRequest(request: PlacementRequest): CelRequest {
  const out: CelRequest = {};
  for (const [name, type] of Object.entries(REQUEST_ATTRIBUTES)) {
    const value = request[name as keyof PlacementRequest];
    out[name] = type === 'int' ? BigInt(value as number) : value;
  }
  return out;
}

/** Turns a machine that exists into CEL values; `now` is what its age is counted to. */
export function celResource(machine: EstateMachine, now: Date): Record<string, unknown> {
  const { zone, createdAt, ...rest } = machine;
  return {
    ...rest,
    ...(zone === null ? {} : { zone }),
    host: machine.host ?? '',
    gpuName: machine.gpuName ?? '',
    vcpus: BigInt(machine.vcpus),
    gpuCount: BigInt(machine.gpuCount),
    ageHours: (now.getTime() - Date.parse(createdAt)) / 3_600_000,
  } satisfies Partial<Record<ResourceAttribute, unknown>>;
}

/** Child expressions of a node, macros' arguments included. */
export function children(node: ASTNode): ASTNode[] {
  const found: ASTNode[] = [];
  collectNodes(node.args, found);
  return found;
}

function collectNodes(value: unknown, found: ASTNode[]): void {
  if (Array.isArray(value)) for (const one of value) collectNodes(one, found);
  else if (value !== null && typeof value === 'object' && 'op' in value) found.push(value as ASTNode);
}

/** Attributes of `request`, `offer` and `resource` that an expression reads. */
export interface Reads {
  request: Set<string>;
  offer: Set<OfferAttribute>;
  resource: Set<ResourceAttribute>;
}

/** Finds what a checked, inlined expression reads; a checked one names them only as `request.x`, `offer.x`, … */
export function reads(node: ASTNode): Reads {
  const found: Reads = { request: new Set(), offer: new Set(), resource: new Set() };
  collectReads(node, found);
  return found;
}

function collectReads(node: ASTNode, found: Reads): void {
  if (node.op === '.' && node.args[0].op === 'id') {
    const [{ args: root }, name] = node.args;
    if (root === 'request') found.request.add(name);
    else if (root === 'offer') found.offer.add(name as OfferAttribute);
    else if (root === 'resource') found.resource.add(name as ResourceAttribute);
    return;
  }
  for (const child of children(node)) collectReads(child, found);
}
