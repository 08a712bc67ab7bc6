import type { Listed, ListPage } from '@landfall/adapters/contract.ts';
import type { Found } from './lookup.ts';
import { stampOf } from './lookup.ts';
import { existingChildren, foldersWithMachines, readSidecar } from './machine-files.ts';
import { childRef, detailsOf, stateOf } from './observation.ts';
import type { Setting } from './setting.ts';

const machinesPerPage = 50;

/**
 * The contract's `list`: domains of the broker, then their files as children, and files that no domain has any more. The page
 * token is the last UUID of a page, so that machines that come and go between two pages hide none. Any failure throws: a page is
 * whole or not there (A11).
 */
export async function listMachines(setting: Setting, broker: string, page?: string): Promise<ListPage> {
  const domains = await setting.libvirt.all();
  const byUuid = new Map<string, Found>(
    domains.map((domain) => [domain.uuid, { uuid: domain.uuid, domain }]),
  );
  for (const uuid of await foldersWithMachines(setting.storage)) {
    const sidecar = await readSidecar(setting.storage, uuid);
    if (sidecar) byUuid.set(uuid, { ...byUuid.get(uuid), uuid, sidecar });
  }
  const ours = [...byUuid.values()].filter((found) => stampOf(found)?.broker === broker);
  const rest = ours
    .filter(({ uuid }) => page === undefined || uuid > page)
    .sort((a, b) => (a.uuid < b.uuid ? -1 : 1));
  const some = rest.slice(0, machinesPerPage);
  const statistics = await setting.libvirt.statistics();
  const leases = await setting.libvirt.leases(setting.network);

  const items: Listed[] = [];
  for (const found of some) {
    const stamp = stampOf(found);
    if (!stamp) continue;
    const { domain, uuid } = found;
    const children = await existingChildren(setting.storage, uuid);
    const common = { kind: 'Instance', stamp, location: setting.location } as const;
    const createdAt = domain?.record?.createdAt ?? found.sidecar?.createdAt;
    const sight = domain && { domain, statistics: statistics.get(domain.name), leases };
    const state = sight ? stateOf(sight) : 'creating';
    const refs = children.map(({ file }) => childRef(uuid, file));
    if (sight) {
      items.push({
        ...common,
        ref: uuid,
        state,
        providerKind: 'domain',
        child: false,
        createdAt,
        details: detailsOf(sight, refs),
      });
    }
    for (const { file, providerKind } of children) {
      items.push({ ...common, ref: childRef(uuid, file), state, providerKind, child: true, createdAt });
    }
    if (!sight && children.length === 0) {
      items.push({ ...common, ref: uuid, state, providerKind: 'folder', child: true, createdAt });
    }
  }
  const last = some.at(-1);
  return { items, complete: true, nextPage: last && rest.length > some.length ? last.uuid : undefined };
}
