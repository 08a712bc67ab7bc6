import { domainName, domainUuid, isUuid, macOf } from './identity.ts';

const stamp = { broker: 'b', resource: 'r', attempt: 1 };

test('one stamp gives one UUID, of version 5, for ever', () => {
  expect(domainUuid(stamp)).toBe(domainUuid({ ...stamp }));
  expect(domainUuid(stamp)).toBe('adf30af5-30fa-58ec-9175-b2844608a491');
  expect(isUuid(domainUuid(stamp))).toBe(true);
});

test('another broker, resource or attempt gives another UUID', () => {
  const others = [stamp, { ...stamp, broker: 'c' }, { ...stamp, resource: 's' }, { ...stamp, attempt: 2 }];
  expect(new Set(others.map(domainUuid)).size).toBe(4);
});

test('parts of a stamp do not run into each other', () => {
  expect(domainUuid({ broker: 'a', resource: 'b1', attempt: 1 })).not.toBe(
    domainUuid({ broker: 'a', resource: 'b', attempt: 11 }),
  );
});

test('the NIC has a locally administered address derived from the UUID', () => {
  expect(macOf('1f42ce1b-b522-5da1-8718-6ff008a7ef50')).toBe('52:54:00:a7:ef:50');
});

test('a domain is named after the machine, in plain characters', () => {
  expect(domainName('Web 1/ü', '1f42ce1b-b522-5da1-8718-6ff008a7ef50')).toBe('lf-web-1-1f42ce1b');
  expect(domainName('///', '1f42ce1b-b522-5da1-8718-6ff008a7ef50')).toBe('lf-machine-1f42ce1b');
});

test('nothing but a UUID passes for one', () => {
  for (const text of [
    '',
    '..',
    '../1f42ce1b-b522-5da1-8718-6ff008a7ef50',
    '1f42ce1b-b522-5da1-8718-6ff008a7ef50; destroy x',
  ]) {
    expect(isUuid(text)).toBe(false);
  }
});
