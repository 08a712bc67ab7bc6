import { type Decision, durationMs, type InstanceSpec, type Offer } from '@landfall/model';
import {
  type CompiledPolicies,
  compilePolicies,
  type Decision as PlacementDecision,
  type PlacementRequest,
  parsePolicy,
  place,
  type SiteView,
} from '@landfall/policies';
import {
  activeSetAsides,
  claim,
  type InstanceRow,
  type Intent,
  type LedgerHost,
  ledgerHosts,
  openIntent,
  type Queryable,
  recordDecision,
  replaceOffer,
  type Size,
  type Tx,
} from '@landfall/store';
import { sql } from 'kysely';
import { catalogueInForce, shippedCatalogue } from './catalogue.ts';

/** Another placement took the capacity between our look and our claim: roll back and look again. */
export class ClaimLost extends Error {}

export type Placed =
  | { intent: Intent; decision: string }
  | { intent: null; decision: string; reasons: string[] }
  /** Only a host that is silent now stands in the way: nothing was recorded; look again soon. */
  | { waitsFor: string };

export interface Placer {
  /** Decides, records the decision, claims capacity and writes the intent, all in the caller's transaction. */
  place(tx: Tx, row: InstanceRow, organization: string, attempt: number, operation: string): Promise<Placed>;
  /** The offer for the size wanted now, at the place where the machine stands; claims the difference. */
  resize(
    tx: Tx,
    row: InstanceRow,
    organization: string,
    intent: Intent,
  ): Promise<{ fits: true; offer: Offer } | { fits: false; reasons: string[] }>;
}

export interface PlacementSubject {
  organization: string;
  project: string;
  name: string;
  labels: Record<string, string>;
  spec: InstanceSpec;
}

/** What policies see of a request. `providers` is narrowed to those that have the image. */
export function placementRequest(subject: PlacementSubject, imageProviders: string[]): PlacementRequest {
  const { spec } = subject;
  const wanted = spec.placement?.providers ?? [];
  return {
    name: subject.name,
    project: subject.project,
    organization: subject.organization,
    labels: subject.labels,
    dataClass: spec.dataClass ?? '',
    image: spec.image,
    vcpus: spec.vcpus,
    memoryGiB: spec.memoryGiB,
    diskGiB: spec.diskGiB ?? 10,
    architecture: spec.architecture ?? 'x86_64',
    gpuName: spec.gpu?.name ?? '',
    gpuCount: spec.gpu?.count ?? 0,
    market: spec.market ?? 'onDemand',
    instanceType: spec.instanceType ?? '',
    publicAddress: spec.publicAddress ?? false,
    count: 1,
    providers:
      wanted.length === 0 ? imageProviders : wanted.filter((provider) => imageProviders.includes(provider)),
    sites: spec.placement?.sites ?? [],
    regions: spec.placement?.regions ?? [],
    zones: spec.placement?.zones ?? [],
    hosts: spec.placement?.hosts ?? [],
    maxPricePerHour: spec.placement?.maxPricePerHour ?? 0,
    ttlHours: spec.ttl ? durationMs(spec.ttl) / 3_600_000 : 0,
  };
}

/** Providers that have the image. Empty = none has it. */
export async function imageProviders(db: Queryable, image: string): Promise<string[]> {
  const row = await db.selectFrom('images').select('spec').where('name', '=', image).executeTakeFirst();
  if (!row) return [];
  return (['aws', 'azure', 'gcp', 'onprem'] as const).filter((provider) => row.spec[provider] !== undefined);
}

/** The organization's sites as placement sees them, with what is free on each host. */
export async function siteViews(
  db: Queryable,
  organization: string,
  hosts: LedgerHost[],
): Promise<SiteView[]> {
  const rows = await db
    .selectFrom('sites')
    .select(['name', 'provider', 'labels', 'spec'])
    .where('organization', '=', organization)
    .orderBy('name')
    .execute();
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
        free: host.free,
        capacity: host.capacity,
        ready: host.ready,
      })),
  }));
}

/** Compiled once for each set of policy versions. */
const compiled = new Map<string, CompiledPolicies>();
const compiledKept = 50;

/** The policies in force for a project of an organization. They were valid when they were put, so a problem here is a defect. */
export async function policiesInForce(db: Queryable, organization: string): Promise<CompiledPolicies> {
  const rows = await db
    .selectFrom('policies')
    .select(['name', 'version', 'source'])
    .where('organization', '=', organization)
    .where('deleted_at', 'is', null)
    .orderBy('name')
    .execute();
  const key = `${organization}:${rows.map((row) => `${row.name}@${row.version}`).join(',')}`;
  const known = compiled.get(key);
  if (known) return known;
  const parsed = rows.map((row) => {
    const { policies, problems } = parsePolicy(row.source, row.name);
    const error = problems.find((problem) => problem.severity === 'error');
    if (error)
      throw new Error(`policy ${row.name} in force does not parse: ${error.message} (line ${error.line})`);
    return policies;
  });
  const fresh = compilePolicies(parsed.flat());
  if (compiled.size >= compiledKept) compiled.clear();
  compiled.set(key, fresh);
  return fresh;
}

