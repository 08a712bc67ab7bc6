import type { Listed, ListPage } from '@landfall/adapters/contract.ts';
import { allHeld, type Held, type HeldKind, heldKinds } from './held.ts';
import { type HeldPlan, stateOfHeld } from './held-kind.ts';
import type { HeldPlans } from './held-plans.ts';
import type { Found } from './lookup.ts';
import { stampOf } from './lookup.ts';
import { existingChildren, foldersWithMachines, readSidecar } from './machine-files.ts';
import { childRef, detailsOf, leasesOf, stateOf } from './observation.ts';
import type { Setting } from './setting.ts';

const thingsPerPage = 50;

/** A machine, or something else that this host holds. */
type Thing = Found | Held<HeldKind>;

/**
 * The contract's `list`: domains of the broker, then their files as children, files that no domain has any more, and what
 * else this host holds. The page token is the last UUID of a page, so that things that come and go between two pages hide none.
 * Any failure throws: a page is whole or not there (A11).
 */
export async function listThings(
  setting: Setting,
  plans: HeldPlans,
  broker: string,
  page?: string,
): Promise<ListPage> {
  const things: Thing[] = await machinesOf(setting, broker);
  for (const kind of heldKinds)
    things.push(
      ...(await allHeld(setting.storage, kind)).filter(({ record }) => record.stamp.broker === broker),
    );
  const rest = things
    .filter(({ uuid }) => page === undefined || uuid > page)
    .sort((a, b) => (a.uuid < b.uuid ? -1 : 1));
  const some = rest.slice(0, thingsPerPage);
  const machines = some.filter((thing) => !('kind' in thing)) as Found[];
  const listed = await listMachines(setting, machines);
  const items: Listed[] = [];
  for (const thing of some)
    items.push(
      ...('kind' in thing ? [await listHeld(setting, plans, thing)] : (listed.get(thing.uuid) ?? [])),
    );
  const last = some.at(-1);
  return { items, complete: true, nextPage: last && rest.length > some.length ? last.uuid : undefined };
}

async function machinesOf(setting: Setting, broker: string): Promise<Found[]> {
  const domains = await setting.libvirt.all();
  const byUuid = new Map<string, Found>(
    domains.map((domain) => [domain.uuid, { uuid: domain.uuid, domain }]),
  );
  for (const uuid of await foldersWithMachines(setting.storage)) {
    const sidecar = await readSidecar(setting.storage, uuid);
    if (sidecar) byUuid.set(uuid, { ...byUuid.get(uuid), uuid, sidecar });
  }
  return [...byUuid.values()].filter((found) => stampOf(found)?.broker === broker);
}

async function listHeld(setting: Setting, plans: HeldPlans, held: Held<HeldKind>): Promise<Listed> {
  const { kind, uuid, record } = held;
  return {
    ref: uuid,
    kind,
    stamp: record.stamp,
    location: setting.location,
    state: await stateOfHeld(plans[kind] as HeldPlan<HeldKind>, held),
    providerKind: kind.toLowerCase(),
    child: false,
    createdAt: record.createdAt,
  };
}

/** Each machine with its children, by UUID. */
async function listMachines(setting: Setting, machines: Found[]): Promise<Map<string, Listed[]>> {
  const statistics = await setting.libvirt.statistics();
  const leases = await leasesOf(
    setting,
    machines.flatMap(({ domain }) => domain ?? []),
  );
  const byUuid = new Map<string, Listed[]>();
  for (const found of machines) {
    const stamp = stampOf(found);
    if (!stamp) continue;
    const { domain, uuid } = found;
    const children = await existingChildren(setting.storage, uuid);
    const common = { kind: 'Instance', stamp, location: setting.location } as const;
    const createdAt = domain?.record?.createdAt ?? found.sidecar?.createdAt;
    const sight = domain && { domain, statistics: statistics.get(domain.name), leases };
    const state = sight ? stateOf(sight) : 'creating';
    const refs = children.map(({ file }) => childRef(uuid, file));
    const items: Listed[] = [];
    if (sight) {
      items.push({
        ...common,
        ref: uuid,
        state,
        providerKind: 'domain',
        child: false,
        createdAt,
        details: detailsOf(setting, sight, refs),
      });
    }
    for (const { file, providerKind } of children) {
      items.push({ ...common, ref: childRef(uuid, file), state, providerKind, child: true, createdAt });
    }
    if (!sight && children.length === 0) {
      items.push({ ...common, ref: uuid, state, providerKind: 'folder', child: true, createdAt });
    }
    byUuid.set(uuid, items);
  }
  return byUuid;
}
