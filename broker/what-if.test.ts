import type { Decision } from '@landfall/model';
import { recordDecision } from '@landfall/store';
import { newId } from '@landfall/store/id.ts';
import { TestBroker } from './testing/test-broker.ts';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
  for (const [name, spec] of [
    ['aws-1', { provider: 'aws', regions: ['us-east-1'] }],
    ['gcp-1', { provider: 'gcp', regions: ['europe-west1'], project: 'some-project' }],
  ]) {
    const made = await broker.call('POST', '/v1/sites', { body: { name, spec } });
    if (made.status !== 201) throw new Error(JSON.stringify(made.body));
  }
}, 60_000);
afterAll(() => broker?.stop(), 20_000);

const spec = { image: 'debian-12', vcpus: 2, memoryGiB: 4 };
const source = (name: string, rule: string, scope = 'organizations/default') => `apiVersion: landfall.dev/v1
kind: PlacementPolicy
metadata: {name: ${name}, scope: ${scope}}
spec:
  rules:
    - ${rule}
`;

/** A decision as the workflows keep it, over what the plan of the same request says. */
async function decided(name: string, change: (decision: Decision) => Partial<Decision> = () => ({})) {
  const { body } = await broker.call('POST', '/v1/projects/default/placements', { body: { name, spec } });
  const record = { ...body, ...change(body) };
  return recordDecision(broker.store.db, {
    project: 'default',
    resource: newId(),
    resourceName: name,
    attempt: 1,
    record,
  });
}

const whatIf = (body: unknown, token?: string) =>
  broker.call('POST', '/v1/policies/whatIf', { body, ...(token === undefined ? {} : { token }) });

test('a plan carries its request and its explanation', async () => {
  const put = await broker.call('PUT', '/v1/policies/costly', {
    body: { source: source('costly', '{name: aws, require: \'offer.provider == "aws"\'}') },
  });
  expect(put.status).toBe(201);
  const { body } = await broker.call('POST', '/v1/projects/default/placements', {
    body: { name: 'web', spec },
  });
  expect(body).toMatchObject({
    winner: { provider: 'aws' },
    request: { name: 'web', vcpus: 2 },
    explanation: { counterfactuals: [{ policy: 'costly', rule: 'aws', file: 'costly', line: 6 }] },
  });
  const [{ offer, savingPerMonth }] = body.explanation.counterfactuals;
  expect(savingPerMonth).toBeCloseTo(body.winner.pricePerMonth - offer.pricePerMonth, 9);
  expect((await broker.call('DELETE', '/v1/policies/costly', { headers: { 'if-match': '*' } })).status).toBe(
    204,
  );
});

test('what-if tells what moves and is rejected, what it costs, and what could not be replayed', async () => {
  await decided('one');
  await decided('two');
  await decided('big', ({ request }) => ({ request: { ...request!, labels: { size: 'big' } } }));
  const old = await decided('old', () => ({ request: undefined, now: undefined, explanation: undefined }));
  expect((await broker.call('GET', `/v1/projects/default/decisions/${old}`)).status).toBe(200);
  const before = await broker.call('GET', '/v1/policies');

  const { status, body } = await whatIf({
    policies: [
      {
        source: source('only-aws', '{name: aws, require: \'offer.provider == "aws"\'}'),
        file: 'only-aws.yaml',
      },
      { source: source('no-big', '{name: big, deny: \'"size" in request.labels\'}') },
    ],
  });
  expect(status).toBe(200);
  expect(body).toMatchObject({
    requests: 3,
    notReplayable: 1,
    leftOut: 0,
    moved: 2,
    rejected: 1,
    unchanged: 0,
    changesLeftOut: 0,
    policies: [{ name: 'only-aws' }, { name: 'no-big' }],
  });
  expect(body.rules[0]).toMatchObject({
    policy: 'only-aws',
    rule: 'aws',
    file: 'only-aws.yaml',
    line: 6,
    requests: 3,
  });
  const big = body.changes.find(({ name }: { name: string }) => name === 'big');
  expect(big).toMatchObject({
    change: 'rejected',
    from: { provider: 'gcp' },
    to: null,
    rules: ['only-aws/aws', 'no-big/big'],
  });
  const one = body.changes.find(({ name }: { name: string }) => name === 'one');
  expect(one).toMatchObject({
    change: 'moved',
    from: { site: 'gcp-1' },
    to: { site: 'aws-1' },
    why: 'only-aws/aws rejects the old place',
  });
  expect(body.monthlyBefore).toBeCloseTo(3 * one.from.pricePerMonth, 6);
  expect(body.monthlyAfter).toBeCloseTo(2 * one.to.pricePerMonth, 6);
  expect((await broker.call('GET', '/v1/policies')).body).toEqual(before.body);
});

