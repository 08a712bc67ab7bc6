import type { FaultPlan, Refusal } from './faults.ts';
import { account, type MotoCaller } from './moto-calls.ts';
import type { Passing } from './passing.ts';
import { refuse } from './storage.ts';
import type { Part, Request } from './world.ts';
import { child, type Element, items, textAt } from './xml.ts';

/** What an image holds, which moto does not know. */
interface Contents {
  root: string;
  architecture: string;
  disks: { device: string; snapshot: string; size: string }[];
  /** Was it registered from a snapshot that somebody made before? */
  registered: boolean;
  /** The snapshot that moto made for it in any case. */
  motoSnapshot: string;
}

/** Images as EC2 makes them of instances and snapshots: with the disks that there are, their tags, and unique names. */
export function createImages(
  faults: FaultPlan,
  moto: MotoCaller,
  passing: Passing,
  sizes: Map<string, string>,
): Part {
  const images = new Map<string, Contents>();

  async function nameTaken(region: string, name: string | null): Promise<boolean> {
    const own = await moto.call(region, 'DescribeImages', { 'Owner.1': 'self' });
    return items(own, 'imagesSet').some((image) => textAt(image, 'name') === name);
  }

  /** The disks of the instance that the request does not leave out. */
  async function disksOf({ region, parameters }: Request): Promise<{ device: string; volume: string }[]> {
    const id = parameters.get('InstanceId') ?? '';
    const reservation = await moto.one(region, 'DescribeInstances', 'reservationSet', 'InstanceId', id);
    const instance = items(reservation, 'instancesSet')[0];
    const left = new Set<string>();
    for (let n = 1; parameters.has(`BlockDeviceMapping.${n}.DeviceName`); n += 1)
      if (parameters.has(`BlockDeviceMapping.${n}.NoDevice`))
        left.add(parameters.get(`BlockDeviceMapping.${n}.DeviceName`) ?? '');
    return items(instance, 'blockDeviceMapping')
      .map((disk) => ({
        device: textAt(disk, 'deviceName') ?? '',
        volume: textAt(disk, 'ebs', 'volumeId') ?? '',
      }))
      .filter(({ device }) => !left.has(device));
  }

  async function learnCreated(request: Request, id: string, motoSnapshot: string): Promise<void> {
    const { region, parameters } = request;
    const reservation = await moto.one(
      region,
      'DescribeInstances',
      'reservationSet',
      'InstanceId',
      parameters.get('InstanceId') ?? '',
    );
    const instance = items(reservation, 'instancesSet')[0];
    const root = await rootOf(region, instance);
    const disks: Contents['disks'] = [];
    for (const { device, volume } of await disksOf(request)) {
      const snapshot =
        device === root
          ? motoSnapshot
          : (textAt(await moto.call(region, 'CreateSnapshot', { VolumeId: volume }), 'snapshotId') ?? '');
      const found = await moto.one(region, 'DescribeVolumes', 'volumeSet', 'VolumeId', volume);
      const size = textAt(found, 'size') ?? '';
      sizes.set(snapshot, size);
      passing.set(snapshot, 'pending', faults.transitions().createMs);
      await tag(region, snapshot, 'snapshot', parameters);
      disks.push({ device, snapshot, size });
    }
    const architecture = textAt(instance, 'architecture') ?? '';
    images.set(id, { root, architecture, disks, registered: false, motoSnapshot });
  }

  /** moto's instances name the root device of their image, and have their disk where the create said. */
  async function rootOf(region: string, instance: Element | undefined): Promise<string> {
    const disks = items(instance, 'blockDeviceMapping').map((disk) => textAt(disk, 'deviceName') ?? '');
    const named = textAt(instance, 'rootDeviceName') ?? '';
    const image = await moto.one(
      region,
      'DescribeImages',
      'imagesSet',
      'ImageId',
      textAt(instance, 'imageId') ?? '',
    );
    return disks.find((device) => device === named) ?? textAt(image, 'rootDeviceName') ?? disks[0] ?? '';
  }

  function learnRegistered({ parameters }: Request, id: string, motoSnapshot: string): void {
    const snapshot = parameters.get('BlockDeviceMapping.1.Ebs.SnapshotId') ?? '';
    const device = parameters.get('BlockDeviceMapping.1.DeviceName') ?? '';
    images.set(id, {
      root: parameters.get('RootDeviceName') ?? device,
      architecture: parameters.get('Architecture') ?? 'i386',
      disks: [{ device, snapshot, size: sizes.get(snapshot) ?? '' }],
      registered: true,
      motoSnapshot,
    });
  }

  /** Gives an object the tags that the request specifies for its type. */
  async function tag(region: string, id: string, type: string, parameters: URLSearchParams): Promise<void> {
    const tags: Record<string, string> = {};
    for (let n = 1; parameters.has(`TagSpecification.${n}.ResourceType`); n += 1) {
      if (parameters.get(`TagSpecification.${n}.ResourceType`) !== type) continue;
      for (const [key, value] of parameters) {
        const inner = `TagSpecification.${n}.`;
        if (key.startsWith(`${inner}Tag.`)) tags[key.slice(inner.length)] = value;
      }
    }
    if (Object.keys(tags).length > 0) await moto.call(region, 'CreateTags', { 'ResourceId.1': id, ...tags });
  }

  function show(element: Element): void {
    const contents = images.get(textAt(element, 'imageId') ?? '');
    const state = child(element, 'imageState');
    const rootType = child(element, 'rootDeviceType');
    if (state && rootType) rootType.text = 'ebs';
    if (contents && state) {
      state.text = passing.of(textAt(element, 'imageId') ?? '') ?? state.text;
      const rootDevice = child(element, 'rootDeviceName');
      if (rootDevice) rootDevice.text = contents.root;
      const architecture = child(element, 'architecture');
      if (architecture) architecture.text = contents.architecture;
      // moto has none of what was registered.
      else element.children.push(leaf('architecture', contents.architecture));
      const devices = child(element, 'blockDeviceMapping');
      if (devices) devices.children = contents.disks.map(diskElement);
    }
    for (const inner of element.children) show(inner);
  }

  return {
    async refuse({ region, action, parameters }): Promise<Refusal | undefined> {
      const creates = action === 'CreateImage' || action === 'RegisterImage';
      const name = parameters.get('Name');
      if (creates && (await nameTaken(region, name)))
        return refuse('InvalidAMIName.Duplicate', `AMI name ${name} is already in use by AMI`);
      if (action === 'RegisterImage' && parameters.has('BlockDeviceMapping.1.Ebs.SnapshotId')) {
        const id = parameters.get('BlockDeviceMapping.1.Ebs.SnapshotId') ?? '';
        if (!(await moto.one(region, 'DescribeSnapshots', 'snapshotSet', 'SnapshotId', id)))
          return refuse('InvalidSnapshot.NotFound', `The snapshot '${id}' does not exist.`);
        if (passing.of(id)) return refuse('IncorrectState', `Snapshot '${id}' is not 'completed'.`);
      }
      if (action === 'RunInstances' && passing.of(parameters.get('ImageId') ?? ''))
        return refuse(
          'InvalidAMIID.Unavailable',
          `The image ID '${parameters.get('ImageId')}' is not available`,
        );
      if (action === 'DeleteSnapshot') {
        const id = parameters.get('SnapshotId') ?? '';
        const user = [...images].find(([, { disks }]) => disks.some(({ snapshot }) => snapshot === id))?.[0];
        if (user) return refuse('InvalidSnapshot.InUse', `The snapshot ${id} is currently in use by ${user}`);
      }
      return undefined;
    },
    prepare({ action, parameters }) {
      if (action === 'DescribeSnapshots' && parameters.get('Owner.1') === 'self') return ownOnly(parameters);
      if (action !== 'CreateImage') return parameters;
      // moto cannot tag the snapshots: that is done here.
      const known = [...parameters].filter(([key]) => !/^(TagSpecification|BlockDeviceMapping)\./.test(key));
      return new URLSearchParams(known);
    },
    async learn(request, answer) {
      const { region, action, parameters } = request;
      const id = textAt(answer, 'imageId') ?? '';
      if (action === 'CreateImage' || action === 'RegisterImage') {
        const image = await moto.one(region, 'DescribeImages', 'imagesSet', 'ImageId', id);
        const motoSnapshot = textAt(items(image, 'blockDeviceMapping')[0], 'ebs', 'snapshotId') ?? '';
        if (action === 'CreateImage') await learnCreated(request, id, motoSnapshot);
        else learnRegistered(request, id, motoSnapshot);
        await tag(region, id, 'image', parameters);
        passing.set(id, 'pending', faults.transitions().createMs);
      }
      if (action === 'DeregisterImage') {
        const gone = parameters.get('ImageId') ?? '';
        const contents = images.get(gone);
        images.delete(gone);
        // EC2 would not have made that one.
        if (contents?.registered)
          await moto.call(region, 'DeleteSnapshot', { SnapshotId: contents.motoSnapshot });
      }
    },
    show(_, answer) {
      show(answer);
      return undefined;
    },
    clear: () => images.clear(),
  };
}

/** moto passes over whose snapshots are asked for, and has one of each of AWS's images. */
function ownOnly(parameters: URLSearchParams): URLSearchParams {
  const asked = new URLSearchParams(parameters);
  const filters = [...asked.keys()].filter((key) => /^Filter\.\d+\.Name$/.test(key)).length;
  asked.set(`Filter.${filters + 1}.Name`, 'owner-id');
  asked.set(`Filter.${filters + 1}.Value.1`, account);
  return asked;
}

const leaf = (name: string, text: string): Element => ({ name, text, attributes: '', children: [] });

function diskElement({ device, snapshot, size }: Contents['disks'][number]): Element {
  const node = (name: string, ...children: Element[]): Element => ({
    name,
    children,
    text: '',
    attributes: '',
  });
  const ebs = node(
    'ebs',
    leaf('deleteOnTermination', 'true'),
    leaf('snapshotId', snapshot),
    leaf('volumeSize', size),
    leaf('volumeType', 'gp3'),
  );
  return node('item', leaf('deviceName', device), ebs);
}
