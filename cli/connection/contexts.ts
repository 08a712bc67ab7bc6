/** Named connections, kept in `config.json` of the config folder, readable by the user alone. */
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, exitCodes, usageError } from '../errors.ts';
import { suggestion } from '../output/suggestion.ts';
import { configDirectory } from '../terminal.ts';

/** A saved connection. */
export interface Context {
  url: string;
  token: string;
  project?: string;
}

/** The content of config.json. */
export interface Contexts {
  current?: string;
  contexts: Record<string, Context>;
}

function contextsFile(env: NodeJS.ProcessEnv): string {
  return join(configDirectory(env), 'config.json');
}

/** The saved contexts; none when the file is not there. */
export function readContexts(env: NodeJS.ProcessEnv): Contexts {
  const file = contextsFile(env);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return { contexts: {} };
    throw new CommandError(`Cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
  try {
    const content = JSON.parse(text) as Partial<Contexts>;
    return { current: content.current, contexts: { ...content.contexts } };
  } catch (cause) {
    throw new CommandError(`${file} is not JSON: ${(cause as Error).message}`, {
      hint: 'Correct it, or remove it and run `landfall login` again.',
      cause,
    });
  }
}

/** Saves the contexts; whole or not at all. */
export function writeContexts(env: NodeJS.ProcessEnv, contexts: Contexts): void {
  const file = contextsFile(env);
  mkdirSync(configDirectory(env), { recursive: true, mode: 0o700 });
  const next = `${file}.${process.pid}.next`;
  writeFileSync(next, `${JSON.stringify(contexts, null, 2)}\n`, { mode: 0o600 });
  chmodSync(next, 0o600);
  renameSync(next, file);
}

/** The context of that name, or an error that names the ones there are. */
export function namedContext(contexts: Contexts, name: string): Context {
  const context = Object.hasOwn(contexts.contexts, name) ? contexts.contexts[name] : undefined;
  if (context) return context;
  const names = Object.keys(contexts.contexts);
  throw new CommandError(`There is no context "${name}".`, {
    exitCode: exitCodes.notFound,
    hint: names.length
      ? `${suggestion(name, names)}Contexts: ${names.join(', ')}.`
      : 'There are none yet: run `landfall login`.',
  });
}

/** A broker's address without a slash at its end; an error unless it is http(s). */
export function brokerUrl(given: string): string {
  let url: URL;
  try {
    url = new URL(given);
  } catch {
    throw usageError(`"${given}" is not a URL.`, 'Give it like http://127.0.0.1:7420.');
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw usageError(`"${given}" is not an http or https URL.`);
  }
  if (url.username || url.password)
    throw usageError('A token does not belong in the URL.', 'Give it with --token or LANDFALL_TOKEN.');
  return given.replace(/\/+$/, '');
}
