import { policyPacks } from '@landfall/policies';
import { inheritDataClasses } from '@landfall/store/migrations/0017-judged-resources.ts';
import { instanceInput, TestBroker } from './testing/test-broker.ts';

/** Policies judge what is no machine, too: at the place where it would go, before anything is made. */

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
  for (const [name, regions] of [
    ['virginia', ['us-east-1']],
    ['both', ['us-east-1', 'eu-central-1']],
  ] as const)
    await broker.call('POST', '/v1/sites', { body: { name, spec: { provider: 'aws', regions } } });
  const { source } = policyPacks().find(({ name }) => name === 'eu-data-residency')!;
  expect((await broker.call('PUT', '/v1/policies/eu-data-residency', { body: { source } })).status).toBe(201);
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

const at = '/v1/projects/default';
const labels = { owner: 'ada' };
const post = (plural: string, body: object, query = '') =>
  broker.call('POST', `${at}/${plural}${query}`, { body });
const restricted = (name: string, spec: object) => ({
  name,
  labels,
  spec: { sizeGiB: 1, dataClass: 'restricted', ...spec },
});

test('a volume of restricted data is refused in the US, with the rule, its line and its message, and nothing is kept', async () => {
  const body = restricted('us', { site: 'virginia' });
  for (const query of ['', '?validateOnly=true'])
    expect(await post('volumes', body, query)).toMatchObject({
      status: 422,
      body: {
        type: 'https://landfall.dev/problems/policy-refused',
        errors: [
          {
            pointer: '/spec/site',
            message:
              'is refused by eu-data-residency/residency (line 9) at virginia us-east-1: data class restricted must stay in the EU',
          },
        ],
      },
    });
  expect((await broker.call('GET', `${at}/volumes/us`)).status).toBe(404);
  const inRegion = restricted('us', { site: 'both', region: 'us-east-1' });
  expect((await post('volumes', inRegion)).body.errors).toMatchObject([{ pointer: '/spec/region' }]);
});

test('where a region of its site is allowed it is taken, and other data goes anywhere', async () => {
  expect((await post('volumes', restricted('eu', { site: 'both' }))).status).toBe(202);
  expect((await post('volumes', { name: 'open', spec: { sizeGiB: 1, site: 'virginia' } })).status).toBe(202);
});

test('labels that it must have are asked for, beside the place', async () => {
  const refused = await post('volumes', { ...restricted('nobodys', { site: 'virginia' }), labels: {} });
  expect(refused.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
    '/spec/site',
    '/labels',
  ]);
});

test('a label that it must have cannot be taken away, others can', async () => {
  await post('volumes', { ...restricted('labelled', { site: 'both' }), labels: { ...labels, a: 'b' } });
  const change = (to: object) =>
    broker.call('PATCH', `${at}/volumes/labelled`, { body: { labels: to }, headers: { 'if-match': '*' } });
  expect(await change({ owner: null })).toMatchObject({
    status: 422,
    body: {
      type: 'https://landfall.dev/problems/policy-refused',
      errors: [{ pointer: '/labels', message: expect.stringContaining('eu-data-residency/owner (line 13)') }],
    },
  });
  expect((await change({ a: null })).status).toBe(202);
});

