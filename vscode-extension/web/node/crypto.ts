/** What of `node:crypto` is used: SHA-256 in hex, at once (a browser's own is asynchronous), and what a browser has, too. */
import { sha256 } from '@noble/hashes/sha2.js';

export function createHash(_: 'sha256'): {
  update(part: string | Uint8Array): void;
  digest(_: 'hex'): string;
} {
  const hash = sha256.create();
  return {
    update: (part) => void hash.update(typeof part === 'string' ? new TextEncoder().encode(part) : part),
    digest: () => [...hash.digest()].map((byte) => byte.toString(16).padStart(2, '0')).join(''),
  };
}

export const randomUUID = (): string => crypto.randomUUID();
