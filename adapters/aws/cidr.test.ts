import { contains, overlap, parseCidr, writeCidr } from './cidr.ts';

const read = (text: string) => {
  const cidr = parseCidr(text);
  if (!cidr) throw new Error(`${text} was not read`);
  return cidr;
};

test.each([
  ['10.0.0.5/8', '10.0.0.0/8'],
  ['255.255.255.255/32', '255.255.255.255/32'],
  ['192.168.77.1/23', '192.168.76.0/23'],
  ['1.2.3.4/0', '0.0.0.0/0'],
])('%s is the range %s', (text, range) => {
  expect(writeCidr(read(text))).toBe(range);
});

test.each(['10.0.0.0', '10.0.0/8', '256.0.0.0/8', '10.0.0.0/33', '::/0', ''])('%s is no range', (text) => {
  expect(parseCidr(text)).toBeUndefined();
});

test('a range contains smaller ones inside it and itself, and overlaps what contains it', () => {
  expect(contains(read('10.0.0.0/16'), read('10.0.255.0/24'))).toBe(true);
  expect(contains(read('10.0.0.0/16'), read('10.0.0.0/16'))).toBe(true);
  expect(contains(read('10.0.0.0/16'), read('10.1.0.0/24'))).toBe(false);
  expect(contains(read('10.0.0.0/24'), read('10.0.0.0/16'))).toBe(false);
  expect(overlap(read('10.0.0.0/24'), read('10.0.0.0/16'))).toBe(true);
  expect(overlap(read('10.0.0.0/24'), read('10.0.1.0/24'))).toBe(false);
});
