import type { EstateMachine } from '@landfall/model';
import { sql } from 'kysely';
import type { LedgerSnapshot } from './limits.ts';
import type { Queryable } from './open.ts';

const columns = sql`
    r.id, r.name, r.project, p.organization, r.labels, r.state,
    i.site, o.provider, i.region, i.zone, i.host, o."instanceType", o.market, o.architecture, o."gpuName",
    o."gpuCount", o.vcpus, o."memoryGiB", (i.sized_for ->> 'diskGiB')::float8 as "diskGiB", coalesce(o."pricePerHour", 0) as "pricePerHour",
    coalesce((r.spec ->> 'publicAddress')::boolean, false) as "publicAddress",
    to_char(i.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "createdAt",
    r.spec #> '{placement,rules}' as rules`;

const offer = sql`jsonb_to_record(i.offer) as o (
    provider text, "instanceType" text, market text, architecture text, "gpuName" text, "gpuCount" float8,
    vcpus float8, "memoryGiB" float8, "pricePerHour" float8)`;

/**
 * The machines of an organization, oldest first. One counts from the moment its intent is written until it is known to be
 * gone, so a machine on its way out still counts; a resource that moves counts once for each place where it may exist.
 */
export async function estateMachines(db: Queryable, organization: string): Promise<EstateMachine[]> {
  const { rows } = await sql<EstateMachine>`
    select ${columns}
      from intents i
      join instances r on r.id = i.resource
      join projects p on p.name = r.project
     cross join lateral ${offer}
     where i.state <> 'removed' and p.organization = ${organization}
     order by i.created_at, r.id`.execute(db);
  return rows;
}

/**
 * Whether some machine of an organization, or one that is still to be placed, may be kept apart from others by a rule that its own request
 * brought: only then a placement under no such rule has to look at the machines.
 */
export async function haveOwnAntiAffinity(db: Queryable, organization: string): Promise<boolean> {
  const { rows } = await sql<{ have: boolean }>`
    select exists (
      select from instances r join projects p on p.name = r.project
       where p.organization = ${organization} and r.gone_at is null
         and r.spec @? '$.placement.rules[*].antiAffinity') as have`.execute(db);
  return rows[0]!.have;
}

/** The machines as of a snapshot. A list is never changed; an equal one is the same list. */
export interface CountedEstate {
  counted: LedgerSnapshot;
  machines: readonly EstateMachine[];
}

/** Where they were read on from another list: how they differ from it. */
export interface ReadOn extends CountedEstate {
  since?: {
    older: readonly EstateMachine[];
    gone: readonly EstateMachine[];
    come: readonly EstateMachine[];
  };
}

interface Known {
  /** Everything committed in it is in `byResource`. */
  upTo: LedgerSnapshot;
  byResource: Map<string, EstateMachine[]>;
  machines: readonly EstateMachine[];
}

/** Organizations whose machines are remembered; the one read longest ago goes first. */
const remembered = 16;

/**
 * Reads the machines of organizations again and again, each time only what has changed: 10,000 machines take a tenth of a
 * second to read, and hundredths of that to read on from. In a transaction it gives what is committed, whatever the
 * transaction itself has changed: that may yet be rolled back.
 */
export class EstateReader {
  readonly #known = new Map<string, Known>();
  readonly #under = new Map<string, Promise<unknown>>();

  read(db: Queryable, organization: string): Promise<ReadOn> {
    // One at a time, so that an older answer never takes the place of a newer one.
    const before = this.#under.get(organization) ?? Promise.resolve();
    const mine = before.then(() => this.#read(db, organization));
    this.#under.set(
      organization,
      mine.catch(() => undefined),
    );
    return mine;
  }

  async #read(db: Queryable, organization: string): Promise<ReadOn> {
    const known = this.#known.get(organization);
    const { counted, touched, isOwn } = await changesSince(db, organization, known?.upTo ?? null);
    const byResource = known?.byResource ?? new Map<string, EstateMachine[]>();
    const gone = [...touched.keys()].flatMap((resource) => byResource.get(resource) ?? []);
    for (const [resource, machines] of touched) {
      if (machines.length === 0) byResource.delete(resource);
      else byResource.set(resource, machines);
    }
    const machines =
      known && touched.size === 0 ? known.machines : Object.freeze([...byResource.values()].flat());
    this.#known.delete(organization);
    // What the transaction itself has changed is still to be read, as it will be or as it was.
    if (known || !isOwn)
      this.#known.set(organization, { upTo: isOwn ? known!.upTo : counted, byResource, machines });
    if (this.#known.size > remembered) this.#known.delete(this.#known.keys().next().value!);
    if (!known || known.machines === machines) return { counted, machines };
    return { counted, machines, since: { older: known.machines, gone, come: [...touched.values()].flat() } };
  }
}

/** The live machines of each resource that was changed since; none left is an empty list. Null: since ever. */
async function changesSince(
  db: Queryable,
  organization: string,
  since: LedgerSnapshot | null,
): Promise<{ counted: LedgerSnapshot; touched: Map<string, EstateMachine[]>; isOwn: boolean }> {
  const changed =
    since === null
      ? sql`select distinct resource from intents where state <> 'removed'`
      : sql`select resource from intents where changed >= pg_snapshot_xmin(${since}::pg_snapshot)
            union select id from instances where changed >= pg_snapshot_xmin(${since}::pg_snapshot)`;
  const { rows } = await sql<Row>`
    with touched as (${changed})
    select now.counted, t.resource, coalesce(t.own, false) as own, m.*
      from (select pg_current_snapshot()::text as counted) now
      left join (select r.id as resource,
                        coalesce(r.changed = pg_current_xact_id_if_assigned(), false)
                        or exists (select 1 from intents i where i.resource = r.id and i.changed = pg_current_xact_id_if_assigned()) as own
                   from touched c
                   join instances r on r.id = c.resource
                   join projects p on p.name = r.project
                  where p.organization = ${organization}) t on true
      left join lateral (select ${columns}
                           from intents i
                           join instances r on r.id = i.resource
                           join projects p on p.name = r.project
                          cross join lateral ${offer}
                          where i.resource = t.resource and i.state <> 'removed' and not t.own) m on true
     order by m."createdAt", t.resource`.execute(db);
  const touched = new Map<string, EstateMachine[]>();
  let isOwn = false;
  for (const { counted: _, resource, own, ...machine } of rows) {
    if (resource === null) continue;
    if (own) {
      isOwn = true;
      continue;
    }
    const machines = touched.get(resource) ?? [];
    if (machine.id !== null) machines.push(machine as EstateMachine);
    touched.set(resource, machines);
  }
  return { counted: rows[0]!.counted, touched, isOwn };
}

/** A touched resource beside a machine of it, whose columns are all null where none is left. */
type Row = { counted: LedgerSnapshot; resource: string | null; own: boolean } & (
  | EstateMachine
  | { id: null }
);
