/** Shell completion: the scripts, and the words that they ask for. */
import type { Command } from 'commander';
import { releasable } from './adoption.ts';
import { discoverable, kindOf } from './commands/discover.ts';
import { body, connect } from './connection/broker.ts';
import { type ConnectionFlags, resolveConnection } from './connection/connection.ts';
import { readContexts } from './connection/contexts.ts';
import { CommandError, usageError } from './errors.ts';
import { type Kind, kindNamed, kinds } from './kinds.ts';
import { formats } from './output/formats.ts';
import { suggestion } from './output/suggestion.ts';
import type { Terminal } from './terminal.ts';

const scripts: Record<string, string> = {
  bash: `# landfall completion for bash:  source <(landfall completion bash)
_landfall() {
  local IFS=$'\\n'
  COMPREPLY=($(landfall __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _landfall landfall
`,
  zsh: `#compdef landfall
# landfall completion for zsh:  source <(landfall completion zsh)
_landfall() {
  local -a candidates
  candidates=("\${(@f)$(landfall __complete -- "\${(@)words[2,$CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${candidates[1]}" ]]; then compadd -- "\${candidates[@]}"; else _files; fi
}
compdef _landfall landfall
`,
  fish: `# landfall completion for fish:  landfall completion fish | source
function __landfall_complete
  set -l words (commandline -opc) (commandline -ct)
  landfall __complete -- $words[2..-1] 2>/dev/null
end
complete -c landfall -a '(__landfall_complete)'
`,
};

/** The script of a shell. */
export function completionScript(shell: string): string {
  const script = scripts[shell];
  if (script) return script;
  throw usageError(
    `No completion for "${shell}".`,
    `${suggestion(shell, Object.keys(scripts))}Shells: ${Object.keys(scripts).join(', ')}.`,
  );
}

const foundKinds = discoverable.map((kind) => kind.toLowerCase());

/** Nobody waits longer for the Tab key. */
const patience = 1500;

/** Commands whose first argument is a kind and whose others are names. */
const kindThenNames = new Set([
  'get',
  'describe',
  'delete',
  'explain',
  'start',
  'stop',
  'reboot',
  'resize',
  'replace',
  'release',
  'acknowledge',
  'approve',
  'reject',
]);
const instanceOnly = new Set(['start', 'stop', 'reboot', 'resize', 'replace']);
/** Commands whose arguments are names of one kind. */
const namesOf: Record<string, string> = {
  ssh: 'instance',
  console: 'instance',
  'site get': 'site',
  'site delete': 'site',
  'policy get': 'policy',
  'policy delete': 'policy',
  'token revoke': 'token',
  'operation get': 'operation',
  'operation wait': 'operation',
  'operation cancel': 'operation',
};

/** Words that may stand where the last of `words` is being typed. A Tab is no place for an error: then there are none. */
export async function complete(root: Command, words: string[], terminal: Terminal): Promise<string[]> {
  try {
    return await candidates(root, words, terminal);
  } catch (error) {
    if (error instanceof CommandError) return [];
    throw error;
  }
}

