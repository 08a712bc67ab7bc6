import type { Schemas } from '@landfall/model';
import { plainPaint } from '../output/colours.ts';
import { describePlace, renderSteps } from './describe.ts';

test('describe site tells what can be done with each kind, and of the rest why not', () => {
  const site = {
    kind: 'Site',
    name: 'cloudy',
    status: {
      state: 'Ready',
      capabilities: [
        {
          kind: 'Instance',
          verbs: { create: true, resize: { reason: 'no' }, stop: true, spot: { reason: 'no' } },
        },
        { kind: 'Volume', verbs: { create: { reason: 'not there yet' } } },
      ],
      facts: { endpoint: 'AWS' },
    },
  } as unknown as Schemas['Site'];
  const text = describePlace('Site', site, plainPaint);
  expect(text.slice(text.indexOf('Can do'))).toBe(
    [
      'Can do',
      '  KIND       CAN   VERBS          REASON',
      '  Instance   yes   create, stop   -',
      '  Instance   no    resize, spot   no',
      '  Volume     no    create         not there yet',
      '',
    ].join('\n'),
  );
  expect(text).toContain('endpoint: AWS');
  expect(text).not.toContain('capabilities');
});

test('describe operation has each step at a provider, and under it its calls with their retries', () => {
  const at = (seconds: number): string => new Date(Date.UTC(2026, 0, 1, 12, 0, seconds)).toISOString();
  const call = { call: 'ec2:RunInstances', ms: 350, status: 200, code: null, retry: 0, count: 1 };
  const step = {
    ...{ step: 'ensure' as const, resource: 'i', attempt: 1, try: 1, site: 'aws', compensation: false },
    ...{ startedAt: at(1), finishedAt: at(2), failed: null, calls: [], callsLeftOut: 0 },
  };
  const text = renderSteps(
    {
      items: [
        {
          ...step,
          failed: 'Throttled',
          calls: [{ ...call, startedAt: at(1), lastAt: at(1), status: 503, code: 'RequestLimitExceeded' }],
        },
        {
          ...step,
          ...{ try: 2, startedAt: at(4), finishedAt: at(40), callsLeftOut: 3 },
          calls: [
            { ...call, startedAt: at(4), lastAt: at(4), retry: 1 },
            {
              ...call,
              call: 'ec2:DescribeInstances',
              startedAt: at(5),
              lastAt: at(39),
              count: 12,
              ms: 12_000,
            },
          ],
        },
        { ...step, step: 'remove', compensation: true, startedAt: at(41), finishedAt: at(43) },
      ],
      leftOut: 2,
    },
    at(0),
    plainPaint,
  );
  expect(text.split('\n').map((line) => line.trim().replaceAll(/ {2,}/g, ' | '))).toEqual([
    'Steps',
    '2 older ones are left out',
    'AFTER | STEP | PROVIDER',
    '+1.00s | ensure: Throttled, 1.00s | aws, attempt 1',
    '+1.00s | ec2:RunInstances 503 RequestLimitExceeded, 0.35s',
    '+4.00s | ensure, try 2, 36s | aws, attempt 1',
    '+4.00s | ec2:RunInstances 200, 0.35s, retry 1',
    '+5.00s | ec2:DescribeInstances 200, 12s, 12 times over 34s',
    '+40s | and 3 more calls',
    '+41s | remove (compensation), 2.00s | aws, attempt 1',
    '',
  ]);
});
