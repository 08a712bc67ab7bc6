import { cpuLimit, images, machineTypes, zoneExists, zonesOfRegions } from './catalog.ts';
import type { Matched } from './discovery.ts';
import { act, insert, setLabels, wordOf } from './estate.ts';
import type { OperationFailure } from './faults.ts';
import { aggregated, listed, operationsIn } from './lists.ts';
import { actOnInstance, insertInstance } from './machines.ts';
import { invalid, notFound, Refused } from './refusals.ts';
import { type Collection, collections, cpusIn, type Json, self, type World } from './world.ts';

/** Carries out one of the methods that the simulator has. @throws Refused as Compute Engine would answer. */
export async function carryOut(
  world: World,
  { id, path: at }: Matched,
  query: URLSearchParams,
  body: Json,
  failure?: OperationFailure,
): Promise<Json> {
  const { project = '', zone = '', region = '' } = at;
  if (zone && !zoneExists(zone)) throw notFound(`projects/${project}/zones/${zone}`);
  if (region && !zonesOfRegions[region]) throw notFound(`projects/${project}/regions/${region}`);
  const [, service = '', verb = ''] = id.split('.');
  const scope = zone ? `zones/${zone}` : region ? `regions/${region}` : 'global';
  if (['zoneOperations', 'regionOperations', 'globalOperations'].includes(service)) {
    if (verb === 'list') return operationsIn(world, `projects/${project}/${scope}`, query);
    const path = `projects/${project}/${scope}/operations/${at.operation}`;
    const operation = world.operation(path);
    if (!operation) throw notFound(path);
    const until = Date.now() + 120_000;
    while (verb === 'wait' && operation.status !== 'DONE' && Date.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 20));
    return operation;
  }
  const known = catalogue(world, id, at);
  if (known) return known;
  const collection = collections.find((one) => one === service) as Collection | undefined;
  if (!collection) throw new Refused(501, 'notImplemented', `the simulator has no ${id}`);
  if (verb === 'aggregatedList') return aggregated(world, collection, query);
  if (verb === 'list') return listed(world, collection, scope, query);

  const place = { project, scope };
  const under = `projects/${project}/${scope}/${collection}/`;
  const path = `${under}${at.resource ?? at[wordOf[collection]]}`;
  if (verb === 'insert') return insertOne(world, place, collection, body, query, failure);
  if (verb === 'get') {
    const thing = world.look(path);
    if (!thing) throw notFound(path);
    return thing;
  }
  if (verb === 'getSerialPortOutput') {
    if (!world.find(path)) throw notFound(path);
    const contents = `SeaBIOS\n${at.instance} login: \n`.repeat(8);
    return { kind: 'compute#serialPortOutput', contents, start: '0', next: String(contents.length) };
  }
  if (verb === 'setLabels') return setLabels(world, place, path, body);
  if (collection === 'instances') return actOnInstance(world, place, path, verb, query, body, failure);
  return act(world, place, collection, path, verb, body);
}

function insertOne(
  world: World,
  place: { project: string; scope: string },
  collection: Collection,
  body: Json,
  query: URLSearchParams,
  failure?: OperationFailure,
): Json {
  const under = `projects/${place.project}/${place.scope}/`;
  const taken = [`${under}${collection}/${body.name}`];
  if (collection === 'instances') taken.push(`${under}disks/${body.name}`);
  const exists = taken.find((one) => world.find(one));
  if (collection !== 'instances') {
    if (exists) throw new Refused(409, 'alreadyExists', `The resource '${exists}' already exists`);
    return insert(world, place, collection, body, query, failure);
  }
  const type = body.machineType.split('/').at(-1);
  if (!machineTypes.some((one) => one.name === type))
    throw invalid(
      `Invalid value for field 'resource.machineType': '${body.machineType}'. Machine type with name '${type}' does not exist in zone '${place.scope.replace('zones/', '')}'.`,
    );
  if (exists) throw new Refused(409, 'alreadyExists', `The resource '${exists}' already exists`);
  return insertInstance(world, place, body, failure);
}

/** What does not change: places, machine types, public images. */
function catalogue(world: World, id: string, at: Record<string, string>): Json | undefined {
  const { project = '', zone = '', region = '' } = at;
  switch (id) {
    case 'compute.zones.get':
      return {
        kind: 'compute#zone',
        name: zone,
        region: self(`projects/${project}/regions/${region}`),
        status: 'UP',
      };
    case 'compute.regions.get':
      return {
        kind: 'compute#region',
        name: region,
        status: 'UP',
        zones: zonesOfRegions[region]?.map((name) => self(`projects/${project}/zones/${name}`)),
        quotas: [{ metric: 'CPUS', limit: cpuLimit, usage: cpusIn(world, region) }],
      };
    case 'compute.images.getFromFamily': {
      const image = images.find((one) => one.project === project && one.family === at.family);
      if (!image) throw notFound(`projects/${project}/global/images/family/${at.family}`);
      const { name, family, architecture } = image;
      const selfLink = self(`projects/${project}/global/images/${name}`);
      return { kind: 'compute#image', name, family, architecture, status: 'READY', selfLink };
    }
    case 'compute.machineTypes.get': {
      const type = machineTypes.find(({ name }) => name === at.machineType);
      if (!type) throw notFound(`projects/${project}/zones/${zone}/machineTypes/${at.machineType}`);
      return { kind: 'compute#machineType', zone, ...type };
    }
    case 'compute.machineTypes.aggregatedList': {
      const items = Object.values(zonesOfRegions)
        .flat()
        .map((name) => [
          `zones/${name}`,
          {
            machineTypes: machineTypes.map((type) => ({ kind: 'compute#machineType', zone: name, ...type })),
          },
        ]);
      return { kind: 'compute#machineTypeAggregatedList', id, items: Object.fromEntries(items) };
    }
    default:
      return undefined;
  }
}
