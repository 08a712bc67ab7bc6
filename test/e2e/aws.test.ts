/** AWS accounts as sites, against the EC2 simulator: the whole life of a machine, and a site that is down beside one that is not. */
import { createServer, type Server, type Socket } from 'node:net';
import type { Instance, Schemas } from '@landfall/model';
import { type AwsSimulator, startAwsSimulator } from '../simulators/aws/index.ts';
import { eventually, Installation } from './installation.ts';

let installation: Installation;
let east: AwsSimulator | undefined;
let west: AwsSimulator;
let silent: { server: Server; sockets: Set<Socket> } | undefined;
const landfall: Installation['landfall'] = (...given) => installation.landfall(...given);
const succeed: Installation['succeed'] = (...given) => installation.succeed(...given);

beforeAll(async () => {
  [east, west] = await Promise.all([startAwsSimulator(), startAwsSimulator({ regions: ['us-west-2'] })]);
  installation = await Installation.start({
    parts: ['postgres', 'temporal', 'broker', 'worker'],
    env: {
      EAST_ACCESS_KEY_ID: 'simulated',
      EAST_SECRET_ACCESS_KEY: 'simulated',
      WEST_ACCESS_KEY_ID: 'simulated',
      WEST_SECRET_ACCESS_KEY: 'simulated',
    },
  });
}, 300_000);

afterAll(async () => {
  await installation?.close();
  await endSilence();
  await east?.close();
  await west?.close();
}, 120_000);

async function endSilence(): Promise<void> {
  const ending = silent;
  silent = undefined;
  if (ending === undefined) return;
  const closed = new Promise((resolve) => ending.server.close(resolve));
  for (const socket of ending.sockets) socket.destroy();
  await closed;
}

const site = (name: string, region: string, endpoint: string) =>
  `apiVersion: landfall.dev/v1\nkind: Site\nmetadata: {name: ${name}}\nspec:\n  provider: aws\n  regions: [${region}]\n  endpoint: ${endpoint}\n  credentials: {source: environment, prefix: ${name.toUpperCase()}}\n`;

const machine = (name: string, placement: string) =>
  installation.file(
    `${name}.yaml`,
    `apiVersion: landfall.dev/v1\nkind: Instance\nmetadata: {name: ${name}}\nspec:\n  image: debian-12\n  vcpus: 2\n  memoryGiB: 2\n  diskGiB: 8\n  placement: ${placement}\n`,
  );

const nowhere = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: nowhere, scope: organizations/default}
spec:
  mode: enforce
  rules:
    - name: not-here
      deny: 'offer.region == "us-east-1"'
