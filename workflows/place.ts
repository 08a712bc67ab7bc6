import type { Decision, InstanceSpec, Offer } from '@landfall/model';
import { type CompiledPolicies, NO_POLICIES, type PlacementRequest, place } from '@landfall/policies';
import type { ParsedRule } from '@landfall/policies/file/policy.ts';
import {
  type ApprovalRow,
  type Claim,
  claim,
  claimGroups,
  EstateReader,
  estateMachines,
  type InstanceRow,
  type Intent,
  type LedgerHost,
  type LedgerSnapshot,
  ledgerSnapshot,
  type NewDecision,
  newId,
  newIntent,
  type Queryable,
  recordDecisions,
  replaceOffer,
  type Size,
  type Tx,
  writeIntents,
} from '@landfall/store';
import { sql } from 'kysely';
import { approvalStanding } from './approvals.ts';
import { shippedCatalogue } from './catalogue.ts';
import { ledgerKeys, readsEstate } from './ledger-keys.ts';
import {
  anywhere,
  type ImageReach,
  ownRules,
  type PlacementSubject,
  placementRequest,
  UnreadablePolicy,
} from './place-input.ts';
import type { Turn } from './turn.ts';
import { type Estates, View } from './view.ts';

/** Another placement took the capacity between our look and our claim: roll back and look again. */
export class ClaimLost extends Error {}

export type Placed =
  | { intent: Intent; decision: string; ttlHours: number | null }
  | { intent: null; decision: string; code: 'Unplaceable' | 'NotApproved'; reasons: string[] }
  /** Only a host that is silent now stands in the way: nothing was recorded; look again soon. */
  | { waitsFor: string }
  /** Nothing is claimed yet. `decision` is what approval was asked for now; null: it was asked for before. */
  | { approvals: ApprovalRow[]; decision: string | null };

export type Resized =
  | { fits: true; offer: Offer }
  | { fits: false; code: 'Unplaceable' | 'NotApproved'; reasons: string[] }
  | { approvals: ApprovalRow[] };

export interface Placer {
  /**
   * Decides; the decision, the intent and its claim are written by `settle`, with which the caller's transaction ends. `spec` is
   * the row's, narrowed to where what it names is.
   */
  place(turn: Turn, attempt: number, spec: InstanceSpec): Promise<Placed>;
  /** The offer for the size wanted now, at the place where the machine stands; claims the difference. */
  resize(turn: Turn, intent: Intent): Promise<Resized>;
  /**
   * Writes what the transaction's placements have left for its end, each kind in one statement: the decisions, the intents,
   * and what others want too, the room of hosts and the groups that rules count. Throws {@link ClaimLost}.
   */
  settle(tx: Tx): Promise<void>;
}

/** A placement, and what it was decided on. */
export interface Look {
  decision: Decision;
  hosts: LedgerHost[];
  request: PlacementRequest;
  policies: CompiledPolicies;
  own: readonly ParsedRule[];
  /** Null: no rule reads the machines that exist, so they were not read. */
  counted: LedgerSnapshot | null;
  /** Some machine that stands, or is to, may have a rule of its own about others. */
  minds: boolean;
}

/**
 * Runs the placement engine over what the view knows. Fails closed: under a policy that cannot be read, nothing can be
 * placed, and the decision says why.
 */
export async function runPlacement(
  view: View,
  subject: PlacementSubject,
  options: {
    includeUnconfigured: boolean;
    /** As if every host were heard of. */
    assumeReady?: boolean;
    narrow?: (request: PlacementRequest) => PlacementRequest;
  },
): Promise<Look> {
  const known = await view.hosts();
  const hosts = options.assumeReady ? known.map((host) => ({ ...host, ready: true })) : known;
  // What was adopted has no image, and stays with its provider.
  const image = subject.spec.image === undefined ? anywhere : await view.image(subject.spec.image);
  const wanted = placementRequest(subject, image);
  const request = options.narrow ? options.narrow(wanted) : wanted;
  const look = { hosts, request, policies: NO_POLICIES, own: [], counted: null, minds: false };
  if (request.providers.length === 0)
    return { ...look, decision: undecided(request, noProvider(subject, image)) };
  let policies: CompiledPolicies;
  let own: readonly ParsedRule[];
  try {
    policies = await view.policies();
    own = ownRules(subject.spec);
  } catch (error) {
    if (!(error instanceof UnreadablePolicy)) throw error;
    return { ...look, decision: undecided(request, error.message) };
  }
  const minds = await view.ownAntiAffinity();
  const estate = readsEstate(policies, own, subject, minds) ? await view.estate() : null;
  const decision = place({
    request,
    catalogue: await view.catalogue(),
    sites: await view.sites(hosts),
    policies,
    requestRules: own,
    estate: estate?.machines ?? [],
    now: new Date(),
    setAside: await view.setAside(),
    includeUnconfigured: options.includeUnconfigured,
  });
  const counted = estate?.counted ?? null;
  return { decision: decision as Decision, hosts, request, policies, own, counted, minds };
}

