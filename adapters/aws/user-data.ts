import { createHash } from 'node:crypto';
import type { InstanceWant } from '../contract.ts';
import { ProviderError } from '../errors.ts';

/** EC2's limit on user data before base64. */
const mostBytes = 16_384;

/**
 * User data that puts the SSH keys into the guest, together with the user's own.
 *
 * Keys travel by cloud-init, not as an EC2 key pair: EC2 takes one key per machine, RSA or ED25519 only, and a key pair
 * is one more child to leak. Every image of the catalogue has cloud-init.
 * @returns base64 as RunInstances wants it, or undefined when there is nothing to say.
 * @throws ProviderError `Invalid` above 16 KiB.
 */
export function userData(spec: Pick<InstanceWant, 'sshKeys' | 'userData'>): string | undefined {
  const text = compose(spec.sshKeys, spec.userData);
  if (text === undefined) return undefined;
  if (Buffer.byteLength(text) > mostBytes)
    throw new ProviderError(
      'Invalid',
      `user data with the SSH keys is larger than EC2's ${mostBytes} bytes`,
      {
        field: '/userData',
      },
    );
  return Buffer.from(text).toString('base64');
}

function compose(sshKeys: string[], own: string | undefined): string | undefined {
  if (sshKeys.length === 0) return own;
  // JSON is YAML, with quoting that nothing in a key's comment can break out of.
  const keys = `#cloud-config\nssh_authorized_keys: ${JSON.stringify(sshKeys)}\n`;
  if (own === undefined || own.trim() === '') return keys;
  // Made from the content, because a repeated request must be the same to the byte (A1).
  const boundary = `landfall-${createHash('sha256').update(own).update(keys).digest('hex').slice(0, 24)}`;
  return [
    `Content-Type: multipart/mixed; boundary="${boundary}"\nMIME-Version: 1.0\n`,
    `--${boundary}\n${asPart(own)}`,
    // Ours comes last and adds: what the user says about keys or anything else stays.
    `--${boundary}\nContent-Type: text/cloud-config; charset="utf-8"\nMerge-Type: list(append)+dict(no_replace,recurse_list)+str()\n\n${keys}`,
    `--${boundary}--\n`,
  ].join('\n');
}

/** First lines by which cloud-init tells formats apart; longer ones first. */
const formats: [string, string][] = [
  ['#cloud-config-archive', 'text/cloud-config-archive'],
  ['#cloud-config', 'text/cloud-config'],
  ['#cloud-boothook', 'text/cloud-boothook'],
  ['#part-handler', 'text/part-handler'],
  ['#include-once', 'text/x-include-once-url'],
  ['#include', 'text/x-include-url'],
  ['## template: jinja', 'text/jinja2'],
  ['#!', 'text/x-shellscript'],
];

function asPart(own: string): string {
  // A MIME document brings its own headers.
  if (/^(content-type|mime-version):/i.test(own)) return own;
  const type = formats.find(([start]) => own.startsWith(start))?.[1] ?? 'text/plain';
  return `Content-Type: ${type}; charset="utf-8"\n\n${own}`;
}
