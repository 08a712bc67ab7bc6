import { machineWords, namesOthers, withoutOthers } from './machine-words.ts';

const words = machineWords({ name: 'web-1', project: 'shop' });

test.each([
  [`${words} stands in host lab/h1`, 'a machine of another project stands in host lab/h1'],
  [
    `it is the rule of ${words} and 2 more, to be in no zone with what is asked for`,
    'it is the rule of a machine of another project and 2 more, to be in no zone with what is asked for',
  ],
  // As messages said it that are kept.
  [
    'rule eu/apart (line 4) rejects 2: shop/web-1 stands in host lab/h1',
    'rule eu/apart (line 4) rejects 2: a machine of another project stands in host lab/h1',
  ],
  [
    'it stands in one host with web-1 of project shop',
    'it stands in one host with a machine of another project',
  ],
])('%s', (message, hidden) => {
  expect(withoutOthers(message, 'nosy')).toBe(hidden);
  expect(namesOthers(message, 'nosy')).toBe(true);
  expect(withoutOthers(message, 'shop')).toBe(message);
  expect(namesOthers(message, 'shop')).toBe(false);
});

test('what names no machine is as it was', () => {
  for (const message of [
    'the only machine of project=shop stands in zone aws/a',
    'no host of site/lab is free',
  ]) {
    expect(withoutOthers(message, 'nosy')).toBe(message);
    expect(namesOthers(message, 'nosy')).toBe(false);
  }
});
