import { createHash, randomBytes } from 'node:crypto';
import type { Role } from '@landfall/model';
import type { Db } from '@landfall/store';
import { findTokenByHash, touchToken } from '@landfall/store/tokens.ts';
import type { Logger } from 'pino';
import { Problem } from './problems.ts';

/** Who calls, by the token in use. */
export interface Principal {
  tokenId: string;
  name: string;
  role: Role;
  organization: string;
  /** Null = the whole organization. */
  project: string | null;
  /** The site an agent speaks for. */
  site: string | null;
  expiresAt: Date | null;
}

/** A new token's secret: 256 random bits. */
export function newSecret(): string {
  return `lf_${randomBytes(32).toString('base64url')}`;
}

/** What of a secret is kept. The secret is random, so a plain digest is enough. */
export function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

const secretForm = /^lf_[A-Za-z0-9_-]{43}$/;
const schemeForm = /^Bearer +(\S+) *$/i;

/** How long another broker's revocation may go unnoticed here. */
const cachedForMs = 5_000;
const cacheSize = 10_000;
const touchedEveryMs = 60_000;

/** Turns bearer tokens into principals. */
export class Authenticator {
  readonly #db: Db;
  readonly #log: Logger;
  readonly #cache = new Map<string, { principal: Principal; until: number }>();
  readonly #touched = new Map<string, number>();
  /** Grows with each revocation: an answer read before one is not cached after it. */
  #epoch = 0;

  constructor(db: Db, log: Logger) {
    this.#db = db;
    this.#log = log;
  }

  /** The principal of an Authorization header; throws `unauthenticated`. */
  async authenticate(header: string | undefined): Promise<Principal> {
    if (header === undefined) throw refused('Send `Authorization: Bearer lf_…`.');
    const secret = schemeForm.exec(header)?.[1];
    if (secret === undefined || !secretForm.test(secret))
      throw refused(
        'The Authorization header is not `Bearer` and a token of this broker (`lf_` and 43 characters).',
      );
    const hash = hashOf(secret);
    const key = hash.toString('base64');
    const now = Date.now();
    const cached = this.#cache.get(key);
    const principal = cached && cached.until > now ? cached.principal : await this.#look(key, hash);
    if (principal.expiresAt && principal.expiresAt.getTime() <= now) {
      throw refused(`Token ${principal.name} expired at ${principal.expiresAt.toISOString()}.`);
    }
    this.#touch(principal.tokenId, now);
    return principal;
  }

  /** Forgets what is cached; called when a token is revoked. */
  forget(): void {
    this.#epoch++;
    this.#cache.clear();
  }

  async #look(key: string, hash: Buffer): Promise<Principal> {
    const epoch = this.#epoch;
    const token = await findTokenByHash(this.#db, hash);
    if (!token) {
      this.#cache.delete(key);
      throw refused('The token is not known, or was revoked.');
    }
    const principal: Principal = {
      tokenId: token.id,
      name: token.name,
      role: token.role,
      organization: token.organization,
      project: token.project ?? null,
      site: token.site ?? null,
      expiresAt: token.expiresAt ? new Date(token.expiresAt) : null,
    };
    if (epoch === this.#epoch) {
      if (this.#cache.size >= cacheSize) this.#cache.clear();
      this.#cache.set(key, { principal, until: Date.now() + cachedForMs });
    }
    return principal;
  }

  #touch(id: string, now: number): void {
    if ((this.#touched.get(id) ?? 0) > now - touchedEveryMs) return;
    if (this.#touched.size >= cacheSize) this.#touched.clear();
    this.#touched.set(id, now);
    // Not worth a request's time or failure: when a token was last used is for people.
    touchToken(this.#db, id).catch((error: unknown) =>
      this.#log.warn({ err: error, token: id }, 'could not note that a token was used'),
    );
  }
}

function refused(detail: string): Problem {
  return new Problem('unauthenticated', detail);
}
