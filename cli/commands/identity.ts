/** `landfall login`, `whoami`, `context` and `token`. */
import { rmSync } from 'node:fs';
import type { Role, Schemas } from '@landfall/model';
import { body, connect, idempotencyKey } from '../connection/broker.ts';
import { defaultUrl } from '../connection/connection.ts';
import { brokerUrl, namedContext, readContexts, writeContexts } from '../connection/contexts.ts';
import { CommandError, exitCodes, usageError } from '../errors.ts';
import { notFound, tokenKind } from '../kinds.ts';
import { type Column, renderFields, renderTable } from '../output/table.ts';
import { ask } from '../prompt.ts';
import type { Session } from '../session.ts';
import { knownHostsFile } from './ssh.ts';

/** Asks for what the flags do not say, checks it, and saves it as a context. */
export async function login(
  session: Session,
  givenUrl: string | undefined,
  flags: { name?: string },
): Promise<number> {
  const { terminal } = session;
  const asking = terminal.stdin.isTTY === true;
  const fallback = terminal.env.LANDFALL_URL ?? defaultUrl;
  const url = brokerUrl(
    givenUrl ??
      session.flags.url ??
      ((asking && (await ask(session, `URL [${fallback}]: `, false))) || fallback),
  );
  const given = session.flags.token ?? terminal.env.LANDFALL_TOKEN;
  const token = given || (asking ? await ask(session, 'Token: ', true) : await readLine(session));
  if (token === '')
    throw usageError('No token given.', 'Give it with --token, on standard input, or at the prompt.');
  if (/\s/.test(token)) throw usageError('A token has no spaces and no line breaks.');
  const { hostname, protocol } = new URL(url);
  if (protocol === 'http:' && !/^(127\.|localhost$|\[::1\]$)/.test(hostname)) {
    session.notice(`Warning: ${url} is not https: whoever is on the way can read the token.`);
  }
  const connection = { url, token, project: session.flags.project ?? 'default', source: 'flags' as const };
  const principal = await body(connect(connection, terminal.interrupted).client.GET('/v1/whoami'));
  const contexts = readContexts(terminal.env);
  const name =
    flags.name ??
    session.flags.context ??
    (/^(127\.|localhost$|\[::1\]$)/.test(hostname) ? 'local' : hostname);
  const project = session.flags.project ?? principal.project ?? undefined;
  contexts.contexts[name] = { url, token, ...(project ? { project } : {}) };
  contexts.current = name;
  writeContexts(terminal.env, contexts);
  session.out(
    `Logged in to ${url} as ${principal.name} (${principal.role} of ${principal.organization}); context "${name}" is current.\n`,
  );
  return exitCodes.ok;
}

async function readLine(session: Session): Promise<string> {
  let text = '';
  for await (const chunk of session.terminal.stdin) {
    text += String(chunk);
    if (text.length > 65536) throw usageError('Standard input is too long to be a token.');
  }
  return text.trim();
}

/** Who the token is. */
export async function whoami(session: Session): Promise<number> {
  const { broker } = session;
  const principal = await body(broker.client.GET('/v1/whoami'));
  if (session.structured) {
    session.outStructured(principal);
    return exitCodes.ok;
  }
  const { source } = broker.connection;
  session.out(
    renderFields(
      [
        ['Name', principal.name],
        ['Role', principal.role],
        ['Organization', principal.organization],
        ['Project', principal.project],
        ['Site', principal.site],
        ['Expires', principal.expiresAt],
        ['Broker', broker.connection.url],
        [
          'From',
          typeof source === 'object'
            ? `context ${source.context}`
            : source === 'local'
              ? 'a local `npm run up`'
              : source,
        ],
      ],
      session.paint,
      '',
    ),
  );
  return exitCodes.ok;
}

interface ContextRow {
  name: string;
  current: boolean;
  url: string;
  project: string | undefined;
}

const contextColumns: Column<ContextRow>[] = [
  { header: 'CURRENT', cell: (row) => (row.current ? '*' : ' ') },
  { header: 'NAME', cell: (row) => row.name },
  { header: 'URL', cell: (row) => row.url },
  { header: 'PROJECT', cell: (row) => row.project ?? 'default' },
];

