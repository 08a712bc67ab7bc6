import { randomUUID } from 'node:crypto';
import { simulatedAws } from '../test/simulators/aws/subject.ts';
import { simulatedAzure } from '../test/simulators/azure/subject.ts';
import { simulatedGcp } from '../test/simulators/gcp/subject.ts';
import { callName as azureCallName } from './azure/call-name.ts';
import { context, ensureReady, errorOf } from './conformance/probe.ts';
import { callName as gcpCallName } from './gcp/call-name.ts';
import { CallRecord, codeInBody, keepingCall, noAnswer } from './provider-calls.ts';

const clouds = [
  {
    name: 'AWS',
    throttled: { status: 503, code: 'RequestLimitExceeded' },
    create: { call: 'ec2:RunInstances', status: 200 },
    token: 'AKIAKEPTNOWHERE',
    async open(token: string) {
      const subject = await simulatedAws({ credentials: { accessKeyId: token, secretAccessKey: token } });
      const { calls } = subject.simulator;
      return { subject, calls, namesOf: () => calls.map(({ action }) => `ec2:${action}`) };
    },
  },
  {
    name: 'Azure',
    throttled: { status: 429, code: 'OperationNotAllowed' },
    create: { call: 'PUT virtualMachines', status: 201 },
    token: 'token-kept-nowhere',
    async open(token: string) {
      const subject = await simulatedAzure({ credentials: { token } });
      return { subject, calls: subject.simulator.calls, namesOf: undefined };
    },
  },
  {
    name: 'Google Cloud',
    throttled: { status: 429, code: 'rateLimitExceeded' },
    create: { call: 'instances.insert', status: 200 },
    token: 'token-kept-nowhere',
    async open(token: string) {
      const subject = await simulatedGcp({ credentials: { accessToken: token } });
      const { calls } = subject.simulator;
      return { subject, calls, namesOf: () => calls.map(({ method }) => method.replace('compute.', '')) };
    },
  },
];

test.each(clouds)(
  '$name: a throttled create and its retry keep each call that was sent, how it ended, and nothing of what was in it',
  async ({ throttled, create, token, open }) => {
    const { subject, calls, namesOf } = await open(token);
    try {
      const adapter = await subject.adapter();
      const want = subject.want(randomUUID(), 1, { userData: '#cloud-config\npassword: kept-nowhere' });
      const kept = async (work: () => Promise<unknown>) => {
        const record = new CallRecord();
        await record.during(work);
        const { calls: rows } = record.end();
        expect(JSON.stringify(rows)).not.toMatch(/kept-?nowhere|password|bearer|[?&]/i);
        return rows;
      };
      subject.faults.set({ kind: 'throttle', retryAfterMs: 7000 });
      const first = await kept(() => errorOf(adapter.ensure(want, context()), 'Throttled'));
      // One that was sent beside it may still be under way.
      const refused = first.filter(({ code }) => code !== 'notAwaited');
      expect(refused).toEqual([expect.objectContaining({ ...throttled, count: 1 })]);
      await ensureReady(adapter, subject.want(randomUUID(), 1)); // until that has come
      const from = calls.length;
      const second = await kept(() => ensureReady(adapter, want));
      expect(second.map(({ call }) => call)).toContain(refused[0]?.call);
      expect(second).toContainEqual(expect.objectContaining({ ...create, code: undefined, count: 1 }));
      // The simulated Azure counts no looks at its operations.
      const counted = second.filter(({ call }) => !/ locations\/.*operation/i.test(call));
      expect(counted.reduce((sum, { count }) => sum + count, 0)).toBe(calls.length - from);
      if (namesOf) expect(new Set(second.map(({ call }) => call))).toEqual(new Set(namesOf().slice(from)));
    } finally {
      await subject.close();
    }
  },
  300_000,
);

test('calls of steps that run at once are kept apart, and what no step calls is kept nowhere', async () => {
  const call = (name: string) =>
    keepingCall(
      () => name,
      async () => new Promise((resolve) => setTimeout(resolve, 5)),
      { answer: () => ({ status: 200 }), error: noAnswer },
    );
  const records = [new CallRecord(), new CallRecord()];
  const work = records.map((record, n) =>
    record.during(async () => {
      for (const part of ['a', 'b']) await call(`${part}${n}`);
    }),
  );
  await Promise.all([call('of nobody'), ...work]);
  expect(records.map((record) => record.end().calls.map(({ call: name }) => name))).toEqual([
    ['a0', 'b0'],
    ['a1', 'b1'],
  ]);
});

