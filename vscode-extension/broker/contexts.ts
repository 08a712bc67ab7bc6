/** The brokers that can be connected to: those of the settings, a local `npm run up`, and the command line's contexts. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { machineOf, thisMachine } from './loopback.ts';

/** A broker, and the project that things are made in. */
export interface Context {
  name: string;
  url: string;
  project: string;
  /** `local`: its token is in a file of the data folder. `cli`: known to the command line, and not to the editor yet. */
  from: 'settings' | 'local' | 'cli';
  /** Of a local broker: where `npm run up` keeps its data. */
  dataFolder?: string;
}

/** A context of the command line with its token, to be taken over. */
export interface CliContext {
  context: Context;
  token: string;
}

/** What cannot be used of the settings or files, and why. */
export interface ContextProblem {
  where: string;
  message: string;
}

/** The name of the context of a local broker. */
export const localName = 'local';

/** A broker's address without a slash at its end; or why it is none. */
export function brokerUrl(given: unknown): { url: string } | { problem: string } {
  if (typeof given !== 'string' || !URL.canParse(given))
    return { problem: `${JSON.stringify(given)} is not a URL: give it like http://127.0.0.1:7420` };
  const { protocol, username, password } = new URL(given);
  if (protocol !== 'http:' && protocol !== 'https:')
    return { problem: `"${given}" is not an http or https URL` };
  if (username || password) return { problem: 'a token does not belong in the URL: sign in instead' };
  return { url: given.replace(/\/+$/, '') };
}

/** An entry of the setting `landfall.brokers`. */
export interface BrokerSetting {
  name: string;
  url: string;
  project: string;
  /** The host name, without its domain, of the machine that the address is one of: the editor has one list for all machines. */
  machine?: string;
}

/** The entry for a broker that is found from this machine. Its name is another than the local one's, which is not of the settings. */
export function settingOf({ name, url, project }: Context, machine = machineOf(url)): BrokerSetting {
  const shown = name === localName ? new URL(url).host : name;
  return { name: shown, url, project, ...(machine && { machine }) };
}

/** The contexts that the setting `landfall.brokers` names, without those of other machines. */
export function contextsOfSettings(
  setting: unknown,
  here = thisMachine(),
): { contexts: Context[]; problems: ContextProblem[] } {
  const contexts: Context[] = [];
  const problems: ContextProblem[] = [];
  if (!Array.isArray(setting)) return { contexts, problems };
  for (const [index, entry] of setting.entries()) {
    const where = `landfall.brokers[${index}]`;
    const { name, url, project, machine } = (entry ?? {}) as Record<string, unknown>;
    if (machine !== undefined && machine !== here) continue;
    const address = brokerUrl(url);
    if (typeof name !== 'string' || name.trim() === '')
      problems.push({ where: `${where}.name`, message: 'must be a name to show' });
    else if (name === localName || contexts.some((each) => each.name === name))
      problems.push({ where: `${where}.name`, message: `"${name}" is taken: give it another name` });
    else if ('problem' in address) problems.push({ where: `${where}.url`, message: address.problem });
    else if (project !== undefined && (typeof project !== 'string' || project === ''))
      problems.push({ where: `${where}.project`, message: 'must be the name of a project' });
    else contexts.push({ name, url: address.url, project: project ?? 'default', from: 'settings' });
  }
  return { contexts, problems };
}

/** The data folder of a local `npm run up`: LANDFALL_DATA_DIR, else `.landfall` in a folder that is open or above it. */
export function localContext(folders: readonly string[], env: NodeJS.ProcessEnv): Context | undefined {
  const candidates = env.LANDFALL_DATA_DIR
    ? [resolve(folders[0] ?? '.', env.LANDFALL_DATA_DIR)]
    : folders.flatMap((folder) => withParents(folder).map((each) => join(each, '.landfall')));
  for (const dataFolder of candidates) {
    const url = localUrl(dataFolder);
    if (url !== undefined) return { name: localName, url, project: 'default', from: 'local', dataFolder };
  }
  return undefined;
}

/** Read afresh each time: a new data folder has a new token. Undefined where the broker has never been up. */
export function localToken(dataFolder: string): string | undefined {
  return readText(join(dataFolder, 'admin.token'))?.trim() || undefined;
}

/** The command line's contexts; a file that cannot be read is a problem, none at all is not. */
export function contextsOfCli(env: NodeJS.ProcessEnv): {
  contexts: CliContext[];
  problems: ContextProblem[];
} {
  const folder =
    env.LANDFALL_CONFIG_DIR ??
    join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'landfall');
  const file = join(folder, 'config.json');
  const contexts: CliContext[] = [];
  const problems: ContextProblem[] = [];
  try {
    const text = readText(file);
    const content = text === undefined ? {} : (JSON.parse(text) as { contexts?: Record<string, unknown> });
    for (const [name, entry] of Object.entries(content.contexts ?? {})) {
      const { url, token, project } = entry as Record<string, unknown>;
      const address = brokerUrl(url);
      if ('problem' in address) problems.push({ where: `${file}: ${name}`, message: address.problem });
      else if (typeof token === 'string')
        contexts.push({
          context: {
            name,
            url: address.url,
            project: typeof project === 'string' ? project : 'default',
            from: 'cli',
          },
          token,
        });
    }
  } catch (cause) {
    problems.push({ where: file, message: (cause as Error).message });
  }
  return { contexts, problems };
}

function withParents(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...withParents(parent)];
}

/** The living supervisor's record knows the address best; the kept state has the last one. */
function localUrl(folder: string): string | undefined {
  for (const name of ['supervisor.json', 'state.json']) {
    const text = readText(join(folder, name));
    if (text === undefined) continue;
    let content: { url?: unknown; ports?: { broker?: unknown } } | null;
    try {
      content = JSON.parse(text);
    } catch {
      continue; // being written now: the other one has an address, or the next look finds this one whole
    }
    const address = brokerUrl(content?.url);
    if ('url' in address) return address.url;
    if (typeof content?.ports?.broker === 'number') return `http://127.0.0.1:${content.ports.broker}`;
  }
  return undefined;
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw cause;
  }
}
