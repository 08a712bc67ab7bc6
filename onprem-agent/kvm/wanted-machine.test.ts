import type { InstanceWant, Want } from '@landfall/adapters/contract.ts';
import { isProviderError } from '@landfall/adapters/errors.ts';
import type { Setting } from './setting.ts';
import { tinySpec } from './subject.ts';
import { wantedMachine } from './wanted-machine.ts';

const setting = { location: { region: 'lab', host: 'host-1' } } as Setting;

function want(change: Partial<InstanceWant> = {}, host = 'host-1'): Want<'Instance'> {
  const stamp = { broker: 'b', project: 'p', resource: 'r', attempt: 1 };
  return { kind: 'Instance', spec: tinySpec(change), stamp, location: { region: 'lab', host } };
}

const wrong: Array<[string, Partial<InstanceWant>]> = [
  ['/architecture', { architecture: 'arm64' }],
  ['/market', { market: 'spot' }],
  ['/vcpus', { vcpus: 1.5 }],
  ['/memoryGiB', { memoryGiB: 0 }],
  ['/diskGiB', { diskGiB: 0 }],
  ['/gpu/count', { gpu: { name: 'T4', count: 1.5 } }],
  ['/gpu/count', { gpu: { name: 'T4', count: 0 } }],
  ['/name', { name: '' }],
  ['/sshKeys/1', { sshKeys: ['ssh-ed25519 AAAA', 'ssh-ed25519 AAAA\nssh-rsa BBBB'] }],
  ['/image', { image: { name: 'windows', architecture: 'x86_64', user: 'root' } }],
  [
    '/image/onprem/url',
    { image: { name: 'x', architecture: 'x86_64', user: 'u', onprem: { url: 'ftp://x', sha256: 'a' } } },
  ],
  [
    '/image/onprem/sha256',
    { image: { name: 'x', architecture: 'x86_64', user: 'u', onprem: { url: 'https://x', sha256: 'a' } } },
  ],
  [
    '/image/user',
    {
      image: {
        name: 'x',
        architecture: 'x86_64',
        user: 'a b',
        onprem: { url: 'https://x', sha256: 'a'.repeat(64) },
      },
    },
  ],
  ['/labels/k', { labels: { k: 'a\u0000b' } }],
];

test.each(wrong)('what is wrong at %s is refused by that name', (field, change) => {
  try {
    wantedMachine(want(change), setting);
    throw new Error('it was accepted');
  } catch (error) {
    expect(isProviderError(error, 'Invalid') && error.details.field).toBe(field);
  }
});

test('a want for another host is refused', () => {
  expect(() => wantedMachine(want({}, 'host-2'), setting)).toThrow('this is host host-1');
});

test('an image named like a built-in one needs nothing more', () => {
  const image = { name: 'tiny', architecture: 'x86_64' as const, user: 'somebody' };
  expect(wantedMachine(want({ image }), setting)).toMatchObject({ image: { builtin: 'tiny' }, user: 'root' });
});