test('the class of data goes with it: from the volume to its snapshot, to a volume made of that, and to an image', async () => {
  await post('volumes', restricted('origin', { site: 'both', region: 'eu-central-1' }));
  await broker.store.pool.query(
    `update resources set status = status || '{"site":"virginia","region":"us-east-1"}' where name = 'origin'`,
  );
  const refused = await post('snapshots', { name: 'copy', labels, spec: { volume: 'origin' } });
  expect(refused.body.errors).toMatchObject([
    { pointer: '/spec/volume', message: expect.stringContaining('eu-data-residency/residency') },
  ]);
  await broker.store.pool.query(
    `update resources set status = status || '{"site":"both","region":"eu-central-1"}' where name = 'origin'`,
  );
  expect((await post('snapshots', { name: 'copy', labels, spec: { volume: 'origin' } })).status).toBe(202);
  expect((await post('volumes', { name: 'again', labels, spec: { snapshot: 'copy' } })).status).toBe(202);
  const image = { name: 'image', labels, spec: { from: { snapshot: 'copy' } } };
  expect((await post('customImages', image)).status).toBe(202);
  for (const path of ['snapshots/copy', 'volumes/again', 'customImages/image'])
    expect((await broker.call('GET', `${at}/${path}`)).body.spec.dataClass).toBe('restricted');
  const own = { name: 'own', spec: { snapshot: 'copy', dataClass: 'public' } };
  expect((await post('volumes', own)).status).toBe(202);
});

test('a volume takes the class of the instance that it is attached to, at once or later, and keeps it', async () => {
  const machine = instanceInput('holder', { dataClass: 'restricted' });
  expect((await post('instances', { ...machine, labels })).status).toBe(202);
  const refused = await post('volumes', { name: 'data', spec: { sizeGiB: 1, attachedTo: 'holder' } });
  // Its machine has no place yet, so no place is refused: only what the labels lack.
  expect(refused.body.errors).toMatchObject([{ pointer: '/labels' }]);
  await post('volumes', { name: 'data', labels, spec: { sizeGiB: 1, attachedTo: 'holder' } });
  expect((await broker.call('GET', `${at}/volumes/data`)).body.spec.dataClass).toBe('restricted');
  await post('volumes', { name: 'later', spec: { sizeGiB: 1, site: 'virginia' } });
  const change = (spec: object) =>
    broker.call('PATCH', `${at}/volumes/later`, { body: { spec }, headers: { 'if-match': '*' } });
  expect((await change({ attachedTo: 'holder' })).status).toBe(202);
  expect((await change({ attachedTo: null })).status).toBe(202);
  const read = async () => (await broker.call('GET', `${at}/volumes/later`)).body.spec;
  expect(await read()).toMatchObject({ dataClass: 'restricted' });
  await change({ dataClass: 'internal' });
  expect(await read()).toMatchObject({ dataClass: 'internal' });
});

test('what is there from before classes went with data gets them when the broker is upgraded', async () => {
  const classes = async () =>
    (
      await broker.store.pool.query(
        `select name, spec->>'dataClass' as class from resources where name in ('data', 'data-copy', 'data-again', 'open') order by name`,
      )
    ).rows;
  await post('snapshots', { name: 'data-copy', labels, spec: { volume: 'data' } });
  await post('volumes', { name: 'data-again', labels, spec: { snapshot: 'data-copy' } });
  const known = await classes();
  expect(known.map((row: { class: string }) => row.class)).toEqual([
    'restricted',
    'restricted',
    'restricted',
    null,
  ]);
  await broker.store.pool.query(`update resources set spec = spec - 'dataClass' where name like 'data%'`);
  await broker.store.pool.query(inheritDataClasses);
  expect(await classes()).toEqual(known);
});

test('a rule about kinds refuses wherever it would go; a policy that cannot be read any more refuses all', async () => {
  const source = `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: none}
spec:
  rules:
  - {name: no-addresses, deny: 'request.kind == "Address"'}
`;
  await broker.call('PUT', '/v1/policies/none', { body: { source } });
  const address = { name: 'a', spec: { attachedTo: 'holder' } };
  expect((await post('addresses', address)).body.errors).toMatchObject([
    { message: 'is refused by none/no-addresses (line 6): denies request.kind == "Address"' },
  ]);
  await broker.store.pool.query(
    `update policies set source = replace(source, 'deny', 'denied'), version = 'other' where name = 'none'`,
  );
  expect(await post('networks', { name: 'n', spec: { site: 'both' } })).toMatchObject({
    status: 422,
    body: { errors: [{ message: expect.stringContaining('policy none cannot be read') }] },
  });
});
