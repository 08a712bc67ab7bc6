import { highestIndex, overlap, subnetsOf } from './subnets.ts';

test('networks overlap when one holds the other', () => {
  expect(overlap('10.213.0.0/16', '10.213.7.0/24')).toBe(true);
  expect(overlap('10.213.7.9', '10.213.7.0/24')).toBe(true);
  expect(overlap('10.213.6.0/24', '10.213.7.0/24')).toBe(false);
  expect(overlap('0.0.0.0/0', '10.213.7.0/24')).toBe(true);
  expect(overlap('10.213/16', '10.213.7.0/24')).toBe(true);
});

test('two indexes share no address and no device, and every device name fits the kernel', () => {
  const all = Array.from({ length: highestIndex }, (_, index) => subnetsOf(index + 1));
  expect(new Set(all.flatMap((one) => [one.guests, one.link, one.bridge, one.linkHostDevice])).size).toBe(
    4 * highestIndex,
  );
  for (const one of all) {
    expect(one.bridge.length).toBeLessThanOrEqual(15);
    expect(one.linkNamespaceDevice.length).toBeLessThanOrEqual(15);
  }
});
