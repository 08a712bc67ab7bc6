import { createHash } from 'node:crypto';
import type { Stamp } from '@landfall/adapters/contract.ts';

/** Name space of our version-5 UUIDs; never changes, or every machine would be a stranger. */
const namespace = Buffer.from('6c616e6466616c6c2d6d616368696e65', 'hex');

/** Version-5 UUID (RFC 9562) of `name` in our name space. */
export function uuidOf(name: string): string {
  const hash = createHash('sha1').update(namespace).update(name).digest().subarray(0, 16);
  hash[6] = ((hash[6] as number) & 0x0f) | 0x50;
  hash[8] = ((hash[8] as number) & 0x3f) | 0x80;
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The domain UUID of one attempt: the idempotency key (A1, A2). The project is not part of it: a resource may move. */
export function domainUuid({
  broker,
  resource,
  attempt,
}: Pick<Stamp, 'broker' | 'resource' | 'attempt'>): string {
  return uuidOf([broker, resource, String(attempt)].join('\n'));
}

const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Is this text a UUID as libvirt prints it? Nothing else from outside ever reaches a command line or a path. */
export function isUuid(text: string): boolean {
  return uuidForm.test(text);
}

/** The first NIC's address: QEMU's prefix and three bytes of the UUID. */
export function macOf(uuid: string): string {
  const hex = uuid.replaceAll('-', '').slice(-6);
  return `52:54:00:${hex.replace(/(..)(..)(..)/, '$1:$2:$3')}`;
}

/** Name in `virsh list`: the user's name and enough of the UUID to be unique. */
export function domainName(name: string, uuid: string): string {
  const plain = name
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .slice(0, 40)
    .replace(/^-+|-+$/g, '');
  return `lf-${plain || 'machine'}-${uuid.slice(0, 8)}`;
}
