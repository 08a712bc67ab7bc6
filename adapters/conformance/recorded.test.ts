import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../test/simulators/aws/install.ts';
import { installRecordings } from '../../test/simulators/recorded/install.ts';
import { type Replay, startReplay } from '../../test/simulators/recorded/replay.ts';
import * as aws from '../aws/clients.ts';
import { detailsOf as detailsOfEc2, findById } from '../aws/machine.ts';
import { describePage, type ObjectKind as Ec2Kind, objectKinds } from '../aws/objects.ts';
import * as azure from '../azure/clients.ts';
import { powerOf as powerOfAzure } from '../azure/machine.ts';
import { kindOf, look, placeOf } from '../azure/objects.ts';
import * as gcp from '../gcp/clients.ts';
import { thingOf } from '../gcp/collections.ts';
import { detailsOf as detailsOfGcp, findByName } from '../gcp/machine.ts';
import { lastOf } from '../gcp/places.ts';

/**
 * Answers that others recorded from the real clouds (apache-libcloud's test fixtures), replayed over loopback through the real
 * SDKs and our reading of them. What cannot be read is listed, with the reason.
 */
let folder: string;
let replay: Replay;
beforeAll(async () => {
  folder = await installRecordings(cacheFolder());
  replay = await startReplay();
}, 120_000);
afterAll(() => replay?.close());

const filesOf = (cloud: string) => readdirSync(join(folder, cloud)).sort();
const textOf = (cloud: string, file: string) => readFileSync(join(folder, cloud, file), 'utf8');

/** What became of recorded objects. */
interface Read {
  objects: number;
  /** File, object and reason of each that could not be read. */
  unread: string[];
}

type Json = Record<string, unknown>;

/** Every object in an answer for which `is` holds, however deep it lies in lists and pages. */
function objectsIn(value: unknown, is: (object: Json) => boolean): Json[] {
  if (Array.isArray(value)) return value.flatMap((each) => objectsIn(each, is));
  if (typeof value !== 'object' || value === null) return [];
  if (is(value as Json)) return [value as Json];
  return Object.values(value).flatMap((each) => objectsIn(each, is));
}

function jsonOf(cloud: string, file: string): unknown {
  try {
    return JSON.parse(textOf(cloud, file));
  } catch {
    // A few recordings are no JSON on purpose, for their own tests; they hold no object.
    return undefined;
  }
}

describe('recorded EC2 answers', () => {
  const files: Record<Ec2Kind, string[]> = {
    volume: ['describe_volumes.xml'],
    networkInterface: ['describe_network_interfaces.xml'],
    securityGroup: ['describe_security_groups.xml'],
    snapshot: ['describe_snapshots.xml'],
    image: ['describe_images.xml', 'describe_images_ex_imageids.xml'],
    importTask: [],
    vpc: ['describe_vpcs.xml'],
    subnet: ['describe_subnets.xml'],
    internetGateway: ['describe_internet_gateways.xml'],
    address: ['describe_addresses_all.xml', 'describe_addresses_multi.xml', 'describe_addresses_single.xml'],
  };
  const ec2 = () =>
    aws
      .openAccount({
        site: 'recorded',
        regions: ['us-east-1'],
        endpoint: replay.endpoint,
        credentials: { accessKeyId: 'none', secretAccessKey: 'none' },
      })
      .ec2('us-east-1');

  test('every object of a list is read, but where EC2-Classic has no id, and where the recording is not one list', async () => {
    const read: Read = { objects: 0, unread: [] };
    for (const kind of objectKinds)
      for (const file of files[kind]) {
        const text = textOf('ec2', file);
        replay.answer(text, 'xml');
        const { objects } = await describePage(ec2(), kind, { Filters: [] });
        const items = itemsIn(text);
        if (objects.length !== items)
          read.unread.push(`${file}: the SDK reads ${objects.length} of ${items}`);
        for (const { ref, state } of objects)
          if (ref === '') read.unread.push(`${file}: no id`);
          else {
            read.objects += 1;
            expect(['creating', 'ready', 'failed', 'removing']).toContain(state);
          }
      }
    const classic = 'describe_addresses_multi.xml: no id';
    expect(read).toEqual({
      objects: 22,
      unread: [
        // Three lists, where EC2's own description has one.
        'describe_snapshots.xml: the SDK reads 1 of 3',
        classic,
        classic,
        classic,
        'describe_addresses_single.xml: no id',
      ],
    });
  });

  test('a machine is read, with its power and addresses', async () => {
    const text = textOf('ec2', 'describe_instances.xml');
    replay.answer(text, 'xml');
    const machine = await findById(ec2(), 'any');
    const said = (pattern: RegExp) => pattern.exec(text)?.[1];
    expect(machine?.InstanceId).toBe(said(/<instanceId>(.+?)</));
    expect(machine && detailsOfEc2(machine, new Map())).toMatchObject({
      power: said(/<instanceState>.*?<name>(\w+)</s),
      instanceType: said(/<instanceType>(.+?)</),
    });
  });
});

