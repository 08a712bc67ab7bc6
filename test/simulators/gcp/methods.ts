import { cpuLimit, images, machineTypes, zoneExists, zonesOfRegions } from './catalog.ts';
import type { Matched } from './discovery.ts';
import type { FaultPlan, OperationFailure, Refusal } from './faults.ts';
import { readFilter } from './filter.ts';
import { cpusIn, type Json, self, type World } from './world.ts';

export class Refused extends Error {
  readonly refusal: Refusal;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.refusal = { status, reason, message };
  }
}

const notFound = (path: string) => new Refused(404, 'notFound', `The resource '${path}' was not found`);
const invalid = (message: string) => new Refused(400, 'invalid', message);

/** Carries out one of the methods that the simulator has. @throws Refused as Compute Engine would answer. */
export async function carryOut(
  world: World,
  faults: FaultPlan,
  { id, path: at }: Matched,
  query: URLSearchParams,
  body: Json,
  failure?: OperationFailure,
): Promise<Json> {
  const { project = '', zone = '', region = '' } = at;
  if (zone && !zoneExists(zone)) throw notFound(`projects/${project}/zones/${zone}`);
  const [, service = '', verb = ''] = id.split('.');
  const place = { project, zone };
  if (service === 'zoneOperations') {
    const path = `projects/${project}/zones/${zone}/operations/${at.operation}`;
    const operation = world.operation(path);
    if (!operation) throw notFound(path);
    const until = Date.now() + 120_000;
    while (verb === 'wait' && operation.status !== 'DONE' && Date.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 20));
    return operation;
  }
  if (id === 'compute.zones.get')
    return {
      kind: 'compute#zone',
      name: zone,
      region: self(`projects/${project}/regions/${region}`),
      status: 'UP',
    };
  if (id === 'compute.regions.get') {
    const zones = zonesOfRegions[region];
    if (!zones) throw notFound(`projects/${project}/regions/${region}`);
    return {
      kind: 'compute#region',
      name: region,
      status: 'UP',
      zones: zones.map((name) => self(`projects/${project}/zones/${name}`)),
      quotas: [{ metric: 'CPUS', limit: cpuLimit, usage: cpusIn(world, region) }],
    };
  }
  if (id === 'compute.images.getFromFamily') {
    const image = images.find((one) => one.project === project && one.family === at.family);
    if (!image) throw notFound(`projects/${project}/global/images/family/${at.family}`);
    const { name, family, architecture } = image;
    return {
      kind: 'compute#image',
      name,
      family,
      architecture,
      status: 'READY',
      selfLink: self(`projects/${project}/global/images/${name}`),
    };
  }
  if (id === 'compute.machineTypes.get') {
    const type = machineTypes.find(({ name }) => name === at.machineType);
    if (!type) throw notFound(`projects/${project}/zones/${zone}/machineTypes/${at.machineType}`);
    return { kind: 'compute#machineType', zone, ...type };
  }
  if (id === 'compute.machineTypes.aggregatedList') {
    const items = Object.values(zonesOfRegions)
      .flat()
      .map((name) => [
        `zones/${name}`,
        { machineTypes: machineTypes.map((type) => ({ kind: 'compute#machineType', zone: name, ...type })) },
      ]);
    return { kind: 'compute#machineTypeAggregatedList', id, items: Object.fromEntries(items) };
  }
  if (service === 'instances' || service === 'disks') {
    if (verb === 'aggregatedList') return aggregated(world, faults, service, query);
    if (verb === 'list') return listed(world, faults, service, zone, query);
  }

  const name = at.instance ?? at.disk;
  const path = `projects/${project}/zones/${zone}/${service}/${name}`;
  if (id === 'compute.instances.insert') {
    const type = body.machineType.split('/').at(-1);
    if (!machineTypes.some((one) => one.name === type))
      throw invalid(
        `Invalid value for field 'resource.machineType': '${body.machineType}'. Machine type with name '${type}' does not exist in zone '${zone}'.`,
      );
    const exists = [
      `${path.replace(/[^/]*$/, '')}${body.name}`,
      `projects/${project}/zones/${zone}/disks/${body.name}`,
    ].find((one) => world.find(one));
    if (exists) throw new Refused(409, 'alreadyExists', `The resource '${exists}' already exists`);
    return world.insertInstance(place, body, failure);
  }
  if (service !== 'instances' && service !== 'disks')
    throw new Refused(501, 'notImplemented', `the simulator has no ${id}`);
  const thing = verb === 'get' ? world.look(path) : world.find(path);
  if (!thing) throw notFound(path);
  if (verb === 'get') return thing;
  if (verb === 'getSerialPortOutput') {
    const contents = `SeaBIOS\n${at.instance} login: \n`.repeat(8);
    return { kind: 'compute#serialPortOutput', contents, start: '0', next: String(contents.length) };
  }
  if (verb === 'delete') {
    if (service === 'disks' && thing.users.length > 0)
      throw new Refused(
        400,
        'resourceInUseByAnotherResource',
        `The disk resource '${path}' is already being used by '${thing.users[0]}'`,
      );
    return world.act(place, path, verb, body);
  }
  if (service === 'instances') {
    if (verb === 'setLabels' && body.labelFingerprint !== thing.labelFingerprint)
      throw new Refused(
        412,
        'conditionNotMet',
        'Labels fingerprint either invalid or resource labels have changed',
      );
    if (verb === 'setMachineType' && thing.status !== 'TERMINATED')
      throw invalid(
        "Invalid value for field 'resource': The instance must be stopped to change its machine type",
      );
    if (verb === 'reset' && thing.status !== 'RUNNING')
      throw new Refused(400, 'resourceNotReady', `The resource '${path}' is not ready`);
    if (['stop', 'start', 'reset', 'setLabels', 'setMachineType'].includes(verb))
      return world.act(place, path, verb, body, failure);
  }
  throw new Refused(501, 'notImplemented', `the simulator has no ${id}`);
}

/** What a list's filter, size and page token choose. */
function page(
  world: World,
  faults: FaultPlan,
  service: 'instances' | 'disks',
  query: URLSearchParams,
  zone?: string,
): { things: Json[]; next: { nextPageToken?: string } } {
  const text = query.get('filter');
  const matches = text ? readFilter(text) : () => true;
  if (!matches) throw invalid(`Invalid value for field 'filter': '${text}'. Invalid list filter expression.`);
  const found = world
    .visible(service)
    .filter((thing) => matches(thing) && (zone === undefined || thing.zone.endsWith(`/${zone}`)));
  const size = Math.min(faults.pageSize() ?? 500, Number(query.get('maxResults') ?? 500));
  const from = Number(query.get('pageToken') || 0);
  const next = found.length > from + size ? { nextPageToken: String(from + size) } : {};
  return { things: found.slice(from, from + size), next };
}

function listed(
  world: World,
  faults: FaultPlan,
  service: 'instances' | 'disks',
  zone: string,
  query: URLSearchParams,
): Json {
  const { things, next } = page(world, faults, service, query, zone);
  return { kind: `compute#${service.slice(0, -1)}List`, id: service, items: things, ...next };
}

function aggregated(
  world: World,
  faults: FaultPlan,
  service: 'instances' | 'disks',
  query: URLSearchParams,
): Json {
  const { things, next } = page(world, faults, service, query);
  const items: Record<string, Json> = {};
  for (const thing of things) {
    const scope = `zones/${thing.zone.split('/').at(-1)}`;
    items[scope] ??= { [service]: [] };
    items[scope][service].push(thing);
  }
  return { kind: `compute#${service.slice(0, -1)}AggregatedList`, id: service, items, ...next };
}
