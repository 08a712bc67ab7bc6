import { WorkedBroker } from '@landfall/test/worked-broker.ts';
import { applyOne, parseManifests } from 'landfall/client.ts';
import { BrokerConnection } from '../broker/connection.ts';
import { deleteAll, deletionQuestion, findGoing } from './deletion.ts';
import { compareWithLive } from './live.ts';
import { applyQuestion, changesAnything, planFile, planText, type Step } from './plan.ts';
import { endLines, failureOf, followOperations } from './progress.ts';
import { sessionOver } from './session.ts';

let broker: WorkedBroker;
let connection: BrokerConnection;
beforeAll(async () => {
  broker = await WorkedBroker.start();
  connection = new BrokerConnection(
    { name: 'test', url: broker.api.url, project: 'default', from: 'settings' },
    { token: async () => broker.api.adminToken, refused: () => undefined },
  );
}, 60_000);
beforeEach(async () => {
  const capacity = { vcpus: 8, memoryGiB: 32, diskGiB: 500 };
  await broker.api.call('PUT', '/v1/sites/local/hosts/h1', {
    token: broker.api.agentToken,
    body: { capacity, accel: 'kvm', architecture: 'x86_64', images: ['tiny'] },
  });
});
afterAll(async () => {
  connection?.close();
  await broker?.stop();
}, 20_000);

const session = () => sessionOver(connection, () => undefined);
const head = (kind: string, name: string) =>
  `apiVersion: landfall.dev/v1\nkind: ${kind}\nmetadata: {name: ${name}}\n`;
const instance = (name: string, spec = '') =>
  `${head('Instance', name)}spec:\n  image: tiny\n  vcpus: 1\n  memoryGiB: 1\n  sshKeys: []\n${spec}`;
const key = (name: string) =>
  `${head('SshKey', name)}spec: {publicKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9mxmHb1wzLdVlVYp0hS5Z6Zk0QxvO2Zb4S2yq1Q7aB ${name}}\n`;
const manifestsOf = (text: string) => parseManifests({ file: 'shop.yaml', text }, '/');
const planOf = (text: string) => planFile(connection, session(), manifestsOf(text));
const asked = (steps: Step[]) => applyQuestion('shop.yaml', connection, steps);

async function apply(text: string): Promise<void> {
  for (const { manifest } of await planOf(text))
    await applyOne(session(), manifest, { dryRun: false, defaultKey: false });
}

test('every document is planned, what others refer to first, with what it costs; nothing is made', async () => {
  const keyed = instance('a').replace('sshKeys: []', 'sshKeys: [eve]');
  const text = `${keyed}---\n${head('Network', 'net')}spec: {site: local, cidr: 10.90.0.0/16}\n---\n${instance('b')}---\n${key('eve')}`;
  const steps = await planOf(text);
  expect(asked(steps).detail.split('\n')).toEqual([
    'Creates sshkey/eve',
    'Creates network/net',
    'Creates instance/a; what it costs is known once sshkey/eve is there',
    expect.stringMatching(
      /^Creates instance\/b on on-prem local default, host h1, kvm-1-1: \$0\.\d+ an hour, \$\d+\.\d\d a month$/,
    ),
    expect.stringMatching(/^In all \$0\.\d+ an hour, \$\d+\.\d\d a month more\.$/),
  ]);
  const shown = planText('shop.yaml', connection, steps);
  expect(shown).toMatch(
    /^Plan of shop\.yaml, asked of test \(http.*\), project default\. Nothing was changed\.\n/,
  );
  expect(shown).toMatch(/instance\/b\n {2}\+ spec\.image: tiny\n/);
  expect(shown).toMatch(/Funnel/);
  for (const path of ['networks', 'instances'])
    expect((await broker.api.call('GET', `/v1/projects/default/${path}`)).body.items).toEqual([]);
});

test('a change of size says what it costs then and now; what is as it is, is left', async () => {
  await apply(instance('sized'));
  expect(changesAnything(await planOf(instance('sized')))).toBe(false);
  const { body } = await broker.api.call('GET', '/v1/projects/default/instances/sized');
  const sized = { id: body.id, operation: '', name: 'sized', project: 'default' };
  const place = { site: 'local', region: 'local', zone: 'default', host: 'h1', provider: 'onprem' } as const;
  await broker.report(sized, {
    state: 'Running',
    ...place,
    pricePerHour: 0.001,
    pricePerMonth: 0.73,
    currency: 'USD',
  });
  const steps = await planOf(instance('sized').replace('vcpus: 1', 'vcpus: 2'));
  expect(changesAnything(steps)).toBe(true);
  expect(asked(steps).detail).toMatch(
    /^Changes instance\/sized \(vcpus\): \$0\.\d+ an hour, \$\d+\.\d\d a month, now \$0\.0010 an hour, \$0\.73 a month\nIn all .* more\.$/,
  );
});

test('what the broker refuses is told by its document, and the others are planned', async () => {
  const steps = await planOf(`${instance('c').replace('image: tiny', 'image: tinyy')}---\n${instance('d')}`);
  expect(steps.map(({ error }) => error?.message)).toEqual([expect.stringContaining('tinyy'), undefined]);
  expect(asked(steps).detail).toMatch(/^Refused: instance\/c: .*tinyy.*\nCreates instance\/d/);
});

