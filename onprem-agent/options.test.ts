import { readOptions, UsageError } from './options.ts';

test('flags come before the environment, and the environment before defaults', () => {
  const env = {
    LANDFALL_SITE: 'lab',
    LANDFALL_HOST: 'from-env',
    LANDFALL_TOKEN_FILE: '/t',
    TEMPORAL_ADDRESS: 'x:1',
  };
  expect(readOptions(['--host', 'from-flag', '--vcpus', '6'], env)).toMatchObject({
    site: 'lab',
    region: 'lab',
    host: 'from-flag',
    zone: 'default',
    temporalAddress: 'x:1',
    temporalNamespace: 'default',
    vcpus: 6,
    libvirt: 'auto',
  });
});

test.each([
  [[], '--site'],
  [['--site', 'a b', '--token-file', 't'], '--site'],
  [['--site', 's', '--token-file', 't', '--vcpus', 'many'], '--vcpus'],
  [['--site', 's', '--token-file', 't', '--libvirt', 'xen'], '--libvirt'],
  [['--nonsense'], '--nonsense'],
])('%j is refused by the name of the flag', (args, flag) => {
  expect(() => readOptions(args, {})).toThrow(UsageError);
  expect(() => readOptions(args, {})).toThrow(flag);
});
