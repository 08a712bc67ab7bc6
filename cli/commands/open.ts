/** `landfall open`: a resource in the cloud's own web console. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Site } from '@landfall/model';
import { type Placed, webConsole } from '@landfall/model/web-console.ts';
import { CommandError, usageError } from '../errors.ts';
import { type Kind, kindNamed, notFound } from '../kinds.ts';
import type { Session } from '../session.ts';
import { kindAndNames } from './get.ts';

/**
 * Prints the page's address, and shows it in the browser where that is asked for.
 * @throws CommandError with the reason where there is no such page.
 */
export async function open(
  session: Session,
  kindWord: string,
  given: string | undefined,
  flags: { browser?: boolean },
): Promise<number> {
  const [kind, [name]] = kindAndNames(kindWord, given === undefined ? [] : [given]);
  if (name === undefined) throw usageError(`Which ${kind.singular}?`);
  const { broker } = session;
  const found = (await kind.get?.(broker, name)) as (Placed & { status: { site?: string } }) | undefined;
  if (found === undefined) throw notFound(kind, name, broker);
  const subject = `${kind.singular}/${name}`;
  const site = found.status?.site;
  if (site === undefined) throw new CommandError(`${subject} is at no site.`);
  const sites = kindNamed('site') as Kind<unknown>;
  const at = (await sites.get!(broker, site)) as Site | undefined;
  if (at === undefined) throw notFound(sites, site, broker);
  const { url, reason } = webConsole(found, at);
  if (url === undefined) throw new CommandError(`${subject} cannot be shown: ${reason}.`);
  if (session.structured) session.outStructured({ url });
  else session.out(`${url}\n`);
  if (flags.browser) await browse(url, session.terminal.env);
  return 0;
}

/** What shows an address in the browser, by platform; none of them is a shell. */
const openers: Partial<Record<NodeJS.Platform, [string, ...string[]]>> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
};

async function browse(url: string, env: NodeJS.ProcessEnv): Promise<void> {
  const [program, ...args] = openers[process.platform] ?? ['xdg-open'];
  const opener = spawn(program, [...args, url], { stdio: 'ignore', detached: true, env });
  try {
    await once(opener, 'spawn');
  } catch (cause) {
    throw new CommandError(`No browser could be opened: there is no ${program}.`, {
      hint: 'Open the address above yourself.',
      cause,
    });
  }
  opener.unref();
}
