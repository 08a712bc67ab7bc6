import type { Stamp, Target } from '@landfall/adapters/contract.ts';
import type { Domain } from './domain-xml.ts';
import { domainUuid, isUuid } from './identity.ts';
import { foldersWithMachines, readSidecar, type Sidecar } from './machine-files.ts';
import type { Setting } from './setting.ts';

/** What stands under one UUID on this host: a domain, files, or both. */
export interface Found {
  uuid: string;
  domain?: Domain;
  sidecar?: Sidecar;
}

/** The stamp something carries: the domain's own, else that of the files. */
export function stampOf({ domain, sidecar }: Found): Stamp | undefined {
  return domain ? domain.record?.stamp : sidecar?.stamp;
}

/** Does a stamp belong to the target's broker and resource, and to its attempt where one is named? */
export function matches(stamp: Stamp | undefined, { stamp: wanted }: Pick<Target, 'stamp'>): boolean {
  return (
    stamp?.broker === wanted.broker &&
    stamp.resource === wanted.resource &&
    (wanted.attempt === undefined || stamp.attempt === wanted.attempt)
  );
}

/** Everything a target may mean: by its stamp's UUID, by its reference, and else by looking at all stamps. */
export async function lookUp(setting: Setting, target: Target): Promise<Found[]> {
  const uuids = new Set<string>();
  const { broker, resource, attempt } = target.stamp;
  if (target.ref !== undefined && isUuid(target.ref)) uuids.add(target.ref);
  if (attempt !== undefined) {
    uuids.add(domainUuid({ broker, resource, attempt }));
  } else {
    for (const domain of await setting.libvirt.all())
      if (matches(domain.record?.stamp, target)) uuids.add(domain.uuid);
    for (const uuid of await foldersWithMachines(setting.storage)) {
      if (matches((await readSidecar(setting.storage, uuid))?.stamp, target)) uuids.add(uuid);
    }
  }
  const found = await readAll(setting, uuids);
  // One that was adopted has kept its UUID: without a reference only its record tells of it.
  if (found.length > 0 || attempt === undefined) return found;
  const adopted = (await setting.libvirt.all()).filter(({ record }) => matches(record?.stamp, target));
  return readAll(setting, new Set(adopted.map(({ uuid }) => uuid)));
}

async function readAll(setting: Setting, uuids: Set<string>): Promise<Found[]> {
  const found: Found[] = [];
  for (const uuid of uuids) {
    const [domain, sidecar] = await Promise.all([
      setting.libvirt.find(uuid),
      readSidecar(setting.storage, uuid),
    ]);
    if (domain || sidecar) found.push({ uuid, domain, sidecar });
  }
  return found;
}

/** Milliseconds left in which something made at `target.since` may be invisible (A6); 0 when over or not known. */
export function graceLeft(setting: Setting, target: Target): number {
  if (target.since === undefined) return 0;
  const left = Date.parse(target.since) + setting.timing.visibilityGrace - Date.now();
  return Math.max(0, Math.min(left, setting.timing.visibilityGrace));
}
