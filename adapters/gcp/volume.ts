import type { VolumeWant } from '../contract.ts';
import { ProviderError } from '../errors.ts';
import { typeIsKept } from '../kinds.ts';
import type { Account } from './clients.ts';
import { parseRef, read, refOfLink, type Thing, wantedRef, writeLabels } from './collections.ts';
import type { Next } from './drive.ts';
import { betterLabels, differsInLabels, kindLabels } from './labels.ts';
import type { KindLife } from './life.ts';
import { type OperationRef, operationOf } from './operation.ts';
import { lastOf } from './places.ts';
import { stampLabels } from './stamp.ts';

/** `standard` is pd-balanced, as root disks are: pd-standard is a spinning disk, and slow below hundreds of GiB. */
const types: Record<VolumeWant['type'], string> = { standard: 'pd-balanced', ssd: 'pd-ssd' };

/** A volume is a persistent disk of a zone. */
export const volumeLife: KindLife<'Volume', 'disks'> = {
  kind: 'Volume',
  collection: 'disks',
  adoptable: true,
  standsOn: '/snapshot',
  check({ spec, location }) {
    kindLabels(spec);
    if (spec.snapshot !== undefined) wantedRef('snapshots', spec.snapshot, '/snapshot');
    if (spec.attachedTo === undefined) return;
    const { scope } = wantedRef('instances', spec.attachedTo, '/attachedTo');
    if (location.zone && scope !== `zones/${location.zone}`)
      throw new ProviderError(
        'Invalid',
        `${spec.attachedTo} is in another zone than the volume: a Google Cloud disk attaches in ${location.zone} only`,
        { field: '/attachedTo' },
      );
  },
  insert: (account, { spec, stamp }, { name, scope, requestId }) =>
    account.inProject(async (project) =>
      account.clients.disks.insert(
        {
          project,
          zone: lastOf(scope),
          requestId,
          diskResource: {
            name,
            labels: kindLabels(spec, stamp),
            sizeGb: spec.sizeGiB,
            type: `${scope}/diskTypes/${types[spec.type]}`,
            sourceSnapshot: spec.snapshot,
          },
        },
        account.call,
      ),
    ),
  async step(account, { spec, adopted }, { main }) {
    const type = lastOf(main.body.type);
    if (!adopted && type !== types[spec.type]) throw typeIsKept(type, types[spec.type]);
    const labels = betterLabels(main, spec);
    if (labels) return writeLabels(account, main, labels);
    const size = Number(main.body.sizeGb);
    if (size > spec.sizeGiB)
      throw new ProviderError('Invalid', `the volume has ${size} GiB already, and only grows`, {
        field: '/sizeGiB',
      });
    const project = await account.project();
    if (size < spec.sizeGiB) {
      const disksResizeRequestResource = { sizeGb: spec.sizeGiB };
      const request = { project, zone: lastOf(main.scope), disk: main.name, disksResizeRequestResource };
      return operationOf(account.clients.disks.resize(request, account.call));
    }
    const attached = attachedTo(main);
    if (attached === spec.attachedTo) return 'converged';
    return attached === undefined
      ? attach(account, main, spec.attachedTo ?? '')
      : detach(account, main, attached);
  },
  async details({ main }, account) {
    const attached = attachedTo(main);
    // One that was adopted attached has the name in the guest that somebody else gave it.
    const named = main.labels[stampLabels.kind] ? await deviceOf(account, main, attached) : main.name;
    return {
      sizeGiB: Number(main.body.sizeGb),
      type: lastOf(main.body.type),
      attachedTo: attached,
      device: attached && named && `/dev/disk/by-id/google-${named}`,
      children: [],
    };
  },
  diff({ main }, { spec }) {
    const diff = differsInLabels(main, spec);
    if (Number(main.body.sizeGb) !== spec.sizeGiB) diff.push('sizeGiB');
    if (attachedTo(main) !== spec.attachedTo) diff.push('attachedTo');
    return diff;
  },
};

/** The machine's word for the disk. */
async function deviceOf(account: Account, disk: Thing<'disks'>, ref = ''): Promise<string | undefined> {
  const named = parseRef('instances', ref);
  const machine = named && (await read(account, { ...named, collection: 'instances' }));
  return diskAt(machine, disk)?.deviceName ?? undefined;
}

function diskAt(machine: Thing<'instances'> | undefined, disk: Thing<'disks'>) {
  return machine?.body.disks?.find(({ source }) => source && refOfLink(source) === disk.ref);
}

function attachedTo({ body }: Thing<'disks'>): string | undefined {
  const [user] = body.users ?? [];
  return user ? refOfLink(user) : undefined;
}

async function attach(account: Account, disk: Thing<'disks'>, ref: string): Promise<OperationRef> {
  const { scope, name } = wantedRef('instances', ref, '/attachedTo');
  const machine = await read(account, { collection: 'instances', scope, name });
  if (!machine) throw new ProviderError('Invalid', `there is no ${ref}`, { field: '/attachedTo' });
  // The name in the guest is ours, the same at every attachment; the disk outlives the machine.
  const attachedDiskResource = {
    source: disk.ref,
    deviceName: disk.name,
    autoDelete: false,
    mode: 'READ_WRITE',
  };
  const request = {
    project: await account.project(),
    zone: lastOf(scope),
    instance: name,
    attachedDiskResource,
  };
  return operationOf(account.clients.instances.attachDisk(request, account.call));
}

async function detach(account: Account, disk: Thing<'disks'>, ref: string): Promise<Next> {
  const named = parseRef('instances', ref);
  const machine = named && (await read(account, { ...named, collection: 'instances' }));
  const attached = diskAt(machine, disk);
  if (!machine || !attached?.deviceName) return 'waiting';
  const request = {
    project: await account.project(),
    zone: lastOf(machine.scope),
    instance: machine.name,
    deviceName: attached.deviceName,
  };
  return operationOf(account.clients.instances.detachDisk(request, account.call));
}
