/** Applies what is not an Instance. */
import type { Schemas } from '@landfall/model';
import { answer, type Broker, bodyIfFound, idempotencyKey } from '../connection/broker.ts';
import type { Manifest } from '../manifests/manifest.ts';
import { refuseInvalidPolicy } from '../policy-check.ts';
import { type Difference, differences, labelDifferences, siteWithDefaults } from './compare.ts';
import { type ApplyOptions, additions, cannotChange, type Outcome } from './outcome.ts';

type Found = { body: { labels?: Record<string, string> }; etag: string } | undefined;

function writeParams(options: ApplyOptions) {
  return { header: idempotencyKey(), query: { validateOnly: options.dryRun } };
}

/** Creates or replaces a site. */
export async function applySite(broker: Broker, manifest: Manifest, options: ApplyOptions): Promise<Outcome> {
  const { client } = broker;
  const path = { site: manifest.name };
  const input = inputOf(manifest) as Schemas['SiteInput'];
  const existing = await bodyIfFound(client.GET('/v1/sites/{site}', { params: { path } }));
  if (!existing) {
    await answer(client.POST('/v1/sites', { params: writeParams(options), body: input }));
    return { action: 'created', differences: additions(manifest) };
  }
  const { labels } = existing.body;
  const changed = siteDifferences(manifest, existing.body);
  if (changed.length === 0) return { action: 'unchanged' };
  const provider = changed.filter((difference) => difference.field === 'spec.provider');
  if (provider.length > 0)
    throw cannotChange(manifest, provider, 'A site keeps its provider: add another site under another name.');
  await answer(
    client.PUT('/v1/sites/{site}', {
      params: { path, header: { 'If-Match': existing.etag }, query: { validateOnly: options.dryRun } },
      body: { ...input, labels: manifest.labels ?? labels },
    }),
  );
  return { action: 'configured', differences: changed };
}

/** What differs from the site there is. */
export function siteDifferences(
  manifest: Manifest,
  { spec, labels }: Pick<Schemas['Site'], 'spec' | 'labels'>,
): Difference[] {
  return [
    ...labelDifferences(manifest.labels, labels),
    ...differences(siteWithDefaults({ ...spec }), siteWithDefaults(manifest.spec), 'spec'),
  ];
}

/** Puts a policy in force. */
export async function applyPolicy(
  broker: Broker,
  manifest: Manifest,
  options: ApplyOptions,
): Promise<Outcome> {
  const { client } = broker;
  const path = { policy: manifest.name };
  const { text, file } = manifest.source;
  const existing = await bodyIfFound(client.GET('/v1/policies/{policy}', { params: { path } }));
  if (existing && existing.body.source === text) return { action: 'unchanged' };
  await refuseInvalidPolicy(manifest.source);
  await answer(
    client.PUT('/v1/policies/{policy}', {
      params: {
        path,
        header: existing ? { 'If-Match': existing.etag } : {},
        query: { validateOnly: options.dryRun },
      },
      body: { source: text, file },
    }),
  );
  return {
    action: existing ? 'configured' : 'created',
    differences: existing ? lineDifferences(existing.body.source, text) : additions(manifest),
  };
}

/** Lines that only the old or only the new text has, numbered. */
function lineDifferences(from: string, to: string): Difference[] {
  const [before, after] = [from.split('\n'), to.split('\n')];
  const missing = (lines: string[], others: string[]): [number, string][] => {
    const known = new Set(others);
    return lines.flatMap((line, index): [number, string][] => (known.has(line) ? [] : [[index + 1, line]]));
  };
  return [
    ...missing(before, after).map(([line, text]) => ({ field: `line ${line}`, from: text, to: undefined })),
    ...missing(after, before).map(([line, text]) => ({ field: `line ${line}`, from: undefined, to: text })),
  ];
}

/** The request body of a manifest: what the API takes at the top level stands in metadata and spec. */
function inputOf(manifest: Manifest): unknown {
  const head = {
    name: manifest.name,
    ...(manifest.labels ? { labels: manifest.labels } : {}),
    ...(manifest.organization ? { organization: manifest.organization } : {}),
  };
  return manifest.kind === 'Site' ? { ...head, spec: manifest.spec } : { ...head, ...manifest.spec };
}

/** Creates what the API cannot change: organizations, projects, images, keys. One that differs is an error. */
export async function createOnly(
  broker: Broker,
  manifest: Manifest,
  options: ApplyOptions,
): Promise<Outcome> {
  const changed = await createdDifferences(broker, manifest);
  if (changed) {
    if (changed.length === 0) return { action: 'unchanged' };
    throw cannotChange(manifest, changed, `Delete it and apply again, or use another name.`);
  }
  await post(broker, manifest, options);
  return { action: 'created', differences: additions(manifest) };
}

/** What differs from the organization, project, image or key there is; undefined where there is none. */
export async function createdDifferences(
  broker: Broker,
  manifest: Manifest,
): Promise<Difference[] | undefined> {
  const existing = await find(broker, manifest);
  if (existing === undefined) return undefined;
  return [
    ...labelDifferences(manifest.labels, existing.body.labels),
    ...specDifferences(manifest, existing.body),
  ];
}

function specDifferences(manifest: Manifest, existing: Record<string, unknown>): Difference[] {
  if (manifest.kind === 'SshKey') {
    // The comment at a key's end is no part of it.
    const material = (key: unknown): string => String(key).trim().split(/\s+/).slice(0, 2).join(' ');
    return differences(
      { publicKey: material(existing.publicKey) },
      { publicKey: material(manifest.spec.publicKey) },
      'spec',
    );
  }
  const named = Object.fromEntries(Object.keys(manifest.spec).map((field) => [field, existing[field]]));
  return differences(named, manifest.spec, 'spec');
}

function find({ client, project }: Broker, { kind, name }: Manifest): Promise<Found> {
  switch (kind) {
    case 'Organization':
      return bodyIfFound(
        client.GET('/v1/organizations/{organization}', { params: { path: { organization: name } } }),
      );
    case 'Project':
      return bodyIfFound(client.GET('/v1/projects/{project}', { params: { path: { project: name } } }));
    case 'Image':
      return bodyIfFound(client.GET('/v1/images/{image}', { params: { path: { image: name } } }));
    case 'SshKey':
      return bodyIfFound(
        client.GET('/v1/projects/{project}/sshKeys/{sshKey}', {
          params: { path: { project, sshKey: name } },
        }),
      );
    default:
      throw new Error(`${kind} has its own way to be applied`);
  }
}

function post({ client, project }: Broker, manifest: Manifest, options: ApplyOptions): Promise<unknown> {
  const params = writeParams(options);
  // What a manifest's spec must be, the broker checks: it answers with pointers into this body.
  const body = inputOf(manifest) as never;
  switch (manifest.kind) {
    case 'Organization':
      return answer(client.POST('/v1/organizations', { params, body }));
    case 'Project':
      return answer(client.POST('/v1/projects', { params, body }));
    case 'Image':
      return answer(client.POST('/v1/images', { params, body }));
    case 'SshKey':
      return answer(
        client.POST('/v1/projects/{project}/sshKeys', { params: { ...params, path: { project } }, body }),
      );
    default:
      throw new Error(`${manifest.kind} has its own way to be applied`);
  }
}
