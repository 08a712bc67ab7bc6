import type { InstanceSpec } from '@landfall/model';
import { judge, type PlacedMachine, type SiteView, standings, type Violation } from '@landfall/policies';
import {
  judgeResources,
  type ResourceViolation,
  type StandingResource,
} from '@landfall/policies/kinds/judge.ts';
import {
  appendEvent,
  type Db,
  estateMachines,
  finishOperations,
  isConnectionError,
  ledgerHosts,
  progressOperations,
  type Queryable,
} from '@landfall/store';
import {
  type FoundViolation,
  hasRequestRules,
  hasStandingViolations,
  lockCompliance,
  machinesToJudge,
  type Recorded,
  recordViolations,
  resourcesToJudge,
} from '@landfall/store/compliance.ts';
import { wordsOf } from '@landfall/store/resource-kinds.ts';
import { heartbeat, log } from '@temporalio/activity';
import { catalogueInForce } from './catalogue.ts';
import { type Acted, actOnViolations } from './compliance-actions.ts';
import {
  anywhere,
  type ImageReach,
  imageReach,
  ownRules,
  placementRequest,
  policiesInForce,
  siteViews,
  UnreadablePolicy,
} from './place-input.ts';
import { placeAt, resourceRequest } from './resource-policies.ts';

export interface ComplianceActivities {
  /**
   * Judges every machine of every organization (of the operation's, where there is one), keeps what is found, and acts on
   * it. Ends the operation. Safe to repeat and to do twice at a time.
   */
  comply(input: { operation?: string }): Promise<{ machines: number; standing: number; tookMs: number }>;
  failComplianceRun(input: { operation: string; reason: string }): Promise<void>;
}

/** Machines read at a time. */
const page = 1_000;

export function complianceActivities(db: Db): ComplianceActivities {
  return {
    async comply({ operation }) {
      const started = Date.now();
      const total = { machines: 0, standing: 0 };
      for (const organization of await organizationsOf(db, operation)) {
        try {
          if (operation)
            await db
              .transaction()
              .execute((tx) => progressOperations(tx, [operation], 'holding machines against the policies'));
          const looked = await lookAt(db, organization);
          const acted = await actOnViolations(db, organization, looked.machines ?? 0);
          total.machines += looked.machines ?? 0;
          total.standing += looked.standing;
          if (operation) await finish(db, organization, operation, summary(looked, acted));
        } catch (error) {
          // One organization's broken policies must not hide another's violations; without a database all wait.
          const isUnreadable = error instanceof UnreadablePolicy;
          if (isConnectionError(error) || (operation && !isUnreadable)) throw error;
          log.warn(`compliance of organization ${organization} could not be judged`, { error });
          if (operation) await fail(db, operation, (error as Error).message);
        }
      }
      return { ...total, tookMs: Date.now() - started };
    },

    async failComplianceRun({ operation, reason }) {
      await fail(db, operation, reason);
    },
  };
}

async function organizationsOf(db: Db, operation: string | undefined): Promise<string[]> {
  const rows = operation
    ? await db.selectFrom('operations').select('organization as name').where('id', '=', operation).execute()
    : await db.selectFrom('organizations').select('name').orderBy('name').execute();
  return rows.map(({ name }) => name);
}

/** `machines` is null where there was nothing to hold them against. */
type Looked = Recorded & { machines: number | null; resources: number };

/**
 * One look at an organization. The lock comes before the first read: of two looks the later one sees what the earlier one
 * saw, and more. The transaction has no number of its own until it writes, so it holds no watch up while it judges.
 */
async function lookAt(db: Db, organization: string): Promise<Looked> {
  return db.transaction().execute(async (tx) => {
    await lockCompliance(tx, organization);
    const policies = await policiesInForce(tx, organization);
    const isHeldToNothing = policies.rules.length === 0 && !(await hasRequestRules(tx, organization));
    if (isHeldToNothing && !(await hasStandingViolations(tx, organization)))
      return { machines: null, resources: 0, opened: 0, resolved: 0, standing: 0 };
    const now = new Date();
    const sites = await siteViews(tx, organization, await ledgerHosts(tx));
    const estate = await estateMachines(tx, organization);
    const machines = await placedMachines(tx, organization, estate);
    const standing = standings(machines, await catalogueInForce(tx, organization), sites);
    const found = await inSteps(judge({ standings: standing, estate, policies, sites, now }));
    const resources = await standingResources(tx, organization, sites);
    const others = await inSteps(judgeResources({ resources, policies, now }));
    const all = [...found.map(ofMachine), ...others.map(ofResource)];
    const recorded = await recordViolations(tx, organization, all, now);
    return { ...recorded, machines: machines.length, resources: resources.length };
  });
}

/** Judges, and lets others have their turn. */
async function inSteps<T>(judging: Generator<void, T>): Promise<T> {
  let step = judging.next();
  while (!step.done) {
    heartbeat();
    await new Promise((resolve) => setImmediate(resolve));
    step = judging.next();
  }
  return step.value;
}