/** How many items the answer's own list has, without those of lists in it. */
function itemsIn(xml: string): number {
  let depth = 0;
  let items = 0;
  for (const [tag] of xml.matchAll(/<\/?item>/g)) {
    if (tag === '<item>' && depth === 0) items += 1;
    depth += tag === '<item>' ? 1 : -1;
  }
  return items;
}

describe('recorded Compute Engine answers', () => {
  const account = () =>
    gcp.openAccount({
      site: 'recorded',
      regions: ['us-central1'],
      project: 'recorded',
      endpoint: replay.endpoint,
      credentials: { accessToken: 'none' },
    });

  test('every machine and disk is read', async () => {
    const read: Read = { objects: 0, unread: [] };
    const of = account();
    for (const file of filesOf('gce').filter((each) => each.endsWith('.json')))
      for (const object of objectsIn(jsonOf('gce', file), ({ kind }) =>
        ['compute#instance', 'compute#disk'].includes(String(kind)),
      )) {
        read.objects += 1;
        replay.answer(JSON.stringify(object), 'json');
        const zone = lastOf(String(object.zone));
        const name = String(object.name);
        try {
          if (object.kind === 'compute#instance') {
            const machine = await findByName(of, zone, name);
            const { power, addresses, instanceType } = machine
              ? detailsOfGcp(machine, new Map())
              : { power: 'none', addresses: [], instanceType: '' };
            expect(machine).toMatchObject({ name, zone });
            expect(addresses.length).toBeGreaterThan(0);
            expect(instanceType).toBe(lastOf(String(object.machineType)));
            expect(power).toBe(object.status === 'RUNNING' ? 'running' : 'stopped');
          } else {
            const [answer] = await of.clients.disks.get({ project: 'recorded', zone, disk: name }, of.call);
            const disk = thingOf('disks', `zones/${zone}`, answer);
            expect(disk).toMatchObject({ name, location: { zone }, state: 'ready' });
          }
        } catch (error) {
          read.unread.push(`${file}: ${name}: ${reasonOf(error)}`);
        }
      }
    expect(read).toEqual({ objects: 42, unread: [] });
  });
});

describe('recorded Azure answers', () => {
  test('every object of a type that we have is read', async () => {
    const account = azure.openAccount({
      site: 'recorded',
      subscription: '00000000-0000-0000-0000-000000000001',
      regions: ['eastus'],
      endpoint: replay.endpoint,
      credentials: { token: 'none' },
    });
    const read: Read = { objects: 0, unread: [] };
    for (const file of filesOf('azure_arm').filter((each) => !each.includes('RateCard')))
      for (const object of objectsIn(
        jsonOf('azure_arm', file),
        ({ type, id }) => typeof id === 'string' && kindOf(String(type)) !== undefined,
      )) {
        const kind = kindOf(String(object.type));
        if (!kind) continue;
        read.objects += 1;
        replay.answer(JSON.stringify(object), 'json');
        try {
          const place = placeOf(String(object.id));
          const seen = await look(account, place?.group ?? '', kind, place?.name ?? '');
          const { provisioningState } = (object.properties ?? {}) as Json;
          expect(seen).toMatchObject({ id: object.id, name: object.name, provisioningState });
          if (kind === 'virtualMachine') powerOfAzure(seen as Parameters<typeof powerOfAzure>[0]);
        } catch (error) {
          read.unread.push(`${file}: ${String(object.name)}: ${reasonOf(error)}`);
        }
      }
    expect(read).toEqual({ objects: 26, unread: [] });
  });
});

/** The first line that says something, without jest's colours. */
function reasonOf(error: unknown): string {
  return (error as Error).message
    .replace(/\u001b\[\d+m/g, '')
    .split('\n')
    .filter(Boolean)
    .slice(0, 3)
    .join(' ');
}
