import { randomUUID } from 'node:crypto';

/** A UUID version 7 (RFC 9562): ids sort by the time they were made, so indexes on them stay compact. */
export function newId(now = Date.now()): string {
  const time = now.toString(16).padStart(12, '0');
  // The random part, with its variant, is that of a version 4: Node draws randomness for many of these at once.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
}
