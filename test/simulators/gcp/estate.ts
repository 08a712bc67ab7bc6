import type { OperationFailure } from './faults.ts';
import { inUse, invalid, named, notFound, notReady, Refused } from './refusals.ts';
import { type Collection, type Json, type Place, pathOf, self, type World } from './world.ts';

/** How long the making of anything but a machine takes. */
const makingMs = 100;

/** The state words of the collections that have them: while it is made, and then. */
const states: Partial<Record<Collection, [string, string]>> = {
  disks: ['CREATING', 'READY'],
  snapshots: ['CREATING', 'READY'],
  images: ['PENDING', 'READY'],
  addresses: ['RESERVING', 'RESERVED'],
};

export const wordOf: Record<Collection, string> = {
  instances: 'instance',
  disks: 'disk',
  snapshots: 'snapshot',
  images: 'image',
  networks: 'network',
  subnetworks: 'subnetwork',
  firewalls: 'firewall',
  addresses: 'address',
};

/** Makes anything but a machine; answers the operation. @throws Refused as Compute Engine would answer. */
export function insert(
  world: World,
  at: Place,
  collection: Collection,
  body: Json,
  query: URLSearchParams,
  failure?: OperationFailure,
): Json {
  const { project, scope } = at;
  const path = `projects/${project}/${scope}/${collection}/${body.name}`;
  const [making, made] = states[collection] ?? [];
  const where = self(`projects/${project}/${scope}`);
  const thing: Json = {
    ...body,
    ...filled(world, at, collection, body, query),
    kind: `compute#${wordOf[collection]}`,
    id: world.id(),
    selfLink: self(path),
    creationTimestamp: world.now(),
    ...(making ? { status: making } : {}),
    ...(scope.startsWith('zones/') ? { zone: where } : {}),
    ...(scope.startsWith('regions/') ? { region: where } : {}),
  };
  world.put(path, thing);
  return world.operate(
    at,
    'insert',
    path,
    makingMs,
    () => {
      if (failure) return world.drop(path);
      if (made) thing.status = made;
      world.finish(path);
    },
    failure,
  );
}

/** What Compute Engine fills in or holds against it. */
function filled(
  world: World,
  { project, scope }: Place,
  collection: Collection,
  body: Json,
  query: URLSearchParams,
): Json {
  const labelled = { labels: body.labels ?? {}, labelFingerprint: world.fingerprint() };
  const size = (link: string, field: string) => world.find(named(world, project, link))?.[field];
  switch (collection) {
    case 'disks': {
      const least = body.sourceSnapshot ? size(body.sourceSnapshot, 'diskSizeGb') : undefined;
      if (least !== undefined && Number(body.sizeGb) < Number(least))
        throw invalid(`Requested disk size cannot be smaller than the snapshot size (${least} GB)`);
      return {
        ...labelled,
        sizeGb: body.sizeGb ?? least ?? '500',
        type: self(pathOf(project, body.type ?? `${scope}/diskTypes/pd-standard`)),
        users: [],
      };
    }
    case 'snapshots':
      return {
        ...labelled,
        sourceDisk: self(pathOf(project, body.sourceDisk)),
        diskSizeGb: size(body.sourceDisk, 'sizeGb'),
        storageLocations: body.storageLocations ?? ['us'],
      };
    case 'images':
      return { ...labelled, ...imageOf(world, project, body, query) };
    case 'networks':
      return { subnetworks: [] };
    case 'subnetworks':
      return subnetOf(world, project, body);
    case 'firewalls':
      if (!body.allowed === !body.denied)
        throw invalid("Invalid value for field 'resource': Exactly one of allowed and denied is required");
      return {
        network: self(named(world, project, body.network ?? 'global/networks/default')),
        direction: body.direction ?? 'INGRESS',
        priority: body.priority ?? 1000,
        disabled: body.disabled ?? false,
      };
    case 'addresses':
      // Labels "can only be added or modified by the setLabels method".
      return {
        labels: {},
        labelFingerprint: world.fingerprint(),
        address: addressOf(world),
        addressType: body.addressType ?? 'EXTERNAL',
        networkTier: body.networkTier ?? 'PREMIUM',
        users: [],
      };
    default:
      throw new Refused(501, 'notImplemented', `the simulator makes no ${collection} here`);
  }
}