test('one request is explained in full under the changed policies; nothing of it is kept', async () => {
  const { items } = (await broker.call('GET', '/v1/projects/default/decisions')).body;
  const decision = items.find(({ resource }: { resource: { name: string } }) => resource.name === 'one').id;
  const policies = [{ source: source('only-aws', '{name: aws, require: \'offer.provider == "aws"\'}') }];
  const explain = (body: unknown, token?: string) =>
    broker.call('POST', '/v1/policies/whatIf/explanation', {
      body,
      ...(token === undefined ? {} : { token }),
    });
  const { status, body } = await explain({ decision, policies });
  expect(status).toBe(200);
  expect(body).toMatchObject({
    name: 'one',
    change: 'moved',
    from: { provider: 'gcp' },
    rules: ['only-aws/aws'],
    why: 'only-aws/aws rejects the old place',
    placement: {
      request: { name: 'one' },
      explanation: { counterfactuals: [{ policy: 'only-aws', rule: 'aws', offer: { provider: 'gcp' } }] },
    },
  });
  expect(body.placement.winner).toEqual(body.to);
  const nothing = [{ source: source('idle', "{name: r, deny: 'false'}") }];
  expect((await explain({ decision, policies: nothing })).body).toMatchObject({
    change: 'unchanged',
    why: null,
  });
  expect((await broker.call('GET', '/v1/projects/default/decisions')).body.items).toEqual(items);

  expect((await explain({ decision: newId(), policies })).body.errors[0].pointer).toBe('/decision');
  expect((await explain({ decision })).status).toBe(422);
  await broker.call('POST', '/v1/projects', { body: { name: 'aside' } });
  const { secret } = await broker.token('viewer', { project: 'aside' });
  expect((await explain({ decision, policies }, secret)).body.errors[0].pointer).toBe('/decision');
});

test('a request is replayed with the rules that it brought then', async () => {
  const cap = { name: 'cap', maxPrice: '0.0001 USD/h' };
  const anything = { policies: [{ source: source('idle', "{name: r, deny: 'false'}") }] };
  const before = await whatIf(anything);
  const capped = await decided('capped', () => ({ requestRules: [cap] }));
  const { body } = await whatIf(anything);
  expect(body).toMatchObject({ requests: 4, monthlyBefore: before.body.monthlyBefore });
  await broker.store.db.deleteFrom('decisions').where('id', '=', capped).execute();
});

test('a policy of the name of one in force takes its place, if it is of its scope', async () => {
  const strict = source('swap', "{name: r, deny: 'true'}");
  expect((await broker.call('PUT', '/v1/policies/swap', { body: { source: strict } })).status).toBe(201);
  const eased = await whatIf({ policies: [{ source: source('swap', "{name: r, deny: 'false'}") }] });
  expect(eased.body).toMatchObject({ requests: 3, placed: 3, monthlyBefore: 0 });
  const beside = await whatIf({
    policies: [{ source: source('swap', "{name: r, deny: 'false'}", 'projects/default') }],
  });
  expect(beside.status).toBe(422);
  expect(beside.body.errors[0].message).toBe(
    'must not have swap for projects/default: the policy of this name in force is for organizations/default',
  );
  await broker.call('DELETE', '/v1/policies/swap', { headers: { 'if-match': '*' } });
});

