import type { FaultPlan, Refusal } from './faults.ts';
import type { MotoCaller } from './moto-calls.ts';
import type { Passing } from './passing.ts';
import type { Part, Request } from './world.ts';
import { child, type Element, items, parseXml, textAt } from './xml.ts';

const sixHours = 6 * 3600_000;

/** Of one ModifyVolume. */
interface Modification {
  from: string;
  at: number;
  /** The size is the old one until then. */
  modifyingUntil: number;
  optimizingUntil: number;
}

interface Due {
  at: number;
  region: string;
  action: string;
  parameters: Record<string, string>;
}

/**
 * Volumes and snapshots as EC2 has them: what takes time takes time, what is in use cannot be deleted.
 * @param stateOf state of an instance as EC2 would name it; `terminated` when there is none.
 * @param sizes by snapshot: moto gives the size that the volume has now.
 */
export function createStorage(
  faults: FaultPlan,
  moto: MotoCaller,
  stateOf: (region: string, instance: string) => Promise<string>,
  passing: Passing,
  sizes: Map<string, string>,
  now: () => number = Date.now,
): Part {
  const modifications = new Map<string, Modification>();
  let due: Due[] = [];
  let settling: Promise<void> = Promise.resolve();

  const volumeOf = (region: string, id: string) =>
    moto.one(region, 'DescribeVolumes', 'volumeSet', 'VolumeId', id);

  async function attachRefusal(
    { region, parameters }: Request,
    volume: Element,
  ): Promise<Refusal | undefined> {
    const id = parameters.get('InstanceId') ?? '';
    const instanceState = await stateOf(region, id);
    // moto says that there is none.
    if (instanceState === 'terminated') return undefined;
    const volumeId = textAt(volume, 'volumeId') ?? '';
    if (items(volume, 'attachmentSet').length > 0)
      return refuse('VolumeInUse', `${volumeId} is already attached to an instance`);
    if (!['running', 'stopped'].includes(instanceState))
      return refuse('IncorrectState', `Instance '${id}' is not 'running'.`);
    const reservation = await moto.one(region, 'DescribeInstances', 'reservationSet', 'InstanceId', id);
    const instance = items(reservation, 'instancesSet')[0];
    const zone = textAt(instance, 'placement', 'availabilityZone');
    if (zone !== textAt(volume, 'availabilityZone'))
      return refuse(
        'InvalidVolume.ZoneMismatch',
        `The volume '${volumeId}' is not in the same availability zone as instance '${id}'`,
      );
    const device = parameters.get('Device') ?? '';
    if (items(instance, 'blockDeviceMapping').some((disk) => textAt(disk, 'deviceName') === device))
      return refuse(
        'InvalidParameterValue',
        `Invalid value '${device}' for unixDevice. Attachment point ${device} is already in use`,
      );
    return undefined;
  }

  function modifyRefusal({ parameters }: Request, volume: Element): Refusal | undefined {
    const id = textAt(volume, 'volumeId') ?? '';
    const last = modifications.get(id);
    if (Number(parameters.get('Size')) < Number(textAt(volume, 'size')))
      return refuse('InvalidParameterValue', 'New size cannot be smaller than existing size');
    if (last && last.optimizingUntil > now())
      return refuse(
        'IncorrectModificationState',
        `Cannot modify volume ${id} in modification state ${modificationState(last)}`,
      );
    if (last && now() - last.at < sixHours)
      return refuse(
        'VolumeModificationRateExceeded',
        "You've reached the maximum modification rate per volume limit. Wait at least 6 hours between modifications per EBS volume.",
      );
    return undefined;
  }

  const modificationState = (modification: Modification): string =>
    modification.modifyingUntil > now()
      ? 'modifying'
      : modification.optimizingUntil > now()
        ? 'optimizing'
        : 'completed';

  /** Rewrites what is seen of volumes, snapshots and changes of volumes anywhere in an answer. */
  function show(element: Element): void {
    const volume = textAt(element, 'volumeId') ?? '';
    const snapshot = textAt(element, 'snapshotId') ?? '';
    const status = child(element, 'status');
    const modification = modifications.get(volume);
    if (volume && status && child(element, 'attachmentSet')) {
      status.text = passing.of(volume) ?? status.text;
      const size = child(element, 'size');
      if (size && modification && modification.modifyingUntil > now()) size.text = modification.from;
    } else if (volume && status && child(element, 'device')) {
      status.text = passing.of(`attachment of ${volume}`) ?? status.text;
    } else if (snapshot && status && child(element, 'progress')) {
      const state = passing.of(snapshot);
      status.text = state ?? status.text;
      const progress = child(element, 'progress');
      if (progress && state) progress.text = '42%';
      const size = child(element, 'volumeSize');
      if (size) size.text = sizes.get(snapshot) ?? size.text;
    }
    const changing = child(element, 'modificationState');
    if (changing && modification) {
      changing.text = modificationState(modification);
      const progress = child(element, 'progress');
      if (progress && changing.text !== 'completed') progress.text = '42';
    }
    for (const inner of element.children) show(inner);
  }

  return {
    async refuse(request) {
      const { region, action, parameters } = request;
      if (action === 'CreateVolume' && parameters.has('SnapshotId')) {
        const id = parameters.get('SnapshotId') ?? '';
        if (passing.of(id)) return refuse('IncorrectState', `Snapshot '${id}' is not 'completed'.`);
        const least = Number(sizes.get(id) ?? 0);
        if (parameters.has('Size') && Number(parameters.get('Size')) < least)
          return refuse(
            'InvalidParameterValue',
            `Volume of ${parameters.get('Size')}GiB is smaller than snapshot '${id}', expect size >= ${least}GiB`,
          );
      }
      if (
        !['AttachVolume', 'DetachVolume', 'DeleteVolume', 'ModifyVolume', 'CreateSnapshot'].includes(action)
      )
        return undefined;
      const id = parameters.get('VolumeId') ?? '';
      const volume = await volumeOf(region, id);
      // moto says that there is none.
      if (!volume) return undefined;
      const state = passing.of(id);
      if (state) return refuse('IncorrectState', `The volume '${id}' is '${state}'.`);
      if (action === 'AttachVolume') return attachRefusal(request, volume);
      if (action === 'ModifyVolume') return modifyRefusal(request, volume);
      if (action === 'DetachVolume' && items(volume, 'attachmentSet').length === 0)
        return refuse('IncorrectState', `Volume '${id}' is in the 'available' state.`);
      if (action === 'DetachVolume' && passing.of(`attachment of ${id}`))
        return refuse(
          'IncorrectState',
          `The attachment of '${id}' is '${passing.of(`attachment of ${id}`)}'.`,
        );
      return undefined;
    },
    async instead({ region, action, parameters }) {
      const id = parameters.get('VolumeId') ?? '';
      const { attachMs, deleteMs } = faults.transitions();
      if (action !== 'DetachVolume' && action !== 'DeleteVolume') return undefined;
      const volume = await volumeOf(region, id);
      if (!volume) return undefined;
      const attachment = items(volume, 'attachmentSet')[0];
      if (action === 'DeleteVolume') {
        if (attachment) return undefined;
        passing.set(id, 'deleting', deleteMs);
        due.push({ at: now() + deleteMs, region, action, parameters: { VolumeId: id } });
        return parseXml(
          '<DeleteVolumeResponse><requestId>r</requestId><return>true</return></DeleteVolumeResponse>',
        );
      }
      const InstanceId = textAt(attachment, 'instanceId') ?? '';
      passing.set(`attachment of ${id}`, 'detaching', attachMs);
      due.push({ at: now() + attachMs, region, action, parameters: { VolumeId: id, InstanceId } });
      return {
        name: 'DetachVolumeResponse',
        attributes: '',
        children: [...(attachment?.children ?? [])],
        text: '',
      };
    },
    async learn({ region, action, parameters }, answer) {
      const { createMs, attachMs } = faults.transitions();
      const volume = parameters.get('VolumeId') ?? '';
      if (action === 'CreateVolume') passing.set(textAt(answer, 'volumeId') ?? '', 'creating', createMs);
      if (action === 'CreateSnapshot') {
        const id = textAt(answer, 'snapshotId') ?? '';
        passing.set(id, 'pending', createMs);
        sizes.set(id, textAt(await volumeOf(region, volume), 'size') ?? '');
      }
      if (action === 'AttachVolume') passing.set(`attachment of ${volume}`, 'attaching', attachMs);
      if (action === 'ModifyVolume')
        modifications.set(volume, {
          from: textAt(answer, 'volumeModification', 'originalSize') ?? '',
          at: now(),
          modifyingUntil: now() + attachMs,
          optimizingUntil: now() + 4 * attachMs,
        });
    },
    show({ action, parameters }, answer) {
      show(answer);
      const none = items(answer, 'volumeModificationSet').length === 0;
      if (action === 'DescribeVolumesModifications' && parameters.has('VolumeId.1') && none)
        return refuse(
          'InvalidVolumeModification.NotFound',
          `Modification for volume '${parameters.get('VolumeId.1')}' does not exist.`,
        );
      return undefined;
    },
    settle() {
      settling = settling.then(async () => {
        const ready = due.filter(({ at }) => at <= now());
        due = due.filter((entry) => !ready.includes(entry));
        for (const { region, action, parameters } of ready) {
          const volume = await volumeOf(region, parameters.VolumeId ?? '');
          const attached = items(volume, 'attachmentSet').length > 0;
          // Its machine may have gone in the meantime, and the attachment with it.
          if (volume && attached === (action === 'DetachVolume')) await moto.call(region, action, parameters);
        }
      });
      return settling;
    },
    clear() {
      modifications.clear();
      due = [];
    },
  };
}

export function refuse(code: string, message: string): Refusal {
  return { status: 400, code, message };
}
