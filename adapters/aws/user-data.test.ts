import { userData } from './user-data.ts';

const read = (spec: Parameters<typeof userData>[0]) =>
  Buffer.from(userData(spec) ?? '', 'base64').toString('utf8');
const keys = ['ssh-ed25519 AAAA one', 'ssh-rsa BBBB "two"'];

describe('user data', () => {
  test('nothing to say is nothing sent', () => {
    expect(userData({ sshKeys: [] })).toBeUndefined();
  });

  test('without keys the user’s own goes through as written', () => {
    expect(read({ sshKeys: [], userData: '#!/bin/sh\necho hello\n' })).toBe('#!/bin/sh\necho hello\n');
  });

  test('keys alone are a cloud-config that nothing in a key can break out of', () => {
    expect(read({ sshKeys: keys })).toBe(
      '#cloud-config\nssh_authorized_keys: ["ssh-ed25519 AAAA one","ssh-rsa BBBB \\"two\\""]\n',
    );
  });

  test.each([
    ['#!/bin/sh\ntrue\n', 'text/x-shellscript'],
    ['#cloud-config\npackages: [git]\n', 'text/cloud-config'],
    ['#cloud-config-archive\n- a\n', 'text/cloud-config-archive'],
    ['#include\nhttp://example.test/\n', 'text/x-include-url'],
    ['anything else', 'text/plain'],
  ])('keys and %j are two parts, the user’s first, ours adding to it', (own, type) => {
    const text = read({ sshKeys: keys, userData: own });
    expect(text).toMatch(
      /^Content-Type: multipart\/mixed; boundary="(landfall-[0-9a-f]+)"\nMIME-Version: 1.0\n\n--\1\n/,
    );
    expect(text).toContain(`Content-Type: ${type}; charset="utf-8"\n\n${own}`);
    expect(text.indexOf(own)).toBeLessThan(text.indexOf('ssh_authorized_keys'));
    expect(text).toContain('Merge-Type: list(append)+dict(no_replace,recurse_list)+str()');
  });

  test('a MIME document keeps its own headers', () => {
    const own = 'Content-Type: multipart/mixed; boundary="x"\n\n--x\n\nhello\n--x--\n';
    expect(read({ sshKeys: keys, userData: own })).toContain(`\n${own}`);
  });

  test('the same content is the same to the byte: a repeated request must not differ', () => {
    const spec = { sshKeys: keys, userData: '#!/bin/sh\n' };
    expect(userData(spec)).toBe(userData(spec));
  });

  test('more than EC2 takes is Invalid at /userData', () => {
    const call = () => userData({ sshKeys: keys, userData: 'x'.repeat(16_384) });
    expect(call).toThrow(expect.objectContaining({ code: 'Invalid', details: { field: '/userData' } }));
  });
});