`;

const get = async (name: string) => JSON.parse(await succeed(`get instance ${name} -o json`)) as Instance;
const stateOf = async (simulator: AwsSimulator) =>
  (await simulator.truth()).find((thing) => thing.providerKind === 'instance')?.state;

test('site add adds two AWS accounts, by the name of their credentials, and both become ready', async () => {
  for (const [name, region, { endpoint }] of [
    ['east', 'us-east-1', east!],
    ['west', 'us-west-2', west],
  ] as const) {
    const file = installation.file(`${name}-site.yaml`, site(name, region, endpoint));
    expect(await succeed(['site', 'add', '-f', file])).toBe(`site/${name} created\n`);
    expect(await succeed(['site', 'add', '-f', file])).toBe(`site/${name} unchanged\n`);
    await eventually(`site ${name}`, async () => /Ready/.test(await succeed(`get site ${name}`)), 120_000);
  }
  expect(await succeed('get sites -o json')).not.toContain('simulated');
}, 300_000);

test('apply --wait lands an instance at AWS, and it is the machine that EC2 has', async () => {
  const file = machine('cloudy', '{providers: [aws], sites: [east]}');
  const applied = await landfall(['apply', '-f', file, '--wait']);
  expect(applied).toMatchObject({ code: 0, stdout: 'instance/cloudy created\n' });
  expect(applied.stderr).toMatch(/cloudy runs at east\/us-east-1 for \$0\.\d+ an hour/);
  const { id, status } = await get('cloudy');
  const machines = (await east!.truth()).filter(({ providerKind }) => providerKind === 'instance');
  expect(machines).toMatchObject([
    { ref: expect.stringContaining(status.externalReference!.split('/').at(-1)!), state: 'running' },
  ]);
  expect(machines[0]?.tags).toMatchObject({ 'landfall:resource': id });
  expect(await west.truth()).toEqual([]);
  expect(east!.calls.flatMap(({ problems }) => problems)).toEqual([]);
  expect(await succeed(['apply', '-f', file])).toBe('instance/cloudy unchanged\n');
}, 300_000);

test('stop, start, resize and delete do the same at EC2, and nothing of it is left', async () => {
  await succeed('stop instance cloudy --wait');
  expect(await stateOf(east!)).toBe('stopped');
  await succeed('start instance cloudy --wait');
  expect(await stateOf(east!)).toBe('running');
  const before = (await get('cloudy')).status;
  await succeed('resize instance cloudy --vcpus 4 --memory 8 --wait');
  const after = (await get('cloudy')).status;
  expect(after.vcpus).toBeGreaterThanOrEqual(4);
  expect(after.externalReference).toBe(before.externalReference);
  expect(after.instanceType).not.toBe(before.instanceType);
  expect(await succeed('audit')).toMatch(/^0 orphans, 0 missing, 0 doubled\n1 instance against 1 machine /);
  await succeed('delete instance cloudy --wait');
  expect(await east!.truth()).toEqual([]);
  expect(await succeed('audit')).toMatch(/^0 orphans, 0 missing, 0 doubled\n0 instances against 0 machines/);
}, 300_000);

test('an image comes from S3 once, though the worker is killed in between; no other URL is taken', async () => {
  const image = (url: string) =>
    installation.file(
      'golden.yaml',
      `apiVersion: landfall.dev/v1\nkind: CustomImage\nmetadata: {name: golden}\nspec:\n  site: east\n  from: {url: {url: '${url}', format: vmdk}}\n  user: admin\n`,
    );
  const foreign = await landfall(['apply', '-f', image('https://disks.example/golden.vmdk')]);
  expect(foreign).toMatchObject({ code: 2, stdout: '' });
  expect(foreign.stderr).toContain('upload the disk to a bucket');
  const signed = await landfall(['apply', '-f', image('s3://disks/golden.vmdk?X-Amz-Signature=opensesame')]);
  expect(signed.code).toBe(2);
  expect(signed.stderr).toContain('must be an address without a query');
  expect(signed.stderr).not.toContain('opensesame');

  const imports = () => east!.calls.filter(({ action }) => action === 'ImportSnapshot');
  east!.faults.set({ kind: 'transitions', createMs: 8000 });
  await succeed(['apply', '-f', image('s3://disks/golden.vmdk')]);
  await eventually('the import', async () => imports().length > 0, 60_000);
  expect(installation.stack.kill('worker', 'SIGKILL')).toBe(true);
  const shown = async () =>
    JSON.parse(await succeed('get customimage golden -o json')) as Schemas['CustomImage'];
  await eventually('the image', async () => (await shown()).status.state === 'Ready', 180_000);
  east!.faults.clear();
  expect(new Set(imports().map(({ parameters }) => parameters.ClientToken)).size).toBe(1);
  const there = (await east!.truth()).filter(({ tags }) => tags['landfall:resource']);
  expect(there.map(({ providerKind }) => providerKind).sort()).toEqual(['image', 'snapshot']);
  expect((await shown()).status.externalReference).toMatch(/^ami-/);
  expect(await succeed('audit')).toMatch(/^0 orphans, 0 missing, 0 doubled\n/);
  await succeed('delete customimage golden --wait');
  expect(await east!.truth()).toEqual([]);
  expect(east!.calls.flatMap(({ problems }) => problems)).toEqual([]);
}, 400_000);

test('discover shows what EC2 has without Landfall; adopt makes it a managed instance, as it is', async () => {
  const ref = await east!.plant('us-east-1', { Name: 'legacy', team: 'shop' });
  const node = await east!.plant('us-east-1', { 'kubernetes.io/cluster/prod': 'owned' });
  const before = (await east!.truth()).map((thing) => thing.ref).sort();
  const table = await succeed('discover --site east');
  expect(table).toMatch(/^KIND +NAME +REGION +SIZE +STATE +REFERENCE +CANNOT BE ADOPTED\n/);
  expect(table).toMatch(
    new RegExp(`Instance +legacy +us-east-1 +2 vCPU, 1 GiB memory.* running +${ref} +-\n`),
  );
  expect(table).toMatch(new RegExp(`${node} +it is managed by a Kubernetes cluster`));
  const found = JSON.parse(await succeed('discover -o json')) as { items: Schemas['Unmanaged'][] };
  const items = found.items.filter(({ kind }) => kind === 'Instance');
  // Of networks only the one that every region has.
  expect(found.items.filter((item) => item.refused?.includes('default VPC'))).toHaveLength(
    found.items.length - items.length,
  );
  expect(items.map(({ externalReference }) => externalReference).sort()).toEqual([node, ref].sort());
  expect(items).toContainEqual(expect.objectContaining({ site: 'east', labels: { team: 'shop' } }));
  expect((await landfall('discover --site moon')).code).toBe(3);

  const refused = await landfall(`adopt instance ${node} --as node --site east`);
  expect(refused).toMatchObject({ code: 5, stdout: '' });
  expect(refused.stderr).toContain('managed by a Kubernetes cluster');
  expect((await landfall('adopt instance i-0123456789abcdef0 --as none --site east')).code).toBe(2);
  expect(await succeed(`adopt instance ${ref} --as legacy --dry-run`)).toMatch(/can be adopted \(dry run\)/);

  // No policy of today's would have allowed it here: it is adopted all the same, and reported.
  const policy = installation.file('nowhere.yaml', nowhere);
  await succeed(['policy', 'put', '-f', policy]);
  const adopted = `adopt instance ${ref} --as legacy --labels env=prod --wait`;
  expect(await succeed(adopted)).toBe(`instance/legacy adopting ${ref} at site/east\n`);
  const { spec, status, labels } = await get('legacy');
  expect(status).toMatchObject({
    state: 'Running',
    adopted: true,
    externalReference: ref,
    instanceType: 't3.micro',
  });
  expect(status.pricePerHour).toBeGreaterThan(0);
  expect({ spec, labels }).toMatchObject({
    spec: { vcpus: 2, memoryGiB: 1, power: 'running' },
    labels: { env: 'prod' },
  });
  for (const unknown of ['image', 'sshKeys', 'userDataDigest']) expect(spec).not.toHaveProperty(unknown);
  expect((await east!.truth()).map((thing) => thing.ref).sort()).toEqual(before);
  const compliance = await landfall('compliance');
  expect(compliance).toMatchObject({ code: 1, stdout: expect.stringContaining('legacy') });
  await succeed('policy delete nowhere');
  expect(await succeed('audit')).toMatch(/^0 orphans, 0 missing, 0 doubled\n1 instance against 1 machine /);
  expect(await succeed('discover instances --site east -o name')).toBe(`instance/${node}\n`);
  expect((await landfall(`${adopted} --site east`)).code).toBe(5);

  // A data disk of the machine: refused as long as the machine is somebody else's, then adopted as attached.
  const volume = await east!.plant('us-east-1', { Name: 'data' }, 'Volume');
  const attach = (machine: string, VolumeId: string) =>
    east!.direct('us-east-1', 'AttachVolume', { VolumeId, InstanceId: machine, Device: '/dev/sdf' });
  await attach(node, volume);
  const early = await landfall(`adopt volume ${volume} --as data --site east`);
  expect(early).toMatchObject({ code: 5, stdout: '' });
  expect(early.stderr).toContain(`is attached to ${node}, which is not Landfall's: adopt that first`);
  await east!.direct('us-east-1', 'DetachVolume', { VolumeId: volume, InstanceId: node, Device: '/dev/sdf' });
  await attach(ref, volume);
  const snapshot = await east!.plant('us-east-1', { Name: 'before' }, 'Snapshot');
  const all = await succeed('discover --site east -o wide');
  expect(all).toMatch(new RegExp(`Volume +data +us-east-1 +1 GiB +ready +${volume} .* gp3 +${ref} `));
  expect(all).toMatch(new RegExp(`Snapshot +before +us-east-1 +1 GiB +ready +${snapshot} `));
  // The root disks are parts of their machines, and the node's is not to be had alone.
  const { items: roots } = JSON.parse(await succeed('discover volumes -o json')) as typeof found;
  const unattached = roots.filter(({ attachedTo }) => attachedTo !== ref);
  expect(roots.map(({ externalReference }) => externalReference)).toContain(volume);
  expect(unattached.every(({ attachedTo }) => attachedTo === undefined)).toBe(true);
  expect((await landfall('discover firewalls --site east')).stderr).toContain(
    'a Firewall cannot be adopted: ',
  );
  expect(await succeed('adopt --all --name data --yes --wait')).toContain(
    `volume/data adopting ${volume} at site/east\n`,
  );
  expect(await succeed(`adopt snapshot ${snapshot} --as before --wait`)).toContain(
    'snapshot/before adopting',
  );
  const data = async () => JSON.parse(await succeed('get volume data -o json')) as Schemas['Volume'];
  expect(await data()).toMatchObject({
    spec: { sizeGiB: 1, attachedTo: 'legacy' },
    status: { state: 'Ready', adopted: true, externalReference: volume, attachedTo: ref, type: 'gp3' },
  });
  expect(await succeed('audit')).toMatch(/^0 orphans, 0 missing, 0 doubled\n1 instance against 1 machine /);
  expect(await succeed('release volume data --yes --wait')).toBe('volume/data releasing\n');
  expect(await succeed('discover volumes --site east -o name')).toContain(`volume/${volume}\n`);
  await succeed(`adopt volume ${volume} --as again --wait`);
  const gone = await landfall('delete volume again --wait');
  expect(gone).toMatchObject({
    code: 0,
    stderr: expect.stringContaining(`the volume ${volume} at site/east itself`),
  });
  await succeed('delete snapshot before --wait');
  const refs = (await east!.truth()).map((thing) => thing.ref);
  expect(refs).not.toContain(volume);
  expect(refs).not.toContain(snapshot);

  // A network with its subnet: an instance stands in it, then it is let go of, and taken back to be deleted.
  const vpc = await east!.plant('us-east-1', { Name: 'shop' }, 'Network');
  expect(await succeed('discover networks --site east')).toMatch(
    new RegExp(`Network +shop +us-east-1 +10.200.0.0/16, 1 subnet +ready +${vpc} `),
  );
  await succeed(`adopt network ${vpc} --as shop --site east --wait`);
  const network = JSON.parse(await succeed('get network shop -o json')) as Schemas['Network'];
  expect(network).toMatchObject({
    spec: { cidr: '10.200.0.0/16', subnets: [{ cidr: '10.200.1.0/24' }] },
    status: { state: 'Ready', adopted: true, externalReference: vpc },
  });
  const subnet = network.status.subnets?.[0]?.name;
  const inside = machine('inside', `{sites: [east]}\n  network: shop\n  subnet: ${subnet}`);
  await succeed(['apply', '-f', inside, '--wait']);
  expect((await get('inside')).status.addresses?.map(({ address }) => address).join()).toContain('10.200.1.');
  const held = await landfall('delete network shop --wait');
  expect(held).toMatchObject({ code: 5, stderr: expect.stringContaining('is used by instance/inside') });
  await succeed('delete instance inside --wait');
  expect(await succeed('release network shop --yes --wait')).toBe('network/shop releasing\n');
  await succeed(`adopt network ${vpc} --as again --site east --wait`);
  expect((await landfall('delete network again --wait')).stderr).toContain(
    `the network ${vpc} at site/east itself`,
  );
  expect((await east!.truth()).map((thing) => thing.ref)).not.toContain(vpc);

  await succeed('stop instance legacy --wait');
  expect((await get('legacy')).status).toMatchObject({ state: 'Stopped', externalReference: ref });
  const deleted = await landfall('delete instance legacy --wait');
  expect(deleted).toMatchObject({
    code: 0,
    stderr: expect.stringContaining(`the machine ${ref} at site/east itself`),
  });
  const left = (await east!.truth()).filter(({ providerKind }) => providerKind === 'instance');
  expect(left.map((thing) => thing.ref)).toEqual([node]);
  expect(east!.calls.flatMap(({ problems }) => problems)).toEqual([]);
}, 300_000);

