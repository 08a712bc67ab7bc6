import type { Decision, Instance, Schemas } from '@landfall/model';
import { type Requested, WorkedBroker } from '@landfall/test/worked-broker.ts';
import { BrokerConnection, body } from '../broker/connection.ts';
import { deletionQuestion as fileDeletionQuestion } from '../files/deletion.ts';
import {
  acknowledge,
  approve,
  cancel,
  change,
  deletionQuestion,
  detachQuestion,
  growQuestion,
  planSize,
  power,
  powerQuestion,
  reject,
  remove,
  resize,
  resizeQuestion,
} from './actions.ts';
import { readDocument, timelineText } from './documents.ts';
import { Estate } from './estate.ts';
import type { Resource } from './kinds.ts';

let broker: WorkedBroker;
let connection: BrokerConnection;

const connect = (token: string): BrokerConnection =>
  new BrokerConnection(
    { name: 'test', url: broker.api.url, project: 'default', from: 'settings' },
    { token: async () => token, refused: () => undefined },
  );

beforeAll(async () => {
  broker = await WorkedBroker.start();
  connection = connect(broker.api.adminToken);
}, 60_000);
afterAll(async () => {
  connection?.close();
  await broker?.stop();
}, 20_000);

const read = (asked: Requested): Promise<Instance> =>
  body(
    connection.client.GET('/v1/projects/{project}/instances/{instance}', {
      params: { path: { project: asked.project, instance: asked.id } },
    }),
  );

/** A machine that runs, with a price. */
async function running(name: string): Promise<Instance> {
  const asked = await broker.request(name);
  await broker.finish(asked);
  await broker.report(asked, {
    state: 'Running',
    site: 'local',
    region: 'local',
    pricePerHour: 0.0104,
    pricePerMonth: 7.592,
    currency: 'USD',
  });
  return read(asked);
}

test('what costs or destroys is asked before, with the price of an hour and a month', async () => {
  const web = await running('web');
  expect(powerQuestion('start', web)).toMatchObject({
    message: 'Start web?',
    detail: 'It costs $0.0104 an hour, $7.59 a month while it runs.',
  });
  expect(powerQuestion('stop', web).detail).toMatch(/its disk stays.*\$0\.0104 an hour/);
  expect(deletionQuestion(web)).toMatchObject({
    message: 'Delete web of default?',
    detail: expect.stringMatching(/are lost\. It costs \$0\.0104 an hour, \$7\.59 a month now\./),
  });
  const plan = { winner: { pricePerHour: 0.0208, pricePerMonth: 15.184, currency: 'USD' } } as Decision;
  expect(resizeQuestion(web, { vcpus: 2, memoryGiB: 4 }, plan)).toEqual({
    message: 'Resize web to 2 vCPU, 4 GiB?',
    detail:
      'It then costs $0.0208 an hour, $15.18 a month. Now it costs $0.0104 an hour, $7.59 a month. It may be restarted.',
    button: 'Resize',
  });
  expect(resizeQuestion(web, { vcpus: 2, memoryGiB: 4 }, undefined).detail).toMatch(/not known/);
});

test('before what was adopted is deleted it is said that the thing itself goes', async () => {
  const web = await running('taken');
  const status = { ...web.status, adopted: true, externalReference: 'i-7', site: 'aws-1' };
  expect(deletionQuestion({ ...web, status }).detail).toBe(
    'It was adopted: i-7 at site/aws-1 itself is deleted, with its disk. To keep it, release it instead. It costs $0.0104 an hour, $7.59 a month now.',
  );
  const volume = {
    kind: 'Volume',
    name: 'data',
    project: 'default',
    spec: {},
    status,
  } as unknown as Resource;
  expect(deletionQuestion(volume).detail).toContain('It was adopted: i-7 at site/aws-1 itself is deleted');
  const of = { target: { kind: { singular: 'volume' }, name: 'data' }, item: volume };
  const { detail } = fileDeletionQuestion('a.yaml', connection, [of as never]);
  expect(detail).toBe('Deletes volume/data, which was adopted: i-7 at site/aws-1 itself goes');
});

