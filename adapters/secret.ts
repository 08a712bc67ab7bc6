import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Schemas } from '@landfall/model';
import { ProviderError } from './errors.ts';

/** Where a secret is. The process that uses it reads it there; nothing else ever holds it. */
export type SecretSource =
  | { source: 'environment'; prefix: string }
  | { source: 'file'; path: string }
  | { source: 'command'; command: readonly string[] };

export interface SecretValue {
  /** From the environment: what follows the prefix, e.g. `ACCESS_KEY_ID`. From elsewhere: the JSON's own, or `accessToken`. */
  fields: Readonly<Record<string, unknown>>;
  /** Until when it may be used, in milliseconds since 1970. What says nothing of it is read again after five minutes. */
  expiresAt: number;
}

export interface Secret {
  readonly source: SecretSource;
  /**
   * What it is now: kept until a minute before it expires.
   * @throws ProviderError `Unavailable`. No error ever holds what was read, or what a program printed.
   */
  read(): Promise<SecretValue>;
}

/** The first of these fields that has a text. */
export function textOf({ fields }: SecretValue, ...names: string[]): string | undefined {
  return names.map((name) => fields[name]).find((value) => typeof value === 'string' && value !== '') as
    | string
    | undefined;
}

const spareMs = 60_000;
const unsaidMs = 300_000;

/** Opens it; nothing is read yet. A program has `limitMs` to print it. */
export function openSecret(source: SecretSource, env = process.env, limitMs = 30_000): Secret {
  const raw = async (): Promise<SecretValue> => {
    if (source.source === 'environment')
      return { fields: variables(source.prefix, env), expiresAt: Infinity };
    const text =
      source.source === 'file' ? await readSecretFile(source.path) : await output(source.command, limitMs);
    const where = whereOf(source);
    const fields = fieldsOf(text, where);
    return { fields, expiresAt: expiryOf(fields, where) };
  };
  let known: SecretValue | undefined;
  let reading: Promise<SecretValue> | undefined;
  return {
    source,
    async read() {
      if (known && Date.now() < known.expiresAt - spareMs) return known;
      reading ??= raw().finally(() => {
        reading = undefined;
      });
      known = await reading;
      return known;
    },
  };
}

/** The secret that a site's file names; undefined where the SDK finds its credentials itself. */
export function secretOf(
  { provider, credentials }: Pick<Schemas['SiteSpec'], 'provider' | 'credentials'>,
  env = process.env,
): Secret | undefined {
  const { source = 'default', prefix = provider.toUpperCase(), path = '', command = [] } = credentials ?? {};
  if (source === 'environment') return openSecret({ source, prefix }, env);
  if (source === 'file') return openSecret({ source, path });
  if (source === 'command') return openSecret({ source, command });
  return undefined;
}

/** The error for a secret that lacks what the provider needs: its fields in JSON, its variables without their prefix. */
export function incomplete(
  { source }: Secret,
  { json, environment }: { json: string; environment: string[] },
): ProviderError {
  if (source.source !== 'environment') return unavailable(`${whereOf(source)} must have ${json}`);
  const names = environment.map((name) => `${source.prefix}_${name}`);
  return unavailable(`the worker's environment has no ${names.join(', ')}: set them and restart it`);
}

function unavailable(message: string): ProviderError {
  return new ProviderError('Unavailable', `credentials: ${message}`, { providerCode: 'credentials' });
}

function whereOf(source: Exclude<SecretSource, { source: 'environment' }>): string {
  // Of a command no more than the program: its arguments may be secret.
  return source.source === 'file'
    ? `the file ${source.path}`
    : `what the program ${source.command[0]} prints`;
}

function variables(prefix: string, env: NodeJS.ProcessEnv): Record<string, unknown> {
  const start = `${prefix}_`;
  const own = Object.entries(env).filter(([name]) => name.startsWith(start));
  return Object.fromEntries(own.map(([name, value]) => [name.slice(start.length), value]));
}

async function readSecretFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw unavailable(
      `the file ${path} cannot be read by the worker (${(error as NodeJS.ErrnoException).code})`,
    );
  }
}

/** JSON, or a token on one line. What a parser says of bad JSON quotes it, so it is not told. */
function fieldsOf(text: string, where: string): Record<string, unknown> {
  const trimmed = text.trim();
  if (/^[\x21-\x7e]+$/.test(trimmed) && !/^[{["]/.test(trimmed)) return { accessToken: trimmed };
  let parsed: unknown;
  try {
    parsed = JSON.parse(trimmed);
  } catch {
    parsed = undefined;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw unavailable(`${where} must be a JSON object, or a token on one line`);
  return parsed as Record<string, unknown>;
}

/** `Expiration` as AWS writes it, `expires_on` (seconds since 1970) as Azure does, `expires_in` (seconds) as OAuth does. */
function expiryOf(fields: Record<string, unknown>, where: string): number {
  const { Expiration: at, expires_on: on, expires_in: lasts } = fields;
  const until =
    at !== undefined
      ? Date.parse(String(at))
      : on !== undefined
        ? Number(on) * 1000
        : lasts !== undefined
          ? Date.now() + Number(lasts) * 1000
          : Date.now() + unsaidMs;
  if (Number.isNaN(until))
    throw unavailable(`${where} says no time with Expiration, expires_on or expires_in`);
  if (until <= Date.now()) throw unavailable(`${where} has expired at ${new Date(until).toISOString()}`);
  return until;
}

const mostBytes = 1024 * 1024;

/** What a program prints. It is in a process group of its own, so that what it started ends with it. */
function output([program = '', ...args]: readonly string[], limitMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
    let text = '';
    let over: string | undefined;
    const end = (why: string) => {
      over ??= why;
      child.stdout.destroy();
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It ended a moment ago.
      }
    };
    const timer = setTimeout(() => end(`took longer than ${limitMs / 1000} s`), limitMs);
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.length > mostBytes) end('printed more than 1 MiB');
    });
    child.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(unavailable(`the program ${program} cannot be started by the worker (${error.code})`));
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const why = over ?? (code === 0 ? undefined : `ended with ${code ?? signal}`);
      if (why === undefined) resolve(text);
      else
        reject(
          unavailable(
            `the program ${program} ${why}; run it by hand as the worker's user to see what it says`,
          ),
        );
    });
  });
}