test('a policy in force can be taken away, alone or beside changes of others', async () => {
  for (const name of ['nothing', 'dear'])
    await broker.call('PUT', `/v1/policies/${name}`, {
      body: {
        source: source(
          name,
          name === 'dear' ? '{name: r, maxPrice: 0.00001 USD/h}' : "{name: r, deny: 'true'}",
        ),
      },
    });
  expect((await whatIf({ without: ['nothing'] })).body).toMatchObject({
    requests: 3,
    placed: 0,
    unchanged: 3,
  });
  const both = await whatIf({ without: ['nothing', 'dear'] });
  expect(both.body).toMatchObject({ requests: 3, placed: 3, monthlyBefore: 0, policies: [] });
  const eased = { source: source('dear', '{name: r, maxPrice: 9 USD/h}') };
  expect((await whatIf({ without: ['nothing'], policies: [eased] })).body).toMatchObject({ placed: 3 });
  const refused = async (body: unknown) => (await whatIf(body)).body.errors[0];
  expect(await refused({ without: ['nothign'] })).toMatchObject({
    pointer: '/without/0',
    message: 'must name a policy in force; did you mean nothing?',
  });
  expect(await refused({ without: ['nothing', 'dear'], policies: [eased] })).toMatchObject({
    pointer: '/without/1',
    message: 'takes dear away, which a file given here changes',
  });
  for (const name of ['nothing', 'dear'])
    await broker.call('DELETE', `/v1/policies/${name}`, { headers: { 'if-match': '*' } });
});

test('the newest requests are replayed up to the limit, and the others counted', async () => {
  const policies = [{ source: source('x', "{name: r, deny: 'true'}") }];
  const { body } = await whatIf({ policies, limit: 2 });
  expect(body).toMatchObject({ requests: 2, leftOut: 1, rejected: 2 });
  expect(body.changes.map(({ name }: { name: string }) => name)).toEqual(['big', 'two']);
});

test('the catalogue in force, named by its version, changes nothing', async () => {
  const { body } = await broker.call('GET', '/v1/offers?pageSize=1');
  const replayed = await whatIf({ catalogue: body.catalogue.version });
  expect(replayed.body).toMatchObject({ requests: 3, unchanged: 3, changes: [], catalogue: body.catalogue });
});

test('a request for an image that no provider had is counted, and not placed anywhere', async () => {
  await decided('ghost', ({ request }) => ({ request: { ...request!, providers: [] } }));
  const policies = [{ source: source('x', "{name: r, require: 'true'}") }];
  expect((await whatIf({ policies })).body).toMatchObject({ requests: 3, notReplayable: 2 });
});

test('a machine that was placed twice is one request', async () => {
  const { body } = await broker.call('POST', '/v1/projects/default/placements', { body: { spec } });
  const resource = newId();
  for (const attempt of [1, 2])
    await recordDecision(broker.store.db, {
      project: 'default',
      resource,
      resourceName: 'again',
      attempt,
      record: body,
    });
  const policies = [{ source: source('x', "{name: r, require: 'true'}") }];
  expect((await whatIf({ policies })).body.requests).toBe(4);
});

test("a project's token replays its own project's requests only", async () => {
  await broker.call('POST', '/v1/projects', { body: { name: 'lab' } });
  const { secret } = await broker.token('viewer', { project: 'lab' });
  const policies = [{ source: source('x', "{name: r, require: 'true'}") }];
  expect((await whatIf({ policies }, secret)).body).toMatchObject({ requests: 0, notReplayable: 0 });
});

test.each([
  ['an empty body', {}, 422, ''],
  ['a list of no policies', { policies: [] }, 422, ''],
  ['a policy taken away that is not in force', { without: ['x'] }, 422, '/without/0'],
  ['a catalogue that is not kept', { catalogue: 'x' }, 422, '/catalogue'],
  ['a catalogue with a NUL', { catalogue: 'x\u0000' }, 400, '/catalogue'],
  ['a field of another name', { policy: 'x' }, 400, '/policy'],
  ['a duration that is none', { policies: [{ source: 'x' }], since: '0d' }, 400, '/since'],
  [
    'a duration beyond the calendar',
    { policies: [{ source: source('x', "{name: r, deny: 'true'}") }], since: '999999d' },
    422,
    '/since',
  ],
  ['a limit of none', { policies: [{ source: 'x' }], limit: 0 }, 400, '/limit'],
  ['text that is no policy', { policies: [{ source: 'x' }] }, 422, '/policies/0/source'],
  [
    'a scope of others',
    { policies: [{ source: source('x', "{name: r, deny: 'true'}", 'organizations/others') }] },
    422,
    '/policies/0/source',
  ],
  [
    'one policy twice',
    {
      policies: [
        { source: source('x', "{name: r, deny: 'true'}") },
        { source: source('x', "{name: r, deny: 'true'}") },
      ],
    },
    422,
    '/policies',
  ],
])('%s is refused, with the field', async (_what, body, status, pointer) => {
  const refused = await whatIf(body);
  expect(refused.status).toBe(status);
  expect(refused.body.errors[0].pointer).toBe(pointer);
});