/** Of the range for benchmarks; every one another. */
function addressOf(world: World): string {
  const number = Number(BigInt(world.id()) % 131_072n);
  return `198.${18 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
}

function imageOf(world: World, project: string, body: Json, query: URLSearchParams): Json {
  if (body.rawDisk) return imported(world, body);
  const source = body.sourceDisk ?? body.sourceSnapshot;
  if (!source) throw invalid("Invalid value for field 'resource': the simulator knows no such source");
  const path = named(world, project, source);
  const from = world.find(path) ?? {};
  const [user] = from.users ?? [];
  const running = user && world.find(pathOf(project, user))?.status !== 'TERMINATED';
  if (body.sourceDisk && running && query.get('forceCreate') !== 'true') throw inUse('disk', path, user);
  return {
    diskSizeGb: from.sizeGb ?? from.diskSizeGb,
    archiveSizeBytes: '1000000',
    architecture: body.architecture ?? from.architecture ?? 'X86_64',
    sourceType: 'RAW',
    storageLocations: body.storageLocations ?? ['us'],
  };
}

/** The simulator has no Cloud Storage: every object is there and holds as much, unless a fault says otherwise. */
function imported(world: World, { rawDisk, architecture, storageLocations }: Json): Json {
  const source = String(rawDisk.source ?? '');
  const [, bucket, object = ''] = /^https:\/\/storage\.googleapis\.com\/([^/]+)\/(.+)$/.exec(source) ?? [];
  const wrong = (why: string) =>
    invalid(`Invalid value for field 'resource.rawDisk.source': '${source}'. ${why}`);
  if (!bucket)
    throw wrong('The provided source location was not a valid Google Cloud Storage object reference.');
  if (!object.endsWith('.tar.gz')) throw wrong('The provided source is not a supported file.');
  if (world.faults.unreadable())
    throw new Refused(
      404,
      'notFound',
      `The resource 'https://www.googleapis.com/storage/v1/b/${bucket}/o/${object}' of type 'Google Cloud Storage object' was not found.`,
    );
  return {
    diskSizeGb: '8',
    archiveSizeBytes: '1000000',
    architecture: architecture ?? 'X86_64',
    sourceType: 'RAW',
    storageLocations: storageLocations ?? ['us'],
  };
}

function subnetOf(world: World, project: string, body: Json): Json {
  const network = named(world, project, body.network);
  const range = bounds(body.ipCidrRange);
  const clash = world
    .all('subnetworks')
    .find(
      ({ body: other }) =>
        other.network === self(network) &&
        bounds(other.ipCidrRange).first <= range.last &&
        range.first <= bounds(other.ipCidrRange).last,
    );
  if (clash)
    throw invalid(
      `Invalid IPCidrRange: ${body.ipCidrRange} conflicts with existing subnetwork '${clash.body.name}'`,
    );
  return {
    network: self(network),
    fingerprint: world.fingerprint(),
    gatewayAddress: body.ipCidrRange.replace(/\.\d+\/\d+$/, '.1'),
  };
}

function bounds(cidr: string): { first: number; last: number } {
  const [address = '', bits] = cidr.split('/');
  const first = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return { first, last: first + 2 ** (32 - Number(bits)) - 1 };
}

/** Changes anything but a machine; answers the operation. @throws Refused as Compute Engine would answer. */
export function act(
  world: World,
  at: Place,
  collection: Collection,
  path: string,
  verb: string,
  body: Json,
): Json {
  const thing = world.find(path);
  if (!thing) throw notFound(path);
  if (verb === 'delete') {
    const user = userOf(world, collection, thing);
    if (user) throw inUse(wordOf[collection], path, user);
    if (thing.status !== undefined && collection !== 'addresses') thing.status = 'DELETING';
    return world.operate(at, verb, path, world.faults.transitions().deleteMs, () => world.drop(path));
  }
  if (world.readiness(path) === 'making') throw notReady(path);
  if (verb === 'patch' && collection === 'firewalls') Object.assign(thing, body);
  else if (verb === 'resize' && collection === 'disks') {
    if (Number(body.sizeGb) <= Number(thing.sizeGb))
      throw invalid(`Invalid value for field 'sizeGb': '${body.sizeGb}'. New disk size must be larger.`);
    thing.sizeGb = body.sizeGb;
  } else throw new Refused(501, 'notImplemented', `the simulator has no compute.${collection}.${verb}`);
  return world.operate(at, verb, path, 40, () => {});
}

/** What else stands on it. */
function userOf(world: World, collection: Collection, thing: Json): string | undefined {
  if (collection === 'networks')
    return [...world.all('subnetworks'), ...world.all('firewalls')].find(
      ({ body }) => body.network === thing.selfLink,
    )?.path;
  if (collection === 'subnetworks')
    return world
      .all('instances')
      .find(({ body }) => body.networkInterfaces.some((nic: Json) => nic.subnetwork === thing.selfLink))
      ?.path;
  return thing.users?.[0];
}

/** Writes labels on anything that has them. @throws Refused 412 for an old fingerprint. */
export function setLabels(world: World, at: Place, path: string, body: Json): Json {
  const thing = world.find(path);
  if (!thing) throw notFound(path);
  if (body.labelFingerprint !== thing.labelFingerprint)
    throw new Refused(
      412,
      'conditionNotMet',
      'Labels fingerprint either invalid or resource labels have changed',
    );
  thing.labels = body.labels;
  thing.labelFingerprint = world.fingerprint();
  return world.operate(at, 'setLabels', path, 20, () => {});
}