test('before what is not adopted yet, or was refused, is deleted it is said that it stays', async () => {
  const web = await running('not-taken');
  const { externalReference: _, ...seen } = web.status;
  const kept = "It is not Landfall's: at its provider it stays as it is.";
  for (const status of [
    { ...seen, state: 'Adopting' as const, adopted: true, externalReference: 'i-8' },
    { ...seen, state: 'Failed' as const, adopted: true },
  ]) {
    expect(deletionQuestion({ ...web, status }).detail).toMatch(new RegExp(`^${kept}`));
    const volume = {
      kind: 'Volume',
      name: 'data',
      project: 'default',
      spec: {},
      status,
    } as never as Resource;
    expect(deletionQuestion(volume).detail).toBe(kept);
    const of = { target: { kind: { singular: 'volume' }, name: 'data' }, item: volume };
    const { detail } = fileDeletionQuestion('a.yaml', connection, [of as never]);
    expect(detail).toBe(`Deletes volume/data. ${kept}`);
  }
});

test('power, size and deletion become operations of the broker', async () => {
  const moved = await running('moved');
  expect(await power(connection, 'stop', moved)).toMatchObject({ verb: 'stop', state: 'Pending' });
  expect(await resize(connection, moved, { vcpus: 2, memoryGiB: 1 })).toMatchObject({ verb: 'resize' });
  expect((await read({ ...moved, operation: '' })).spec).toMatchObject({ power: 'stopped', vcpus: 2 });
  expect(await remove(connection, moved)).toMatchObject({ verb: 'delete', resource: { name: 'moved' } });
});

test('an adopted machine’s deletion says that what existed before goes', async () => {
  const asked = await broker.request('ours-now');
  const machine = { state: 'Running', site: 'aws-1', externalReference: 'i-0abc' } as const;
  await broker.report(asked, { ...machine, adopted: true });
  expect(deletionQuestion(await read(asked)).detail).toMatch(
    /^It was adopted: i-0abc at site\/aws-1 itself is deleted, with its disk\./,
  );
});

test('volumes and addresses are attached, detached, grown and deleted, after questions with what that means', async () => {
  await running('host');
  const { client } = connection;
  const volume = (): Promise<Schemas['Volume']> =>
    body(
      client.GET('/v1/projects/{project}/volumes/{resource}', {
        params: { path: { project: 'default', resource: 'data' } },
      }),
    );
  await broker.api.call('POST', '/v1/projects/default/volumes', {
    body: { name: 'data', spec: { site: 'local', sizeGiB: 20 } },
  });
  expect(await change(connection, await volume(), { attachedTo: 'host' })).toMatchObject({
    kind: 'Operation',
    resource: { name: 'data' },
  });
  expect(detachQuestion(await volume())).toMatchObject({
    message: 'Detach the volume data from host?',
    detail: expect.stringMatching(/what is on it stays/),
  });
  await change(connection, await volume(), { attachedTo: null });
  expect((await volume()).spec.attachedTo ?? null).toBeNull();
  expect(growQuestion(await volume(), 40)).toMatchObject({
    message: 'Grow the volume data from 20 GiB to 40 GiB?',
    detail: expect.stringMatching(/cannot be made smaller again/),
  });
  await change(connection, await volume(), { sizeGiB: 40 });
  expect((await volume()).spec.sizeGiB).toBe(40);
  expect(deletionQuestion(await volume())).toMatchObject({
    message: 'Delete the volume data of default?',
    detail: expect.stringMatching(/is lost\. Landfall has no price for it/),
  });
  expect(await remove(connection, await volume())).toMatchObject({ verb: 'delete' });
  // One that is let go of is Landfall's no more: it leaves its list as one that is deleted.
  const list = new Estate(connection).resources('Volume', 'default');
  await list.load();
  const now = await volume();
  expect(list.get(now.id)).toBeDefined();
  list.apply(new Map([[now.id, { ...now, status: { ...now.status, state: 'Released' } }]]));
  expect(list.get(now.id)).toBeUndefined();
});

