import { OFFER_ATTRIBUTES, REQUEST_ATTRIBUTES } from '../cel/schema.ts';
import { nearest } from './problems.ts';

test.each([
  ['jurisdicton', 'jurisdiction'],
  ['vCPUs', 'vcpus'],
  ['vpcus', 'vcpus'],
  ['memory', 'memoryGiB'],
  ['memory_gib', 'memoryGiB'],
  ['pricePerhour', 'pricePerHour'],
  ['instance_type', 'instanceType'],
  ['regoin', 'region'],
  ['certification', 'certifications'],
])('offer.%s is meant as offer.%s', (written, meant) => {
  expect(nearest(written, Object.keys(OFFER_ATTRIBUTES))).toBe(meant);
});

test('what resembles nothing gets no suggestion', () => {
  expect(nearest('colour', Object.keys(REQUEST_ATTRIBUTES))).toBeUndefined();
  expect(nearest('', Object.keys(REQUEST_ATTRIBUTES))).toBeUndefined();
});

test('codes of two letters are near each other only by case', () => {
  expect(nearest('eu', ['EU', 'US'])).toBe('EU');
  expect(nearest('DE', ['AE', 'EU'])).toBeUndefined();
});

test('among equally near names the first is taken', () =>
  expect(nearest('eu-west-9', ['eu-west-1', 'eu-west-2'])).toBe('eu-west-1'));