/** Runs the placement engine over what the store knows now. */
export async function runPlacement(
  db: Queryable,
  subject: PlacementSubject,
  options: {
    includeUnconfigured: boolean;
    /** As if every host were heard of. */
    assumeReady?: boolean;
    exceptResource?: string;
    narrow?: (request: PlacementRequest) => PlacementRequest;
  },
): Promise<{ decision: Decision; hosts: LedgerHost[] }> {
  const known = await ledgerHosts(db, options.exceptResource ?? null);
  const hosts = options.assumeReady ? known.map((host) => ({ ...host, ready: true })) : known;
  const providers = await imageProviders(db, subject.spec.image);
  const request = placementRequest(subject, providers);
  if (request.providers.length === 0) return { decision: noProvider(subject, providers), hosts };
  const asides = await activeSetAsides(db);
  const decision: PlacementDecision = place({
    request: options.narrow ? options.narrow(request) : request,
    catalogue: await catalogueInForce(db, subject.organization),
    sites: await siteViews(db, subject.organization, hosts),
    policies: await policiesInForce(db, subject.organization),
    setAside: asides.map((aside) => ({
      site: aside.site,
      region: aside.region,
      zone: aside.zone,
      host: aside.host,
      instanceType: aside.instance_type,
      market: aside.market,
      reason: aside.reason,
    })),
    includeUnconfigured: options.includeUnconfigured,
  });
  return { decision: decision as Decision, hosts };
}

function noProvider(subject: PlacementSubject, providers: string[]): Decision {
  const { version, date } = shippedCatalogue();
  const asked = subject.spec.placement?.providers ?? [];
  return {
    outcome: 'unplaceable',
    winner: null,
    fallbacks: [],
    cheapestByProvider: [],
    considered: 0,
    compliant: 0,
    funnel: [],
    rules: [],
    reasons: [
      providers.length === 0
        ? `no provider has the image ${subject.spec.image}`
        : `the image ${subject.spec.image} is to be had on ${providers.join(', ')}; the request allows only ${asked.join(', ')}`,
    ],
    catalogue: { version, date },
    policies: [],
    certificate: { method: 'exact', bound: null, gap: 0 },
  };
}

function subjectOf(row: InstanceRow, organization: string): PlacementSubject {
  return { organization, project: row.project, name: row.name, labels: row.labels, spec: row.spec };
}

export function placer(): Placer {
  return {
    async place(tx, row, organization, attempt, operation) {
      const subject = subjectOf(row, organization);
      const { decision, hosts } = await runPlacement(tx, subject, { includeUnconfigured: false });
      if (!decision.winner && hosts.some((host) => !host.ready)) {
        const later = await runPlacement(tx, subject, { includeUnconfigured: false, assumeReady: true });
        if (later.decision.winner)
          return { waitsFor: `host ${later.decision.winner.host} of site ${later.decision.winner.site}` };
      }
      const id = await recordDecision(tx, {
        project: row.project,
        resource: row.id,
        resourceName: row.name,
        attempt,
        record: decision,
      });
      const winner = decision.winner;
      if (!winner?.site) return { decision: id, intent: null, reasons: decision.reasons };
      await claimRoom(tx, row, winner, attempt, hosts);
      const intent = await openIntent(tx, {
        resource: row.id,
        attempt,
        operation,
        offer: { ...winner, site: winner.site },
        sizedFor: sizeOf(row),
      });
      return { decision: id, intent };
    },
    async resize(tx, row, organization, intent) {
      if (stillFits(row, intent)) return { fits: true, offer: intent.offer };
      const { decision, hosts } = await runPlacement(tx, subjectOf(row, organization), {
        includeUnconfigured: false,
        exceptResource: row.id,
        narrow: (request) => ({
          ...request,
          providers: [intent.offer.provider],
          sites: [intent.site],
          regions: [intent.region],
          zones: [],
          hosts: intent.host ? [intent.host] : [],
          architecture: intent.offer.architecture,
          market: intent.offer.market,
        }),
      });
      const winner = decision.winner;
      if (!winner) return { fits: false, reasons: decision.reasons };
      await claimRoom(tx, row, winner, intent.attempt, hosts);
      const offer = { ...winner, zone: intent.zone };
      await replaceOffer(tx, row.id, intent.attempt, offer, sizeOf(row));
      return { fits: true, offer };
    },
  };
}

function sizeOf(row: InstanceRow): Size {
  return { vcpus: row.spec.vcpus, memoryGiB: row.spec.memoryGiB, diskGiB: row.spec.diskGiB ?? 10 };
}

/** True when the size wanted is the size the intent's offer was chosen for. */
export function stillFits(row: InstanceRow, intent: Intent): boolean {
  const wanted = sizeOf(row);
  return (
    wanted.vcpus === intent.sized_for.vcpus &&
    wanted.memoryGiB === intent.sized_for.memoryGiB &&
    wanted.diskGiB === intent.sized_for.diskGiB
  );
}

async function claimRoom(
  tx: Tx,
  row: InstanceRow,
  winner: Offer,
  attempt: number,
  hosts: LedgerHost[],
): Promise<void> {
  if (!winner.host) return;
  const host = hosts.find((candidate) => candidate.site === winner.site && candidate.name === winner.host);
  if (!host) throw new ClaimLost(`host ${winner.host} is no longer there`);
  const taken = await claim(
    tx,
    { resource: row.id, attempt, site: host.site, host: host.name, ...sizeOf(row) },
    host.generation,
  );
  if (!taken) throw new ClaimLost(`the ledger of host ${host.name} moved on`);
}

/** Deletes set-asides that are over. */
export async function pruneSetAsides(db: Queryable): Promise<void> {
  await db.deleteFrom('set_asides').where('until', '<', sql<Date>`now()`).execute();
}
