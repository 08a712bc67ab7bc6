/** Applies one volume, snapshot, network, firewall, address or image of one's own. */
import type { Operation } from '@landfall/model';
import { answer, type Broker, body, bodyIfFound, idempotencyKey } from '../connection/broker.ts';
import { CommandError, exitCodes, ProblemError } from '../errors.ts';
import { type Manifest, manifestSubject } from '../manifests/manifest.ts';
import { callsOf, type Resource, type ResourceKind } from '../resource-kinds.ts';
import { differences, labelDifferences } from './compare.ts';
import { type ApplyOptions, additions, cannotChange, type Outcome } from './outcome.ts';

/** The fields of each kind that the API changes in place. */
const changeable: Record<ResourceKind, string[]> = {
  Volume: ['sizeGiB', 'attachedTo', 'dataClass'],
  Snapshot: [],
  Network: [],
  Firewall: ['rules', 'appliesTo'],
  Address: ['attachedTo'],
  CustomImage: [],
};

/** Fields that the broker or a command may have set: one that the manifest does not name is left as it is. */
const unowned = [
  'site',
  'region',
  'zone',
  'host',
  'sizeGiB',
  'type',
  'cidr',
  'subnets',
  'architecture',
  'user',
  'minDiskGiB',
  'dataClass',
];

/** Status reports move the ETag too, so a stale one is read again this often. */
const attempts = 5;

/** Creates the resource, changes what differs, or leaves it. */
export async function applyResource(
  broker: Broker,
  manifest: Manifest & { kind: ResourceKind },
  options: ApplyOptions,
): Promise<Outcome> {
  const calls = callsOf(broker.client, manifest.kind);
  const path = { project: broker.project, resource: manifest.name };
  const query = { validateOnly: options.dryRun };
  for (let attempt = 1; ; attempt++) {
    const existing = await bodyIfFound(calls.get(path));
    if (!existing) {
      const { name, labels, spec } = manifest;
      const params = { path: { project: broker.project }, header: idempotencyKey(), query };
      const { body: operation } = await answer(calls.create(params, { name, labels, spec }));
      return {
        action: 'created',
        differences: additions(manifest),
        operation: operation as Operation | undefined,
      };
    }
    const resource = existing.body as Resource;
    if (resource.deletedAt)
      throw new CommandError(`${manifestSubject(manifest)} is being deleted.`, {
        exitCode: exitCodes.conflict,
        hint: 'Apply again when it is gone.',
      });
    const { changed, fixed, patch } = compareResource(manifest, resource);
    if (fixed.length > 0)
      throw cannotChange(manifest, fixed, 'Delete it and apply again, or give the new one another name.');
    if (changed.length === 0) {
      const { state, message = '' } = resource.status;
      const notice = state === 'Failed' || state === 'Lost' ? { notice: `it is ${state} (${message})` } : {};
      return { action: 'unchanged', ...notice };
    }
    try {
      const params = { path, header: { 'If-Match': existing.etag }, query };
      const result = await body(calls.change(params, patch));
      const operation = (result as { kind: string }).kind === 'Operation' ? (result as Operation) : undefined;
      return { action: 'configured', differences: changed, operation };
    } catch (error) {
      if (attempt < attempts && error instanceof ProblemError && error.problem.status === 412) continue;
      throw error;
    }
  }
}

/** What differs, what of it cannot change in place, and the merge patch for the rest. */
export function compareResource(manifest: Manifest & { kind: ResourceKind }, resource: Resource) {
  const actual = withSources(resource.spec);
  const wanted = withSources(manifest.spec);
  for (const field of unowned) if (wanted[field] === undefined) wanted[field] = actual[field];
  const found = differences(actual, wanted, 'spec');
  const root = (field: string): string => field.split('.')[1] ?? '';
  const fixed = found.filter(({ field }) => !changeable[manifest.kind].includes(root(field)));
  const labels = labelDifferences(manifest.labels, resource.labels);
  const patch = {
    ...(labels.length > 0
      ? {
          labels: Object.fromEntries(
            labels.map(({ field, to }) => [field.slice('labels.'.length), to ?? null]),
          ),
        }
      : {}),
    ...(found.length > 0
      ? { spec: Object.fromEntries(found.map(({ field }) => [root(field), wanted[root(field)] ?? null])) }
      : {}),
  };
  return { changed: [...labels, ...found], fixed, patch };
}

/** A firewall rule without sources is one from everywhere. */
function withSources(spec: object): Record<string, unknown> {
  const { rules, ...rest } = spec as { rules?: object[] };
  return rules === undefined
    ? rest
    : { ...rest, rules: rules.map((rule) => ({ sources: ['0.0.0.0/0'], ...rule })) };
}