test('a site that is black-holed hurts only itself, and goes on when it is back', async () => {
  const timed = async (name: string) => {
    const started = Date.now();
    await succeed(['apply', '-f', machine(name, '{sites: [west]}'), '--wait']);
    return Date.now() - started;
  };
  const usual = await timed('usual');
  const port = Number(new URL(east!.endpoint).port);
  await east!.close();
  east = undefined;
  // Connections are taken and never answered: what a failing network does, and worse than refusing.
  const sockets = new Set<Socket>();
  const server = createServer((socket) => void sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  silent = { server, sockets };
  await succeed(['apply', '-f', machine('stuck', '{sites: [east]}')]);
  await eventually('a call into the black hole', async () => sockets.size > 0, 60_000);
  const meanwhile = await timed('meanwhile');
  console.log(
    `a create at the other site: ${usual} ms before, ${meanwhile} ms while one site is black-holed`,
  );
  expect(meanwhile).toBeLessThan(3 * usual + 10_000);
  expect((await get('stuck')).status.state).toBe('Provisioning');
  await endSilence();
  east = await startAwsSimulator({ port });
  await eventually(
    'the end of the create',
    async () => (await get('stuck')).status.state === 'Running',
    180_000,
  );
  expect((await east.truth()).filter(({ providerKind }) => providerKind === 'instance')).toHaveLength(1);
  await succeed('delete instance stuck usual meanwhile --wait');
  expect(await east.truth()).toEqual([]);
  expect(await west.truth()).toEqual([]);
  expect(await succeed('audit')).toMatch(/^0 orphans, 0 missing, 0 doubled$/m);
}, 500_000);
