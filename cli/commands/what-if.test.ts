import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FakeBroker } from '../fake/broker.ts';
import { sampleDecision } from '../fake/samples.ts';
import { FakeHome } from '../fake/terminal.ts';
import { type WhatIfReport, whatIfSummary } from '../output/what-if.ts';

let home: FakeHome;
let broker: FakeBroker;
beforeEach(async () => {
  home = new FakeHome();
  broker = await new FakeBroker().start();
  Object.assign(home.env, { LANDFALL_URL: broker.url, LANDFALL_TOKEN: broker.token });
  broker.intercept = ({ path }) =>
    path === '/v1/policies/whatIf' ? { status: 200, body: report } : undefined;
  writeFileSync(join(home.folder, 'new.yaml'), 'the: policy\n');
});
afterEach(async () => {
  home.remove();
  await broker.stop();
});

const [gcp] = sampleDecision.fallbacks;
const report: WhatIfReport = {
  since: '2026-10-21T12:00:00.000Z',
  until: '2026-11-20T12:00:00.000Z',
  requests: 212,
  notReplayable: 4,
  leftOut: 7,
  unchanged: 208,
  moved: 3,
  rejected: 1,
  placed: 0,
  approvals: 0,
  currency: 'USD',
  monthlyBefore: 1412,
  monthlyAfter: 1000,
  monthlyRejected: 24.46,
  rules: [{ policy: 'eu', rule: 'residency', file: 'new.yaml', line: 7, requests: 4 }],
  changes: [
    {
      decision: sampleDecision.id!,
      project: 'shop',
      name: 'web',
      change: 'moved',
      from: sampleDecision.winner,
      to: gcp!,
      approvals: [],
      rules: ['eu/residency'],
      allows: [],
      why: 'eu/residency rejects the old place',
    },
    {
      decision: sampleDecision.id!,
      project: 'shop',
      name: 'db',
      change: 'rejected',
      from: gcp!,
      to: null,
      approvals: [],
      rules: [],
      allows: [],
      why: 'at the other prices there is no place for it',
    },
  ],
  changesLeftOut: 2,
  catalogue: { version: 'c1', date: '2025-03-27' },
  policies: [],
};

test('what-if tells the sum in its first line, then each change, what is left out, and the rules', async () => {
  const ran = await home.run('policy what-if -f new.yaml --since 7d --limit 50');
  expect(ran).toMatchObject({ code: 0, err: '' });
  expect(ran.out.replaceAll(/ +/g, ' ').split('\n')).toEqual([
    '3 of 212 requests move, 1 is rejected, −$412.00 a month',
    '$1412.00 a month now ($24.46 of it by requests that are rejected then), $1000.00 then; 212 requests since 2026-10-21, catalogue c1',
    '7 older requests of that time not replayed: raise --limit.',
    '4 more requests of that time cannot be replayed: not recorded, or no provider had the image.',
    '',
    'REQUEST CHANGE FROM TO BEFORE AFTER WHY',
    'shop/web moved on-prem dc1, host kvm1 flex GCP us-central1 e2-medium $15.18 $24.46 eu/residency rejects the old place',
    'shop/db rejected GCP us-central1 e2-medium nowhere $24.46 - at the other prices there is no place for it',
    '',
    '2 more changes not shown; the sums count all of them.',
    '',
    'RULE WHERE REJECTS THE PLACE OF',
    'eu/residency new.yaml:7 4 requests',
    '',
  ]);
  expect(broker.requests.at(-1)?.body).toEqual({
    policies: [{ source: 'the: policy\n', file: 'new.yaml' }],
    since: '7d',
    limit: 50,
  });
  expect(JSON.parse((await home.run('policy what-if -f new.yaml -o json')).out)).toEqual(report);
});

test('what-if of other prices needs no policy file', async () => {
  expect((await home.run('policy what-if --catalogue c1')).code).toBe(0);
  expect(broker.requests.at(-1)?.body).toEqual({ policies: [], catalogue: 'c1', since: '30d', limit: 1000 });
  expect(await home.run('policy what-if')).toMatchObject({
    code: 2,
    err: expect.stringContaining('No policy file given.'),
  });
});

test('what-if without policies in force needs no policy file', async () => {
  expect((await home.run('policy what-if --without eu --without cap')).code).toBe(0);
  expect(broker.requests.at(-1)?.body).toMatchObject({ policies: [], without: ['eu', 'cap'] });
  expect((await home.run('policy what-if --without eu -f new.yaml')).code).toBe(0);
  expect(broker.requests.at(-1)?.body).toMatchObject({ policies: [{ file: 'new.yaml' }], without: ['eu'] });
});

test.each([
  ['--since 5w', '--since 5w: must be a number with s, m, h or d, such as 30d.'],
  ['--limit 0', '--limit 0: must be a whole number from 1 to 10000.'],
])('what-if %s is refused before anything is sent', async (flags, message) => {
  const ran = await home.run(`policy what-if -f new.yaml ${flags}`);
  expect(ran).toMatchObject({ code: 2, err: expect.stringContaining(message) });
  expect(broker.requests).toEqual([]);
});

test('the sum is a sentence whatever changes', () => {
  const none = { ...report, moved: 0, rejected: 0, monthlyAfter: 1412 };
  expect(whatIfSummary(none)).toBe('None of 212 requests changes, ±$0.00 a month');
  expect(whatIfSummary({ ...none, requests: 0 })).toBe('No request to replay, ±$0.00 a month');
  expect(whatIfSummary({ ...none, placed: 1, approvals: 2, monthlyAfter: 1420 })).toBe(
    '1 of 212 requests is newly placed, 2 need a new approval, +$8.00 a month',
  );
});
