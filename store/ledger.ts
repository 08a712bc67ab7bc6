import { sql } from 'kysely';
import type { Size } from './database.ts';
import type { Queryable, Tx } from './open.ts';

/**
 * The ledger of on-prem capacity. A host's free capacity is what it has less what is claimed; a claim compares and swaps on
 * the host's `ledger_generation`, so two placements never take the last room twice.
 */
export interface LedgerHost {
  site: string;
  name: string;
  zone: string;
  architecture: 'x86_64' | 'arm64';
  accel: 'kvm' | 'tcg';
  /** The agent was heard of within `hostSilenceMs`. */
  ready: boolean;
  generation: number;
  /** Model of its GPUs; null where it has none. */
  gpuName: string | null;
  capacity: Size;
  free: Size;
}

/** An agent says every 10 s that it lives; after three missed ones its host takes no new machines. */
export const hostSilenceMs = 30_000;

/** Every host with what is free on it, the claims of `exceptResource` not counted (it is being resized). */
export async function ledgerHosts(
  db: Queryable,
  exceptResource: string | null = null,
): Promise<LedgerHost[]> {
  const { rows } = await sql<{
    site: string;
    name: string;
    zone: string;
    architecture: 'x86_64' | 'arm64';
    accel: 'kvm' | 'tcg';
    ready: boolean;
    generation: number;
    vcpus: number;
    memory_gib: number;
    disk_gib: number;
    gpus: number;
    gpu_name: string | null;
    used_vcpus: number;
    used_memory: number;
    used_disk: number;
    used_gpus: number;
  }>`
    select h.site, h.name, h.zone, h.architecture, h.accel, h.ledger_generation as generation, 
           coalesce((s.spec #>> array['hosts', h.name, 'vcpus'])::float8, h.vcpus * coalesce((s.spec #>> '{overcommit,vcpu}')::float8, 4)) as vcpus,
           coalesce((s.spec #>> array['hosts', h.name, 'memoryGiB'])::float8, h.memory_gib) as memory_gib,
           coalesce((s.spec #>> array['hosts', h.name, 'diskGiB'])::float8, h.disk_gib) as disk_gib,
           least((s.spec #>> array['hosts', h.name, 'gpus'])::int, h.gpus) as gpus, h.gpu_name,
           h.last_seen_at > now() - make_interval(secs => ${hostSilenceMs / 1000}) as ready,
           coalesce(c.vcpus, 0) as used_vcpus, coalesce(c.memory_gib, 0) as used_memory, coalesce(c.disk_gib, 0) as used_disk,
           coalesce(c.gpus, 0)::int as used_gpus
      from hosts h
      join sites s on s.name = h.site
      left join (select site, host, sum(vcpus) as vcpus, sum(memory_gib) as memory_gib, sum(disk_gib) as disk_gib, sum(gpus) as gpus
                   from claims where resource is distinct from ${exceptResource}::uuid group by site, host) c
        on c.site = h.site and c.host = h.name
     order by h.site, h.name`.execute(db);
  return rows.map((row) => {
    const capacity = {
      vcpus: row.vcpus,
      memoryGiB: row.memory_gib,
      diskGiB: row.disk_gib,
      gpus: row.gpus,
    };
    return {
      site: row.site,
      name: row.name,
      zone: row.zone,
      architecture: row.architecture,
      accel: row.accel,
      ready: row.ready,
      generation: row.generation,
      gpuName: row.gpu_name,
      capacity,
      free: {
        vcpus: capacity.vcpus - row.used_vcpus,
        memoryGiB: capacity.memoryGiB - row.used_memory,
        diskGiB: capacity.diskGiB - row.used_disk,
        gpus: capacity.gpus - row.used_gpus,
      },
    };
  });
}

export interface Claim extends Size {
  resource: string;
  attempt: number;
  site: string;
  host: string;
  /** Of the host's ledger when its room was looked at, each earlier claim of the transaction counted as one. */
  generation: number;
}

/**
 * Takes (or changes) claims, each if its host's ledger is still where it was looked at; false where somebody was faster: look
 * again, in another transaction. The hosts stay locked until the transaction ends, so call it late.
 */
export async function claim(tx: Tx, claims: readonly Claim[]): Promise<boolean> {
  if (claims.length === 0) return true;
  const { rows } = await sql<{ taken: number }>`
    with claimed as (
      select * from jsonb_to_recordset(${JSON.stringify(claims)}::jsonb) as c (
             resource uuid, attempt integer, site text, host text, vcpus float8, "memoryGiB" float8, "diskGiB" float8,
             gpus integer, generation bigint)),
    looked as (select site, host, min(generation) as generation, count(*) as times from claimed group by site, host),
    -- In one order everywhere, so that two transactions never wait for each other.
    locked as (select h.id, l.site, l.host, l.generation + l.times as next
                 from hosts h join looked l on l.site = h.site and l.host = h.name and l.generation = h.ledger_generation
                order by h.site, h.name for update of h),
    swapped as (update hosts h set ledger_generation = l.next from locked l where l.id = h.id returning l.site, l.host),
    taken as (
      insert into claims (resource, attempt, site, host, vcpus, memory_gib, disk_gib, gpus)
      select c.resource, c.attempt, c.site, c.host, c.vcpus, c."memoryGiB", c."diskGiB", c.gpus
        from claimed c join swapped s on s.site = c.site and s.host = c.host
      on conflict (resource, attempt) do update
        set vcpus = excluded.vcpus, memory_gib = excluded.memory_gib, disk_gib = excluded.disk_gib, gpus = excluded.gpus
      returning 1)
    select count(*)::int as taken from taken`.execute(tx);
  return rows[0]!.taken === claims.length;
}

/** Gives a claim back; one that is not there is no error. */
export async function release(tx: Tx, resource: string, attempt: number): Promise<void> {
  const gone = await tx
    .deleteFrom('claims')
    .where('resource', '=', resource)
    .where('attempt', '=', attempt)
    .returning(['site', 'host'])
    .executeTakeFirst();
  if (!gone) return;
  await tx
    .updateTable('hosts')
    .set((eb) => ({ ledger_generation: eb('ledger_generation', '+', 1) }))
    .where('site', '=', gone.site)
    .where('name', '=', gone.host)
    .execute();
}