test('keys, images and policies are deleted at once, after a question', async () => {
  const { body: key } = await broker.api.call('POST', '/v1/projects/default/sshKeys', {
    body: {
      name: 'ann',
      publicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9mxmHb1wzLdVlVYp0hS5Z6Zk0QxvO2Zb4S2yq1Q7aB ann',
    },
  });
  expect(deletionQuestion(key)).toMatchObject({
    message: 'Delete the SSH key ann of default?',
    detail: 'Machines that have it keep it.',
  });
  const { body: image } = await broker.api.call('POST', '/v1/images', {
    body: { name: 'base', user: 'root', architectures: ['x86_64'], onprem: { builtin: 'tiny' } },
  });
  expect(deletionQuestion(image).message).toBe('Delete the image base?');
  const source =
    'apiVersion: landfall.dev/v1\nkind: PlacementPolicy\nmetadata: {name: none}\nspec: {rules: [{name: r, deny: offer.vcpus > 900}]}\n';
  const { body: policy } = await broker.api.call('PUT', '/v1/policies/none', { body: { source } });
  for (const each of [key, image, policy]) expect(await remove(connection, each)).toBeUndefined();
  for (const path of ['projects/default/sshKeys/ann', 'images/base', 'policies/none'])
    expect((await broker.api.call('GET', `/v1/${path}`)).status).toBe(404);
});

test('what a size would cost is planned where the machine stands', async () => {
  const planned = await running('planned');
  const plan = await planSize(connection, planned, { vcpus: 4, memoryGiB: 8 });
  expect(plan?.request).toMatchObject({ vcpus: 4, memoryGiB: 8, sites: ['local'], regions: ['local'] });
});

test('what the broker says of a request that it refuses is told in its words', async () => {
  const asked = await broker.request('fresh');
  const operation = (await cancel(connection, { id: asked.operation } as Schemas['Operation'])).id;
  expect(operation).toBe(asked.operation);
  await broker.finish(asked);
  await expect(cancel(connection, { id: asked.operation } as Schemas['Operation'])).rejects.toThrow(
    /has already ended: Succeeded/,
  );
});

test('approvals are decided and violations acknowledged, with the reason', async () => {
  const asked = await broker.request('costly');
  const boss = connect((await broker.api.token('operator')).secret);
  const waiting = async (): Promise<Schemas['Approval']> => {
    const id = await broker.approval(asked, ['operator-token']);
    return body(connection.client.GET('/v1/approvals/{approval}', { params: { path: { approval: id } } }));
  };
  expect(await approve(boss, await waiting(), undefined)).toMatchObject({ state: 'Approved' });
  const rejected = await reject(boss, await waiting(), 'too much');
  expect(rejected).toMatchObject({ state: 'Rejected', reason: 'too much' });
  boss.close();
  await broker.violations(asked);
  const { items } = await body(connection.client.GET('/v1/violations'));
  expect(await acknowledge(connection, items[0]!, 'moves on Monday')).toMatchObject({
    state: 'Acknowledged',
    acknowledged: { reason: 'moves on Monday' },
  });
});

test('a thing is shown as YAML, and what happened to it line by line', async () => {
  const shown = await running('shown');
  const name = { kind: 'Instance', within: 'default', id: shown.id };
  expect(await readDocument(connection, { what: 'yaml', ...name })).toMatch(
    /^id: .*\nkind: Instance\nname: shown\n/,
  );
  expect(await readDocument(connection, { what: 'events', ...name })).toMatch(
    /instance\.createRequested .*\n.*instance\.running +instance shown is Running/,
  );
  await expect(
    readDocument(connection, { what: 'yaml', kind: 'Site', within: '', id: 'nowhere' }),
  ).rejects.toThrow(/nowhere/);
});