/** Why no provider comes into question for a request. */
export function noProvider({ spec }: PlacementSubject, image: ImageReach): string {
  const { architecture = 'x86_64' } = spec;
  const asked = spec.placement?.providers ?? [];
  const providers = image
    .filter(({ architectures }) => architecture === 'any' || architectures.includes(architecture))
    .map(({ provider }) => provider);
  const wanted = `the image ${spec.image}${architecture === 'arm64' ? ' for arm64' : ''}`;
  return providers.length === 0
    ? `no provider has ${wanted}`
    : `${wanted} is to be had on ${providers.join(', ')}; the request allows only ${asked.join(', ')}`;
}

/** The record of a request for which no offer was looked at. */
function undecided(request: PlacementRequest, reason: string): Decision {
  const { version, date } = shippedCatalogue();
  return {
    request,
    now: new Date().toISOString(),
    outcome: 'unplaceable',
    winner: null,
    fallbacks: [],
    cheapestByProvider: [],
    considered: 0,
    compliant: 0,
    funnel: [],
    rules: [],
    reasons: [reason],
    catalogue: { version, date },
    policies: [],
    certificate: { method: 'exact', bound: null, gap: 0 },
  };
}

function subjectOf(row: InstanceRow, organization: string): PlacementSubject {
  return { organization, project: row.project, name: row.name, labels: row.labels, spec: row.spec };
}