async function placedMachines(
  db: Queryable,
  organization: string,
  estate: Awaited<ReturnType<typeof estateMachines>>,
): Promise<PlacedMachine[]> {
  // A resource that moves is in the estate twice; where it goes to is the later one.
  const byId = new Map(estate.map((machine) => [machine.id, machine]));
  const reachOf = new Map<string, ImageReach>();
  const placed: PlacedMachine[] = [];
  for (let after: string | null = null; ; ) {
    const rows = await machinesToJudge(db, organization, after, page);
    for (const { id, offer, ttlHours, ...subject } of rows) {
      const machine = byId.get(id);
      if (!machine) continue; // it went between the two reads
      const { image } = subject.spec;
      const reach = image === undefined ? anywhere : (reachOf.get(image) ?? (await imageReach(db, image)));
      if (image !== undefined) reachOf.set(image, reach);
      const request = { ...placementRequest({ ...subject, organization }, reach), ttlHours };
      const requestRules = rulesOf(subject.spec, machine.name);
      placed.push({ machine, request, requestRules, taken: offer as PlacedMachine['taken'] });
    }
    if (rows.length < page) return placed;
    after = rows.at(-1)!.id;
  }
}

/** A request whose own rules can no longer be read must not keep others from being judged: its machine goes without them. */
function rulesOf(spec: InstanceSpec, name: string): NonNullable<PlacedMachine['requestRules']> {
  try {
    return ownRules(spec);
  } catch (error) {
    if (!(error instanceof UnreadablePolicy)) throw error;
    log.warn(`the own rules of machine ${name} could not be judged`, { error });
    return [];
  }
}

function ofMachine({ machine, onViolation, ...rule }: Violation): FoundViolation {
  return { ...foundOf(rule, { kind: 'Instance', ...machine }), action: onViolation };
}

/** Nothing is done about what is no machine: its data would be moved, or lost. */
function ofResource({ resource, onViolation, ...rule }: ResourceViolation): FoundViolation {
  const { id, request } = resource;
  const word = wordsOf[request.kind];
  return {
    ...foundOf(rule, { ...request, id }),
    action: 'report',
    ...(onViolation !== 'report' && {
      actionMessage: `the rule says ${onViolation}, which is for machines: move the ${word} by hand`,
    }),
  };
}

function foundOf(
  { owner, message, ...rule }: Omit<Violation, 'machine' | 'onViolation'>,
  of: { kind: FoundViolation['resourceKind']; id: string; name: string; project: string },
): Omit<FoundViolation, 'action'> {
  return {
    ...rule,
    resource: of.id,
    resourceKind: of.kind,
    resourceName: of.name,
    project: of.project,
    owner: owner ?? `projects/${of.project}`,
    // A message may be an expression over labels, and those may be long.
    message: message.length > 1_000 ? `${message.slice(0, 1_000)}…` : message,
  };
}

async function standingResources(
  db: Queryable,
  organization: string,
  sites: readonly SiteView[],
): Promise<StandingResource[]> {
  const bySite = new Map(sites.map((site) => [site.name, site]));
  const standing: StandingResource[] = [];
  for (let after: string | null = null; ; ) {
    const rows = await resourcesToJudge(db, organization, after, page);
    for (const { id, status, ...resource } of rows) {
      const { site: name, region, zone = null, host = null } = status;
      const site = bySite.get(name ?? '');
      if (!site || !region) continue; // it has gone with its site since
      const ofHost = site.hosts.find((one) => one.name === host);
      const request = resourceRequest({ ...resource, organization });
      standing.push({
        id,
        request,
        place: placeAt(site, { region, zone: zone ?? ofHost?.zone ?? null, host }),
      });
    }
    if (rows.length < page) return standing;
    after = rows.at(-1)!.id;
  }
}

function summary(
  { machines, resources, standing, opened, resolved }: Looked,
  { stopped, held }: Acted,
): string {
  if (machines === null) return '0 violations: no policy is in force, and no machine has rules of its own';
  const acted = [
    ...(stopped > 0 ? [`${counted(stopped, 'machine')} to be stopped`] : []),
    ...(held > 0 ? [`${counted(held, 'machine')} not stopped, because that is too many at a time`] : []),
  ];
  const others = resources > 0 ? ` and ${counted(resources, 'other resource')}` : '';
  const found = `${counted(standing, 'violation')} over ${counted(machines, 'machine')}${others}`;
  return [`${found} (${opened} new, ${resolved} resolved)`, ...acted].join('; ');
}

function counted(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`;
}

async function finish(db: Db, organization: string, operation: string, message: string): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await finishOperations(tx, [operation], { state: 'Succeeded', message });
    await appendEvent(tx, {
      type: 'compliance.finished',
      organization,
      operation,
      actor: 'landfall',
      message,
    });
  });
}

async function fail(db: Db, operation: string, reason: string): Promise<void> {
  const error = {
    type: 'https://landfall.dev/problems/compliance-run-failed',
    title: 'The operation failed',
    status: 422,
    detail: reason,
  };
  await db
    .transaction()
    .execute((tx) => finishOperations(tx, [operation], { state: 'Failed', message: reason, error }));
}