test('a timeline has each step with its calls and retries between what happened, failed attempts and what was taken back', () => {
  const at = (seconds: number): string => new Date(Date.UTC(2026, 0, 1, 12, 0, seconds)).toISOString();
  const resource = { kind: 'Instance', id: 'i', name: 'web', project: 'default' };
  const event = (
    seconds: number,
    type: string,
    message: string,
    data: object,
    operation: string | null = null,
  ) => ({
    revision: String(seconds),
    time: at(seconds),
    type: `instance.${type}`,
    resource,
    operation,
    message,
    data: data as never,
  });
  const step = (from: number, to: number, more: Partial<Schemas['OperationStep']>) => ({
    ...{ step: 'ensure' as const, resource: 'i', attempt: 1, try: 1, site: 'aws', compensation: false },
    ...{ startedAt: at(from), finishedAt: at(to), failed: null, calls: [], callsLeftOut: 0, ...more },
  });
  const call = (seconds: number, more: Partial<Schemas['ProviderCall']>) => ({
    ...{ call: 'ec2:RunInstances', startedAt: at(seconds), lastAt: at(seconds), ms: 350 },
    ...{ status: 200, code: null, retry: 0, count: 1, ...more },
  });
  const text = timelineText(
    {
      id: 'op',
      kind: 'Operation',
      verb: 'create',
      state: 'Succeeded',
      message: 'runs',
      requestedBy: 'ada',
      resource,
      createdAt: at(0),
      startedAt: at(1),
      finishedAt: at(30),
    },
    [
      event(0, 'createRequested', 'ada asked', {}, 'op'),
      event(1, 'placed', 'placed at aws', { attempt: 1, site: 'aws' }, 'op'),
      event(5, 'attemptFailed', 'no capacity', { attempt: 1, site: 'aws' }),
      event(8, 'removed', 'attempt 1 is gone from aws', { attempt: 1, site: 'aws', ref: 'i-1' }),
      event(9, 'placed', 'placed at gcp', { attempt: 2, site: 'gcp' }, 'op'),
      event(30, 'running', 'runs', { attempt: 2, ref: 'i-2' }, 'op'),
      event(20, 'stopped', 'of another operation', {}, 'other'),
      event(90, 'rebooted', 'later', {}),
    ],
    [
      step(2, 3, { failed: 'Throttled', calls: [call(2, { status: 503, code: 'RequestLimitExceeded' })] }),
      step(4, 5, { try: 2, failed: 'CapacityExhausted', calls: [call(4, { retry: 1 })] }),
      step(6, 8, { step: 'remove', compensation: true }),
    ],
    Date.parse(at(100)),
  );
  const lines = text.split('\n').map((line) => line.replaceAll(/ {2,}/g, ' | '));
  expect(lines.slice(0, 2)).toEqual([
    'create Instance web',
    'Operation op, asked for 2026-01-01 12:00:00 UTC, took 30s',
  ]);
  expect(lines.slice(3).filter(Boolean)).toEqual([
    'After | Step | Provider',
    '+0.00s | ada asked for it',
    '+1.00s | work on it began',
    '+1.00s | placed at aws | aws, attempt 1: create',
    '+2.00s | ensure: Throttled, 1.00s | aws, attempt 1',
    '+2.00s | ec2:RunInstances 503 RequestLimitExceeded, 0.35s',
    '+4.00s | ensure, try 2: CapacityExhausted, 1.00s | aws, attempt 1',
    '+4.00s | ec2:RunInstances 200, 0.35s, retry 1',
    '+5.00s | no capacity | aws, attempt 1: failed, what it made is removed',
    '+6.00s | remove (compensation), 2.00s | aws, attempt 1',
    '+8.00s | attempt 1 is gone from aws | aws, attempt 1: removed',
    '+9.00s | placed at gcp | gcp, attempt 2: create',
    '+30s | runs | attempt 2: running i-2',
    '+30s | Succeeded: runs',
  ]);
});