/** The saved contexts; never their tokens. */
export async function listContexts(session: Session): Promise<number> {
  const { current, contexts } = readContexts(session.terminal.env);
  const rows = Object.entries(contexts).map(([name, { url, project }]) => ({
    name,
    current: name === current,
    url,
    project,
  }));
  if (session.structured) session.outStructured({ items: rows });
  else if (session.format === 'name') session.out(rows.map((row) => `${row.name}\n`).join(''));
  else if (rows.length > 0) session.out(renderTable(contextColumns, rows, { paint: session.paint }));
  else session.notice('No contexts yet: `landfall login` makes one.');
  return exitCodes.ok;
}

/** One context, the current one when none is named; never its token. */
export async function showContext(session: Session, name: string | undefined): Promise<number> {
  const contexts = readContexts(session.terminal.env);
  const shown = name ?? contexts.current;
  if (shown === undefined)
    throw new CommandError('No context is current.', {
      exitCode: exitCodes.notFound,
      hint: 'Run `landfall login`.',
    });
  const { url, project } = namedContext(contexts, shown);
  const row = { name: shown, current: shown === contexts.current, url, project };
  if (session.structured) session.outStructured(row);
  else session.out(renderTable(contextColumns, [row], { paint: session.paint }));
  return exitCodes.ok;
}

/** Makes a context the current one; `--project` changes its project too. */
export async function useContext(session: Session, name: string): Promise<number> {
  const { env } = session.terminal;
  const contexts = readContexts(env);
  const context = namedContext(contexts, name);
  if (session.flags.project) context.project = session.flags.project;
  writeContexts(env, { ...contexts, current: name });
  session.out(`Context "${name}" is current: ${context.url}, project ${context.project ?? 'default'}.\n`);
  return exitCodes.ok;
}

/** Forgets a context with its token and its known hosts. */
export async function deleteContext(session: Session, name: string): Promise<number> {
  const { env } = session.terminal;
  const contexts = readContexts(env);
  namedContext(contexts, name);
  delete contexts.contexts[name];
  if (contexts.current === name) contexts.current = undefined;
  writeContexts(env, contexts);
  rmSync(knownHostsFile(env, { context: name }), { force: true });
  session.out(`Context "${name}" is forgotten; its token is still valid (\`landfall token revoke\`).\n`);
  return exitCodes.ok;
}

/** Flags of `token create`. */
export interface TokenFlags {
  role: string;
  site?: string;
  expiresIn?: string;
  organization?: string;
}

/** Creates a token. Its secret, and nothing else, goes to standard output. */
export async function createToken(session: Session, name: string, flags: TokenFlags): Promise<number> {
  const input: Schemas['TokenInput'] = {
    name,
    role: flags.role as Role,
    // The default project is where resources go, and no reason to narrow a token.
    ...(session.flags.project ? { project: session.flags.project } : {}),
    ...(flags.site ? { site: flags.site } : {}),
    ...(flags.expiresIn ? { expiresIn: flags.expiresIn } : {}),
    ...(flags.organization ? { organization: flags.organization } : {}),
  };
  const token = await body(
    session.broker.client.POST('/v1/tokens', { params: { header: idempotencyKey() }, body: input }),
  );
  if (session.structured) {
    session.outStructured(token);
    return exitCodes.ok;
  }
  session.notice(
    `Token ${token.name} (${token.role}, id ${token.id}). This is its secret; it is not shown again:`,
  );
  session.out(`${(token as Schemas['CreatedToken']).secret}\n`);
  return exitCodes.ok;
}

/** Revokes tokens by id or name. */
export async function revokeTokens(session: Session, names: string[]): Promise<number> {
  for (const name of names) {
    if (!(await tokenKind.remove!(session.broker, name, false)))
      throw notFound(tokenKind, name, session.broker);
    session.out(`token/${name} revoked\n`);
  }
  return exitCodes.ok;
}