test('a document is compared with what there is, field by field, laid out as it is written', async () => {
  const file = `${instance('seen')}  ttl: 72h # three days\n`.replace(
    'metadata: {name: seen}',
    'metadata: {name: seen, labels: {app.kubernetes.io/name: shop}}',
  );
  await apply(file);
  const compare = async (text: string) => {
    const [manifest] = manifestsOf(text);
    return compareWithLive(session().brokerFor(undefined), manifest!);
  };
  expect(await compare(file)).toEqual({ live: file, own: file, asWritten: true });
  const changed = file
    .replace('72h', '24h')
    .replace('name: shop', 'name: store')
    .replace('  image: tiny\n', '  image: tiny\n  dataClass: secret\n');
  expect(await compare(changed)).toEqual({ live: file, own: changed, asWritten: true });
  expect((await compare(instance('unseen'))).live).toBeUndefined();
});

test('a policy is compared by its text, a site by its fields', async () => {
  const policy = `${head('PlacementPolicy', 'small')}spec:\n  rules:\n  - name: no-two\n    deny: request.vcpus > 2\n`;
  await apply(policy);
  const broker = session().brokerFor(undefined);
  const [changed] = manifestsOf(policy.replace('> 2', '> 3'));
  expect(await compareWithLive(broker, changed!)).toMatchObject({ live: policy });
  const [site] = manifestsOf(`${head('Site', 'local')}spec:\n  provider: onprem\n  jurisdiction: FR\n`);
  const { live } = await compareWithLive(broker, site!);
  expect(live).toMatch(/provider: onprem/);
  expect(live).not.toMatch(/jurisdiction: FR/);
});

test('what a file names is deleted in reverse order, after what goes has been told', async () => {
  const text = `${key('ann')}---\n${instance('gone')}---\n${instance('never')}`;
  const manifests = manifestsOf(text);
  for (const manifest of manifests.slice(0, 2))
    await applyOne(session(), manifest, { dryRun: false, defaultKey: false });
  const going = await findGoing(session(), manifests);
  expect(deletionQuestion('shop.yaml', connection, going).detail.split('\n')).toEqual([
    'Deletes instance/gone, its disk and all that was made for it.',
    'Deletes sshkey/ann',
  ]);
  const said: string[] = [];
  const deleting = deleteAll(going, (subject) => said.push(subject), new AbortController().signal);
  let items: { id: string; resource: { id: string } }[] = [];
  while (items.length === 0)
    ({ items } = (await broker.api.call('GET', '/v1/operations?filter=verb=delete')).body);
  // The key goes only when the machine is gone.
  expect(said[0]).toBe('instance/gone');
  expect(said.join('\n')).not.toContain('sshkey/ann');
  const { id, resource } = items[0]!;
  await broker.finish({ operation: id, id: resource.id, name: 'gone', project: 'default' });
  expect(await deleting).toEqual([]);
  expect((await broker.api.call('GET', '/v1/projects/default/sshKeys/ann')).status).toBe(404);
});

/** Asked for at the broker, and followed. */
async function begun(name: string) {
  const made = await broker.request(name);
  const { body: operation } = await broker.api.call('GET', `/v1/operations/${made.operation}`);
  return {
    made,
    followed: { subject: `instance/${name}`, broker: session().brokerFor(undefined), operation },
  };
}

test('what was asked for is followed state by state until all of it has ended, and what failed is told', async () => {
  const [good, bad] = [await begun('good'), await begun('bad')];
  const said: string[] = [];
  const ends = followOperations(
    [good.followed, bad.followed],
    (line) => said.push(line),
    new AbortController().signal,
  );
  await broker.finish(good.made);
  while (!said.some((line) => line.startsWith('1 of 2 done')))
    await new Promise((resolve) => setTimeout(resolve, 20));
  await broker.finish(bad.made, 'Failed');
  const [first, second] = await ends;
  expect(said[0]).toBe('0 of 2 done; instance/good: pending; instance/bad: pending');
  expect(said.at(-1)).toBe('2 of 2 done');
  expect(failureOf(first!)).toBeUndefined();
  expect(failureOf(second!)).toMatch(/^instance\/bad: /);
  const done = new Map([
    ['instance/good', 'created'],
    ['instance/bad', 'created'],
  ]);
  expect(endLines(done, ['network/net: no'], [first!, second!]).lines).toEqual([
    'network/net: no',
    failureOf(second!),
    'instance/good created.',
  ]);
});

test('to stop waiting stops nothing else: it goes on at the broker, and so it is told', async () => {
  const { followed } = await begun('slow');
  const stop = new AbortController();
  const ends = followOperations([followed], () => stop.abort(), stop.signal);
  const [end] = await ends;
  const done = new Map([
    ['instance/slow', 'deleted'],
    ['sshkey/ann', 'deleted'],
  ]);
  expect(endLines(done, [], [end!]).lines).toEqual([
    'sshkey/ann deleted.',
    'instance/slow: goes on in the broker.',
  ]);
  expect(end!.operation.state).toBe('Pending');
  expect(failureOf(end!)).toBeUndefined();
  expect((await broker.api.call('GET', `/v1/operations/${followed.operation.id}`)).body.state).toBe(
    'Pending',
  );
});
