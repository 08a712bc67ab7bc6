/** Which broker a command talks to, as whom, and in which project. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CommandError, exitCodes } from '../errors.ts';
import type { Terminal } from '../terminal.ts';
import { brokerUrl, namedContext, readContexts } from './contexts.ts';

/** Flags that say where to connect. */
export interface ConnectionFlags {
  url?: string;
  token?: string;
  context?: string;
  project?: string;
}

/** A broker to talk to. */
export interface Connection {
  url: string;
  token: string | undefined;
  project: string;
  /** Where the address is from: names known_hosts, and tells a refused connection what to advise. */
  source: 'flags' | 'environment' | 'default' | 'local' | { context: string };
}

/** The default address of a broker. */
export const defaultUrl = 'http://127.0.0.1:7420';

/** Flags, else the environment, else the current context, else a local `npm run up`. */
export function resolveConnection(
  flags: ConnectionFlags,
  terminal: Pick<Terminal, 'env' | 'cwd'>,
): Connection {
  const { env } = terminal;
  const token = flags.token || env.LANDFALL_TOKEN || undefined;
  const project = flags.project || env.LANDFALL_PROJECT || undefined;
  if (flags.context === undefined && flags.url !== undefined) {
    return { url: brokerUrl(flags.url), token, project: project ?? 'default', source: 'flags' };
  }
  if (flags.context === undefined && env.LANDFALL_URL) {
    return { url: brokerUrl(env.LANDFALL_URL), token, project: project ?? 'default', source: 'environment' };
  }
  const contexts = readContexts(env);
  const name = flags.context ?? contexts.current;
  if (name !== undefined) {
    const context = namedContext(contexts, name);
    return {
      url: brokerUrl(flags.url ?? context.url),
      // A token in the environment is for LANDFALL_URL; a context has its own.
      token: flags.token ?? context.token,
      project: project ?? context.project ?? 'default',
      source: { context: name },
    };
  }
  const local = localConnection(terminal);
  if (local) return { ...local, token: token ?? local.token, project: project ?? 'default', source: 'local' };
  if (token) return { url: defaultUrl, token, project: project ?? 'default', source: 'default' };
  throw new CommandError('No broker to talk to.', {
    exitCode: exitCodes.unreachable,
    hint: 'Start one here with `npm run up`, or connect to one with `landfall login`.',
  });
}

/** The data folder of a local `npm run up`: LANDFALL_DATA_DIR, else `.landfall` here or above. */
export function localDataDirectory(terminal: Pick<Terminal, 'env' | 'cwd'>): string | undefined {
  if (terminal.env.LANDFALL_DATA_DIR) return resolve(terminal.cwd, terminal.env.LANDFALL_DATA_DIR);
  for (let folder = terminal.cwd; ; folder = dirname(folder)) {
    const candidate = join(folder, '.landfall');
    if (existsSync(join(candidate, 'admin.token')) || existsSync(join(candidate, 'state.json')))
      return candidate;
    if (folder === dirname(folder)) return undefined;
  }
}

function localConnection(
  terminal: Pick<Terminal, 'env' | 'cwd'>,
): { url: string; token: string } | undefined {
  const folder = localDataDirectory(terminal);
  if (folder === undefined) return undefined;
  const token = readText(join(folder, 'admin.token'))?.trim();
  if (!token) {
    throw new CommandError(`${folder} has no admin token: the broker has never been up.`, {
      exitCode: exitCodes.unreachable,
      hint: 'Run `npm run up` and wait until it says ready, or connect elsewhere with `landfall login`.',
    });
  }
  return { url: localUrl(folder), token };
}

/** The living supervisor's record knows the address best; the kept state has the last one. */
function localUrl(folder: string): string {
  for (const name of ['supervisor.json', 'state.json']) {
    const text = readText(join(folder, name));
    if (text === undefined) continue;
    let content: { url?: unknown; ports?: { broker?: unknown } };
    try {
      content = JSON.parse(text);
    } catch (cause) {
      throw new CommandError(`${join(folder, name)} is not JSON.`, {
        hint: 'Run `npm run up` again.',
        cause,
      });
    }
    if (typeof content?.url === 'string') return brokerUrl(content.url);
    if (typeof content?.ports?.broker === 'number') return `http://127.0.0.1:${content.ports.broker}`;
  }
  return defaultUrl;
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CommandError(`Cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
}