async function candidates(root: Command, words: string[], terminal: Terminal): Promise<string[]> {
  const typed = words.at(-1) ?? '';
  const { command, path, args, pending, flags } = walk(root, words.slice(0, -1));
  const matching = (known: Iterable<string>): string[] =>
    [...new Set(known)].filter((word) => word.startsWith(typed));
  if (pending) {
    const option = command.options.find((known) => known.attributeName() === pending);
    if (path === 'spend' && pending === 'since') return matching(['today', 'month']);
    return matching(option?.argChoices ?? (await optionValues(pending, terminal)));
  }
  if (typed.startsWith('-')) {
    return matching(
      command.options
        .filter((option) => !option.hidden)
        .flatMap((option) => (option.long ? [option.long] : [])),
    );
  }
  const subcommands = command.commands.map((child) => child.name()).filter((name) => !name.startsWith('__'));
  if (subcommands.length > 0) return matching(subcommands);
  const names = async (kind: Kind<unknown>): Promise<string[]> =>
    matching((await resourceNames(kind, flags, terminal)).filter((name) => !args.includes(name)));
  if (kindThenNames.has(path)) {
    if (args[0] !== undefined) return names(kindNamed(args[0]));
    if (instanceOnly.has(path)) return matching(['instance']);
    if (path === 'release') return matching(releasable.map((kind) => kind.toLowerCase()));
    if (path === 'acknowledge') return matching(['violation']);
    if (path === 'approve' || path === 'reject') return matching(['approval']);
    const usable = kinds.filter(
      (kind) =>
        path === 'get' ||
        (path === 'delete' ? kind.remove : path === 'explain' ? kind.singular === 'instance' : kind.get),
    );
    return matching(usable.map((kind) => (path === 'get' ? kind.plural : kind.singular)));
  }
  if (path === 'discover' && args.length === 0) return matching(foundKinds);
  if (path === 'adopt')
    return matching(args[0] === undefined ? foundKinds : await unmanagedReferences(args[0], flags, terminal));
  const kindWord = namesOf[path];
  if (kindWord !== undefined) return path === 'ssh' && args.length > 0 ? [] : names(kindNamed(kindWord));
  if (path === 'context use' || path === 'context show' || path === 'context delete')
    return matching(Object.keys(readContexts(terminal.env).contexts));
  if (path === 'simulate') return matching(['aws', 'azure', 'gcp']);
  if (path === 'completion') return matching(Object.keys(scripts));
  return [];
}

/** Follows the words through the commands; `pending` is an option that still wants its value. */
function walk(root: Command, words: string[]) {
  let command = root;
  let pending: string | undefined;
  const path: string[] = [];
  const args: string[] = [];
  const flags: ConnectionFlags & Record<string, string> = {};
  for (const word of words) {
    if (pending !== undefined) {
      flags[pending] = word;
      pending = undefined;
      continue;
    }
    if (word.startsWith('-') && word !== '-') {
      const name = word.split('=')[0];
      const option = command.options.find((known) => known.short === name || known.long === name);
      if (!option || option.isBoolean()) continue;
      if (word.includes('=')) flags[option.attributeName()] = word.slice(word.indexOf('=') + 1);
      else pending = option.attributeName();
      continue;
    }
    const child =
      args.length === 0
        ? command.commands.find((known) => known.name() === word || known.aliases().includes(word))
        : undefined;
    if (child) {
      command = child;
      path.push(child.name());
    } else args.push(word);
  }
  return { command, path: path.join(' '), args, pending, flags };
}

async function optionValues(option: string, terminal: Terminal): Promise<string[]> {
  if (option === 'output') return [...formats];
  if (option === 'context') return Object.keys(readContexts(terminal.env).contexts);
  if (option === 'role') return ['viewer', 'operator', 'admin', 'agent'];
  if (option === 'site') return resourceNames(kindNamed('site'), {}, terminal);
  if (option === 'kind') return foundKinds;
  if (option === 'project') return resourceNames(kindNamed('project'), {}, terminal);
  return [];
}

/** What can be adopted at the site that is named, when it answers soon. */
async function unmanagedReferences(
  word: string,
  { site, ...flags }: ConnectionFlags & Record<string, string>,
  terminal: Terminal,
): Promise<string[]> {
  if (site === undefined) return [];
  const { client } = connect(resolveConnection(flags, terminal), AbortSignal.timeout(patience));
  const { items } = await body(
    client.GET('/v1/sites/{site}/unmanaged', { params: { path: { site }, query: { kind: kindOf(word) } } }),
  );
  return items.flatMap(({ externalReference, refused }) =>
    refused === undefined ? [externalReference] : [],
  );
}

/** Names from the broker, when it answers soon. */
async function resourceNames(
  kind: Kind<unknown>,
  flags: ConnectionFlags,
  terminal: Terminal,
): Promise<string[]> {
  const broker = connect(resolveConnection(flags, terminal), AbortSignal.timeout(patience));
  return (await kind.list(broker, { limit: 200 })).map((item) => kind.name(item));
}
