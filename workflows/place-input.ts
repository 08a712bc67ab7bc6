import type { InstanceSpec, Schemas } from '@landfall/model';
import {
  type CompiledPolicies,
  compilePolicies,
  type ImageReach,
  PolicyProblems,
  parsePolicy,
  parseRequestRules,
  type SiteView,
} from '@landfall/policies';
import type { ParsedRule } from '@landfall/policies/file/policy.ts';
import {
  type Database,
  imageArchitectures,
  type LedgerHost,
  type Queryable,
  type Tied,
} from '@landfall/store';
import type { Selectable } from 'kysely';

export { anywhere, type ImageReach, type PlacementSubject, placementRequest } from '@landfall/policies';

/** The request narrowed to where its network and its own image are. */
export function narrowedTo(spec: InstanceSpec, tied: Tied): InstanceSpec {
  const { site, region, zones, host } = tied;
  // What has nothing in common stays as it was asked: then no offer fits, and the decision says why.
  const both = (asked: string[] = [], ...only: string[]): string[] => {
    if (asked.length === 0) return only;
    const common = asked.filter((each) => only.includes(each));
    return common.length > 0 ? common : asked;
  };
  const { placement = {} } = spec;
  return {
    ...spec,
    placement: {
      ...placement,
      sites: both(placement.sites, site),
      regions: both(placement.regions, region),
      // What is offered in the whole region has no zone yet, and goes into that of its subnet.
      ...(zones ? { zones: both(placement.zones, ...zones, ...(placement.zones?.length ? [] : [''])) } : {}),
      ...(host ? { hosts: both(placement.hosts, host) } : {}),
    },
  };
}

const providers = ['aws', 'azure', 'gcp', 'onprem'] as const satisfies Schemas['Provider'][];

/** Where the image is to be had. Empty = nowhere. One of a project's own is where it is, to which `narrowedTo` keeps the request. */
export async function imageReach(db: Queryable, image: string): Promise<ImageReach> {
  const row = await db.selectFrom('images').select('spec').where('name', '=', image).executeTakeFirst();
  const own = await db
    .selectFrom('resources')
    .select(['spec', 'status'])
    .where('kind', '=', 'CustomImage')
    .where('name', '=', image)
    .where('gone_at', 'is', null)
    .execute();
  return providers
    .map((provider) => ({
      provider,
      architectures: [
        ...new Set([
          ...(row ? imageArchitectures(row.spec, provider) : []),
          ...own
            .filter(({ status }) => status.provider === provider)
            .map(({ spec }) => spec.architecture ?? ('x86_64' as const)),
        ]),
      ],
    }))
    .filter(({ architectures }) => architectures.length > 0);
}

/** A site's row, as far as placement reads it. */
export type SiteRow = Pick<Selectable<Database['sites']>, 'name' | 'provider' | 'labels' | 'spec'>;

export async function readSites(db: Queryable, organization: string): Promise<SiteRow[]> {
  return db
    .selectFrom('sites')
    .select(['name', 'provider', 'labels', 'spec'])
    .where('organization', '=', organization)
    .orderBy('name')
    .execute();
}

/** The organization's sites as placement sees them, with what is free on each host. */
export async function siteViews(
  db: Queryable,
  organization: string,
  hosts: LedgerHost[],
): Promise<SiteView[]> {
  return sitesWithHosts(await readSites(db, organization), hosts);
}

export function sitesWithHosts(rows: readonly SiteRow[], hosts: readonly LedgerHost[]): SiteView[] {
  return rows.map((row) => ({
    name: row.name,
    provider: row.provider,
    regions: row.spec.regions ?? [],
    ...(row.spec.jurisdiction ? { jurisdiction: row.spec.jurisdiction } : {}),
    certifications: row.spec.certifications ?? [],
    labels: row.labels,
    ...(row.spec.pricing
      ? {
          pricing: {
            vcpuHour: row.spec.pricing.vcpuHour,
            gibHour: row.spec.pricing.gibHour,
            gpuHour: row.spec.pricing.gpuHour ?? 0,
            currency: 'USD' as const,
          },
        }
      : {}),
    hosts: hosts
      .filter((host) => host.site === row.name)
      .map((host) => ({
        name: host.name,
        zone: host.zone,
        region: row.spec.regions?.[0] ?? row.name,
        architecture: host.architecture,
        accel: host.accel,
        ...(host.gpuName === null ? {} : { gpuName: host.gpuName }),
        free: host.free,
        capacity: host.capacity,
        ready: host.ready,
      })),
  }));
}

/** Compiled once for each set of policy versions. */
const compiled = new Map<string, CompiledPolicies>();
const compiledKept = 50;

/** Rules that this version of the program cannot read: nothing is placed under them, since they might forbid it. */
export class UnreadablePolicy extends Error {}

/** The policies in force for an organization, ready for placement. Throws {@link UnreadablePolicy}. */
export async function policiesInForce(db: Queryable, organization: string): Promise<CompiledPolicies> {
  const inForce = () =>
    db
      .selectFrom('policies')
      .where('organization', '=', organization)
      .where('deleted_at', 'is', null)
      .orderBy('name');
  const keyOf = (versions: { name: string; version: string }[]) =>
    `${organization}:${versions.map(({ name, version }) => `${name}@${version}`).join(',')}`;
  const known = compiled.get(keyOf(await inForce().select(['name', 'version']).execute()));
  if (known) return known;
  const rows = await inForce().select(['name', 'version', 'source']).execute();
  const fresh = compile(rows, organization);
  if (compiled.size >= compiledKept) compiled.clear();
  compiled.set(keyOf(rows), fresh);
  return fresh;
}

/** They were valid when they were put, so what is wrong now is that the program reads them otherwise: after an upgrade, say. */
function compile(rows: { name: string; source: string }[], organization: string): CompiledPolicies {
  const unreadable = (name: string, line: number, message: string) =>
    new UnreadablePolicy(
      `nothing is placed in organization ${organization} while policy ${name} cannot be read (line ${line}: ${message}): put a corrected version with \`landfall policy put\`, or delete it`,
    );
  const parsed = rows.flatMap((row) => {
    const { policies, problems } = parsePolicy(row.source, row.name);
    const error = problems.find((problem) => problem.severity === 'error');
    if (error) throw unreadable(row.name, error.line, error.message);
    return policies;
  });
  try {
    return compilePolicies(parsed);
  } catch (error) {
    if (!(error instanceof PolicyProblems)) throw error;
    const { file, line, message } = error.problems[0]!;
    throw unreadable(file, line, message);
  }
}

/** The rules that a request brings itself. They were valid when it came; throws {@link UnreadablePolicy} where they no longer are. */
export function ownRules(spec: InstanceSpec): readonly ParsedRule[] {
  if (!spec.placement?.rules?.length) return [];
  const { rules, problems } = parseRequestRules(spec.placement.rules, 'request');
  const error = problems.find((problem) => problem.severity === 'error');
  if (error)
    throw new UnreadablePolicy(
      `the request's own rules cannot be read (/spec/placement/rules${error.path}: ${error.message})`,
    );
  return rules;
}