export function placer(): Placer {
  const open = new OpenTransactions();
  return {
    async place({ tx, row, organization, asker, now }, attempt, spec) {
      const subject = { ...subjectOf(row, organization), spec };
      const { view, pending } = open.of(tx, organization);
      const look = await runPlacement(view, subject, { includeUnconfigured: false });
      const { decision, hosts } = look;
      if (!decision.winner && hosts.some((host) => !host.ready)) {
        const later = await runPlacement(view, subject, { includeUnconfigured: false, assumeReady: true });
        if (later.decision.winner)
          return { waitsFor: `host ${later.decision.winner.host} of site ${later.decision.winner.site}` };
      }
      let recorded: string | null = null;
      const record = (): string => {
        if (recorded !== null) return recorded;
        recorded = newId();
        pending.decisions.push({ id: recorded, ...recordOf(row, attempt, decision) });
        return recorded;
      };
      const winner = decision.winner;
      if (!winner?.site)
        return { decision: record(), intent: null, code: 'Unplaceable', reasons: decision.reasons };
      const standing = await approvalStanding(tx, row, organization, asker, decision, winner, record);
      if ('waitsFor' in standing) return { approvals: standing.waitsFor, decision: recorded };
      const id = record();
      if (!standing.approved)
        return { decision: id, intent: null, code: 'NotApproved', reasons: standing.refused };
      const intent = newIntent({
        resource: row.id,
        attempt,
        operation: asker.operation,
        offer: { ...winner, site: winner.site },
        sizedFor: sizeOf(row),
        now,
      });
      pending.intents.push(intent);
      const host = hostOf(winner, hosts);
      if (host) pending.claims.push(roomOf(row, attempt, host));
      pending.count(organization, winner, look);
      await view.took(row, { ...winner, site: winner.site }, sizeOf(row), host);
      return { decision: id, intent, ttlHours: decision.ttlHours ?? null };
    },
    async resize({ tx, row, organization, asker }, intent) {
      if (stillFits(row, intent)) return { fits: true, offer: intent.offer };
      const { pending } = open.of(tx, organization);
      // What stands is read anew, and what was placed before in this transaction is to be seen there.
      await pending.writePlaced(tx);
      const view = new View(tx, organization, asSeen, row.id);
      const look = await runPlacement(view, subjectOf(row, organization), {
        includeUnconfigured: false,
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
      const { decision } = look;
      const { winner } = decision;
      if (!winner) return { fits: false, code: 'Unplaceable', reasons: decision.reasons };
      const record = (): string => {
        const id = newId();
        pending.decisions.push({ id, ...recordOf(row, intent.attempt, decision) });
        return id;
      };
      const standing = await approvalStanding(tx, row, organization, asker, decision, winner, record);
      if ('waitsFor' in standing) return { approvals: standing.waitsFor };
      if (!standing.approved) return { fits: false, code: 'NotApproved', reasons: standing.refused };
      const offer = { ...winner, zone: intent.zone };
      await replaceOffer(tx, row.id, intent.attempt, offer, sizeOf(row));
      const host = hostOf(winner, look.hosts);
      if (host) pending.claims.push(roomOf(row, intent.attempt, host));
      pending.count(organization, winner, look);
      await pending.writePlaced(tx);
      open.forget(tx, organization);
      return { fits: true, offer };
    },
    async settle(tx) {
      const pending = open.pending(tx);
      await recordDecisions(tx, pending.decisions);
      await pending.writePlaced(tx);
      // In the order of their looks: what was counted first has seen least.
      for (const { organization, counted, keys } of pending.counts)
        if (!(await claimGroups(tx, organization, [...keys], counted)))
          throw new ClaimLost('what the rules count has changed');
    },
  };
}

/** All machines anew, with what the transaction itself has changed. */
const asSeen: Estates = {
  seesOwn: true,
  async read(db, organization) {
    const counted = await ledgerSnapshot(db);
    return { counted, machines: await estateMachines(db, organization) };
  },
};

/** What placements of a transaction leave for its end. */
class Pending {
  readonly decisions: NewDecision[] = [];
  readonly intents: Intent[] = [];
  readonly claims: Claim[] = [];
  readonly counts: { organization: string; counted: LedgerSnapshot; keys: Set<string> }[] = [];

  /** Writes the intents, and claims the room they take of hosts. Throws {@link ClaimLost}. */
  async writePlaced(tx: Tx): Promise<void> {
    await writeIntents(tx, this.intents.splice(0));
    const claims = this.claims.splice(0);
    if (await claim(tx, claims)) return;
    const hosts = [...new Set(claims.map(({ site, host }) => `${site}/${host}`))];
    throw new ClaimLost(`the ledger of a host moved on (${hosts.join(', ')})`);
  }

  /** Notes the groups that a placement adds to. */
  count(organization: string, winner: Offer, look: Look): void {
    const { decision, request, policies, own, counted, minds } = look;
    if (counted === null) return;
    let group = this.counts.find((one) => one.organization === organization && one.counted === counted);
    if (!group) {
      group = { organization, counted, keys: new Set() };
      this.counts.push(group);
    }
    for (const key of ledgerKeys(policies, own, request, decision, winner, minds)) group.keys.add(key);
  }
}

/** What is known of transactions under way: by organization what was read in them, and what they still have to write. */
class OpenTransactions {
  readonly #open = new WeakMap<Tx, { views: Map<string, View>; pending: Pending }>();
  readonly #estates = new EstateReader();

  of(tx: Tx, organization: string): { view: View; pending: Pending } {
    const { views, pending } = this.#of(tx);
    const view = views.get(organization) ?? new View(tx, organization, this.#estates);
    views.set(organization, view);
    return { view, pending };
  }

  pending(tx: Tx): Pending {
    return this.#of(tx).pending;
  }

  /** What was read in a transaction is no longer so: it is read again, as the transaction itself sees it. */
  forget(tx: Tx, organization: string): void {
    this.#of(tx).views.set(organization, new View(tx, organization, asSeen));
  }

  #of(tx: Tx): { views: Map<string, View>; pending: Pending } {
    const known = this.#open.get(tx) ?? { views: new Map<string, View>(), pending: new Pending() };
    this.#open.set(tx, known);
    return known;
  }
}

function recordOf(row: InstanceRow, attempt: number, record: Decision): Omit<NewDecision, 'id'> {
  // The row's may change; what-if replays what was decided on.
  const requestRules = row.spec.placement?.rules ?? [];
  return {
    project: row.project,
    resource: row.id,
    resourceName: row.name,
    attempt,
    record: { ...record, requestRules },
  };
}

function sizeOf(row: InstanceRow): Size {
  const { vcpus, memoryGiB, diskGiB = 10, gpu } = row.spec;
  return { vcpus, memoryGiB, diskGiB, gpus: gpu?.count ?? 0 };
}

/** True when the size wanted is the size the intent's offer was chosen for. */
export function stillFits(row: InstanceRow, intent: Intent): boolean {
  const wanted = sizeOf(row);
  return (
    wanted.vcpus === intent.sized_for.vcpus &&
    wanted.memoryGiB === intent.sized_for.memoryGiB &&
    wanted.diskGiB === intent.sized_for.diskGiB &&
    wanted.gpus === intent.sized_for.gpus
  );
}

/** The winner's host as it was looked at; null for a cloud. */
function hostOf(winner: Offer, hosts: readonly LedgerHost[]): LedgerHost | null {
  if (!winner.host) return null;
  const host = hosts.find(({ site, name }) => site === winner.site && name === winner.host);
  if (!host) throw new Error(`host ${winner.host} was chosen and is not among those looked at`);
  return host;
}

/** What a machine takes of its host. */
function roomOf(row: InstanceRow, attempt: number, { site, name, generation }: LedgerHost): Claim {
  return { resource: row.id, attempt, site, host: name, generation, ...sizeOf(row) };
}

/** Deletes set-asides that are over. */
export async function pruneSetAsides(db: Queryable): Promise<void> {
  await db.deleteFrom('set_asides').where('until', '<', sql<Date>`now()`).execute();
}