test('polls that look alike are one row, another end is another; past 200 rows calls are counted alone', () => {
  const record = new CallRecord();
  record.begin('get')({ status: 404 });
  for (let n = 0; n < 12; n++) {
    record.begin('poll')({ status: 200 });
    record.begin('beside')({ status: 200 });
  }
  record.begin('poll')({ status: 500, code: 'InternalError' });
  record.begin('poll')({ status: 200 });
  expect(record.end().calls.map(({ call, status, count }) => [call, status, count])).toEqual([
    ['get', 404, 1],
    ['poll', 200, 12],
    ['beside', 200, 12],
    ['poll', 500, 1],
    ['poll', 200, 1],
  ]);
  for (let n = 0; n < 300; n++) record.begin(`call ${n}`)({});
  expect(record.end()).toMatchObject({ callsLeftOut: 105 });
  expect(record.end().calls).toHaveLength(200);
});

test('a call that the step did not wait for is kept as one', () => {
  const record = new CallRecord();
  const answered = record.begin('in flight');
  record.begin('failed')({ status: 429 });
  const { calls } = record.end();
  answered({ status: 200 });
  expect(calls.map(({ call, code }) => [call, code])).toEqual([
    ['in flight', 'notAwaited'],
    ['failed', undefined],
  ]);
});

test('a failed call keeps its provider’s code, or why there was no answer, where that has the form of a code', async () => {
  expect(codeInBody('{"error":{"code":"AuthorizationFailed","message":"secret words"}}')).toBe(
    'AuthorizationFailed',
  );
  expect(codeInBody('{"error":{"code":403,"errors":[{"reason":"rateLimitExceeded"}]}}')).toBe(
    'rateLimitExceeded',
  );
  expect(codeInBody('{"error":{"code":"a sentence with a token"}}')).toBeUndefined();
  expect(codeInBody('<html>bad gateway</html>')).toBeUndefined();
  expect(codeInBody('null')).toBeUndefined();
  expect(noAnswer(Object.assign(new Error('at 10.0.0.1'), { code: 'ECONNRESET' }))).toEqual({
    code: 'ECONNRESET',
  });
  expect(noAnswer(new Error('x', { cause: { code: 'ENOTFOUND' } }))).toEqual({ code: 'ENOTFOUND' });
  expect(noAnswer(new DOMException('y', 'TimeoutError'))).toEqual({ code: 'TimeoutError' });
});

const group = 'https://management.azure.com/subscriptions/s/resourceGroups/lf';
test.each([
  ['PUT', `${group}?api-version=1`, 'PUT resourceGroups'],
  [
    'POST',
    `${group}/providers/Microsoft.Compute/virtualMachines/web/start?x=1`,
    'POST virtualMachines/start',
  ],
  ['GET', `${group}/providers/Microsoft.Network/virtualNetworks/n/subnets/s`, 'GET virtualNetworks/subnets'],
  [
    'PATCH',
    `${group}/providers/Microsoft.Compute/disks/d/providers/Microsoft.Resources/tags/default`,
    'PATCH tags',
  ],
  [
    'GET',
    'https://management.azure.com/subscriptions/s/providers/Microsoft.Compute/locations/we/operations/1?t=2',
    'GET locations/operations',
  ],
  ['GET', 'https://management.azure.com/subscriptions/s', 'GET subscriptions'],
])('Azure’s %s %s is called %s', (method, url, name) => {
  expect(azureCallName(method, url)).toBe(name);
});

const project = 'https://compute.googleapis.com/compute/v1/projects/p';
test.each([
  ['GET', project, 'projects.get'],
  ['GET', `${project}/zones/z`, 'zones.get'],
  ['GET', `${project}/regions`, 'regions.list'],
  ['POST', `${project}/zones/z/instances?requestId=1`, 'instances.insert'],
  ['POST', `${project}/zones/z/instances/web/setLabels`, 'instances.setLabels'],
  ['GET', `${project}/zones/z/operations/o`, 'zoneOperations.get'],
  ['POST', `${project}/global/operations/o/wait`, 'globalOperations.wait'],
  ['GET', `${project}/aggregated/disks?filter=x`, 'disks.aggregatedList'],
  ['GET', `${project}/global/images/family/debian-12`, 'images.getFromFamily'],
  ['DELETE', `${project}/regions/r/subnetworks/s`, 'subnetworks.delete'],
])('Google’s %s %s is called %s', (method, url, name) => {
  expect(gcpCallName(method, url)).toBe(name);
});
