import type { NetworkWant } from '@landfall/adapters/contract.ts';
import { addressesOf, checkedCidr, networkPlan } from './network.ts';
import type { Setting } from './setting.ts';

const { check } = networkPlan({} as Setting);
const spec: NetworkWant = {
  name: 'n',
  labels: {},
  cidr: '10.20.0.0/16',
  subnets: [{ name: 'a', cidr: '10.20.1.0/24' }],
};

test('the first address of a subnet is the gateway’s, the last is nobody’s', () => {
  const { gateway, netmask, machines } = addressesOf('192.168.7.8/29');
  expect({ gateway, netmask }).toEqual({ gateway: '192.168.7.9', netmask: '255.255.255.248' });
  expect([...machines()]).toEqual([10, 11, 12, 13, 14].map((last) => `192.168.7.${last}`));
});

test.each(['10.0.0.0', '10.0.0.1/8', '10.0.0/8', '256.0.0.0/8', '10.0.0.0/33', 'a/8', ''])(
  '%j is no network',
  (text) => {
    expect(() => checkedCidr(text, '/x')).toThrow(expect.objectContaining({ code: 'Invalid' }));
  },
);

test.each<[string, Partial<NetworkWant>]>([
  ['/cidr', { cidr: '10.20.0.1/16' }],
  ['/cidr', { cidr: '8.8.8.0/24', subnets: [{ name: 'a', cidr: '8.8.8.0/24' }] }],
  ['/subnets', { subnets: [] }],
  ['/subnets', { subnets: [...spec.subnets, { name: 'b', cidr: '10.20.2.0/24' }] }],
  ['/subnets/0/cidr', { subnets: [{ name: 'a', cidr: '10.21.0.0/24' }] }],
  ['/subnets/0/cidr', { subnets: [{ name: 'a', cidr: '10.0.0.0/8' }] }],
  ['/subnets/0/cidr', { subnets: [{ name: 'a', cidr: '10.20.0.0/30' }] }],
  ['/subnets/0/name', { subnets: [{ name: 'a b', cidr: '10.20.0.0/24' }] }],
])('a network is refused by %s: %j', (field, change) => {
  const refusal = expect.objectContaining({ code: 'Invalid', details: { field } });
  expect(() => check({ ...spec, ...change })).toThrow(refusal);
});

test('a network with one subnet inside it is taken', () => {
  expect(() => check(spec)).not.toThrow();
});
