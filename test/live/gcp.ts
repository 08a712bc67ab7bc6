import type { Kind } from '@landfall/adapters';
import type { Truth } from '@landfall/adapters/conformance/subject.ts';
import { openAccount } from '@landfall/adapters/gcp/clients.ts';
import { type Collection, refOfLink, wordOf } from '@landfall/adapters/gcp/collections.ts';
import { createGcpAdapter, gcpCredentials } from '@landfall/adapters/gcp/index.ts';
import { readOperation } from '@landfall/adapters/gcp/operation.ts';
import { descriptionOf, stampAsLabels } from '@landfall/adapters/gcp/stamp.ts';
import { secretOf } from '@landfall/adapters/secret.ts';
import { resized, truthOf, wantOf } from '../simulators/gcp/subject.ts';
import { askedBy, foreignStamp, type LiveAccount, type LiveSubject, patienceOf, runMark } from './subject.ts';

/** Each after what uses it. */
const collections: Collection[] = [
  'instances',
  'images',
  'snapshots',
  'disks',
  'addresses',
  'firewalls',
  'subnetworks',
  'networks',
];

/** An object as Google lists it. */
interface Body {
  name?: string | null;
  selfLink?: string | null;
  labels?: Record<string, string> | null;
  description?: string | null;
}

/** What is asked of every collection's client here. */
interface Client {
  insert(request: object): Promise<[{ latestResponse?: unknown }]>;
  delete(request: object): Promise<unknown>;
  listAsync?(request: object, options: object): AsyncIterable<Body>;
  aggregatedListAsync?(request: object, options: object): AsyncIterable<[string, Record<string, Body[]>]>;
}

/** A Google Cloud project for the suites. What is asked of it here goes past the adapter, by Google's own library. */
export async function liveGcp(account: LiveAccount): Promise<LiveSubject> {
  const { spec, run } = account;
  const [region = ''] = spec.regions ?? [];
  const zone = account.zone ?? `${region}-b`;
  const location = { region, zone };
  const secret = secretOf(spec);
  const options = {
    site: 'live',
    regions: [region],
    project: spec.project,
    endpoint: spec.endpoint,
    credentials: secret && (await gcpCredentials(secret)),
    ...patienceOf(account),
  };
  const opened = openAccount(options);
  const { call } = opened;
  const project = await opened.project();
  const clientOf = (collection: Collection) => opened.clients[collection] as unknown as Client;

  /** All of the run in one collection, whether the adapter made it or `plantForeign`. */
  async function existingIn(collection: Collection): Promise<Truth[]> {
    const client = clientOf(collection);
    const bodies: Body[] = [];
    if (['instances', 'disks', 'addresses', 'subnetworks'].includes(collection)) {
      for await (const [, scope] of client.aggregatedListAsync!({ project }, call))
        bodies.push(...(scope[collection] ?? []));
    } else for await (const body of client.listAsync!({ project }, call)) bodies.push(body);
    return bodies.flatMap(({ name, selfLink, labels, description }) => {
      const object = { name: name ?? '', labels: labels ?? {}, description: description ?? undefined };
      const ref = refOfLink(selfLink ?? '');
      const thing = truthOf({ ref, providerKind: wordOf(collection), ...object });
      return thing.broker === run || object.name.startsWith(`${run}-`) ? [thing] : [];
    });
  }
  const truth = async () => (await Promise.all(collections.map(existingIn))).flat();
  /** Makes it, and waits until it is there. @returns its reference. */
  async function make(collection: Collection, where: object, body: { name: string }): Promise<string> {
    const request = { project, ...where, [`${wordOf(collection)}Resource`]: body };
    const [{ latestResponse }] = await clientOf(collection).insert(request);
    const { name, targetLink } = latestResponse as { name: string; targetLink: string };
    const ref = refOfLink(targetLink);
    const scope = ref.split('/').slice(0, -2).join('/');
    for (;;) {
      const { done, error } = await readOperation(opened, { scope, operation: name });
      if (error) throw new Error(`${ref}: ${JSON.stringify(error)}`);
      if (done) return ref;
      await new Promise((resolve) => setTimeout(resolve, options.pollMs ?? 2000));
    }
  }
  let planted = 0;
  return {
    provider: 'gcp',
    ...askedBy(run, location, wantOf),
    resized,
    adapter: async () => createGcpAdapter(options),
    truth,
    async plantForeign(resource, broker, kind = 'Instance') {
      planted += 1;
      const name = `${run}-${process.pid}-${planted}`;
      const stamp = broker === undefined ? undefined : foreignStamp(resource, broker);
      const labels = { [runMark]: run, ...(stamp ? stampAsLabels(stamp) : {}) };
      const description = stamp ? descriptionOf(stamp) : 'by somebody else';
      const disk = (how: object) => make('disks', { zone }, { name, sizeGb: '10', ...how } as never);
      const plants: Record<Kind, () => Promise<string>> = {
        async Instance() {
          const image = wantOf(foreignStamp(resource, run), location).spec.image!.gcp!;
          const sourceImage = `projects/${image.project}/global/images/family/${image.family}`;
          const initializeParams = { diskName: name, sourceImage, labels: { [runMark]: run } };
          const machine = {
            name,
            labels,
            machineType: `zones/${zone}/machineTypes/e2-micro`,
            disks: [{ boot: true, autoDelete: true, initializeParams }],
            networkInterfaces: [{ network: 'global/networks/default' }],
          };
          return make('instances', { zone }, machine);
        },
        Volume: () => disk({ labels }),
        async Snapshot() {
          const sourceDisk = `projects/${project}/${await disk({})}`;
          return make('snapshots', {}, { name, labels, sourceDisk } as never);
        },
        async Image() {
          const sourceDisk = `projects/${project}/${await disk({})}`;
          return make('images', {}, { name, labels, sourceDisk } as never);
        },
        Network: () => make('networks', {}, { name, description, autoCreateSubnetworks: false } as never),
        Firewall: () =>
          make('firewalls', {}, { name, description, allowed: [{ IPProtocol: 'icmp' }] } as never),
        Address: () => make('addresses', { region }, { name, description } as never),
      };
      return plants[kind]();
    },
    async uproot() {
      const refused: string[] = [];
      for (const collection of collections)
        for (const { ref } of await existingIn(collection)) {
          const [level, place, , name = ''] = ref.startsWith('global/')
            ? ['global', '', ...ref.split('/').slice(1)]
            : ref.split('/');
          if (!name.startsWith(`${run}-`)) continue;
          const at = level === 'zones' ? { zone: place } : level === 'regions' ? { region: place } : {};
          await clientOf(collection)
            .delete({ project, ...at, [wordOf(collection)]: name })
            .catch((error: Error) => refused.push(`${ref}: ${error.message}`));
        }
      return refused;
    },
    remains: async () => (await truth()).map(({ ref }) => ref),
    close: async () => {},
  };
}
