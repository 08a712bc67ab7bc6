import type { Schemas } from '@landfall/model';
import { plainPaint } from '../output/colours.ts';
import { describePlace } from './describe.ts';

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
