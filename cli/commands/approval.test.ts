import type { Schemas } from '@landfall/model';
import { FakeBroker } from '../fake/broker.ts';
import { sampleDecision } from '../fake/samples.ts';
import { FakeHome } from '../fake/terminal.ts';

let home: FakeHome;
let broker: FakeBroker;
beforeEach(async () => {
  home = new FakeHome();
  broker = await new FakeBroker().start();
  Object.assign(home.env, { LANDFALL_URL: broker.url, LANDFALL_TOKEN: broker.token });
  broker.intercept = ({ method, path, body }) => {
    if (path === '/v1/approvals') return { status: 200, body: { items: [approval] } };
    if (path === `/v1/approvals/${approval.id}`) return { status: 200, body: approval };
    if (method !== 'POST') return undefined;
    const state = path.endsWith('/approve') ? 'Approved' : 'Rejected';
    const { reason = null } = body as { reason?: string };
    return { status: 200, body: { ...approval, state, decidedBy: 'finops', reason } };
  };
});
afterEach(async () => {
  home.remove();
  await broker.stop();
});

const approval: Schemas['Approval'] = {
  id: '019a9c2e-6a4b-7c51-9d8e-2f1f6f0f6f10',
  kind: 'Approval',
  project: 'default',
  resource: { kind: 'Instance', id: '019a9c2e-6a4b-7c51-9d8e-2f1f6f0f6f11', name: 'big', project: 'default' },
  generation: 1,
  operation: null,
  decision: null,
  policy: 'spend',
  rule: 'big',
  message: null,
  by: ['finops', 'boss'],
  requestedBy: ['ada'],
  state: 'Pending',
  offer: sampleDecision.winner!,
  requestedAt: '2026-11-20T16:00:00.000Z',
  expiresAt: '2026-11-21T16:00:00.000Z',
  decidedBy: null,
  decidedAt: null,
  reason: null,
};

test('what is waited for is listed with who may approve and until when', async () => {
  const ran = await home.run('get approvals');
  expect(ran.code).toBe(0);
  expect(ran.out).toMatch(
    /instance\/big +spend\/big +Pending +finops or boss +ada .* 2026-11-21T16:00:00.000Z/,
  );
  expect(broker.requests[0]!.query.get('filter')).toBe('state=Pending');
});

test('nothing to approve is said as such, and not that there never was an approval', async () => {
  broker.intercept = () => ({ status: 200, body: { items: [] } });
  expect((await home.run('get approvals')).err).toContain(
    'No approval is waited for; `--filter state=Approved`',
  );
  expect((await home.run('get approvals --filter state=Expired')).err).toBe('No approvals match.\n');
});

test('approve and reject send the reason, and tell what became of it', async () => {
  const approved = await home.run(`approve approval ${approval.id}`);
  expect(approved).toMatchObject({ code: 0, out: `approval/${approval.id} approved\n` });
  expect(broker.requests.at(-1)).toMatchObject({ path: `/v1/approvals/${approval.id}/approve`, body: {} });
  expect(await home.run(`approve ${approval.id}`)).toEqual(approved);
  const rejected = await home.run(['reject', `approval/${approval.id}`, '--reason', 'too dear']);
  expect(rejected).toMatchObject({ code: 0, out: `approval/${approval.id} rejected\n` });
  expect(broker.requests.at(-1)!.body).toEqual({ reason: 'too dear' });
});

test('a rejection needs a reason, and only approvals are approved', async () => {
  expect(await home.run(`reject approval ${approval.id}`)).toMatchObject({ code: 2 });
  const instance = await home.run('approve instance web');
  expect(instance.code).toBe(2);
  expect(instance.err).toContain('nothing to approve about the kind instance');
  expect(broker.requests).toEqual([]);
});

test('Tab completes the kind and the ids', async () => {
  expect((await home.run(['__complete', '--', 'approve', ''])).out).toBe('approval\n');
  expect((await home.run(['__complete', '--', 'reject', 'approval', '019'])).out).toBe(`${approval.id}\n`);
});
