import { parse } from 'yaml';
import { hostnameOf, metaData } from './seed.ts';

test('meta-data is YAML with the instance id, the host name and every key', () => {
  const keys = ['ssh-ed25519 AAAA me: "x" #1', 'ssh-rsa BBBB'];
  expect(parse(metaData({ instanceId: 'i-1', hostname: 'web-1', sshKeys: keys }))).toEqual({
    'instance-id': 'i-1',
    'local-hostname': 'web-1',
    'public-keys': keys,
  });
});

test('a host name has letters, digits and hyphens only', () => {
  expect(hostnameOf('Web 1.ü')).toBe('web-1');
  expect(hostnameOf('***')).toBe('machine');
});
