/** `landfall get`: lists and single things, in every format, and as they change. */
import type { Event } from '@landfall/model';
import type { Broker } from '../connection/broker.ts';
import { exitCodes, usageError } from '../errors.ts';
import { watchEvents } from '../event-stream.ts';
import { eventKind, type Kind, kindNamed, notFound } from '../kinds.ts';
import { json, yaml } from '../output/formats.ts';
import { renderTable } from '../output/table.ts';
import type { Session } from '../session.ts';
import { throughRestart } from '../waiting.ts';

/** Flags of `get`. */
export interface GetFlags {
  watch?: boolean;
  filter?: string;
  limit?: string;
}

/** Lists a kind, or shows the named ones. */
export async function get(
  session: Session,
  kindWord: string,
  names: string[],
  flags: GetFlags,
): Promise<number> {
  const [kind, named] = kindAndNames(kindWord, names);
  const { broker } = session;
  const limit = parseLimit(flags.limit) ?? kind.defaultLimit;
  if (flags.watch) return watchKind(session, broker, kind, named, { filter: flags.filter, limit });
  if (named.length > 0) return show(session, kind, await getNamed(broker, kind, named), named.length === 1);
  const items = await kind.list(broker, { filter: flags.filter, limit });
  const code = show(session, kind, items, false);
  if (items.length === 0 && !session.structured && session.format !== 'name') {
    session.notice(flags.filter ? `No ${kind.plural} match.` : (kind.noneListed ?? `No ${kind.plural} yet.`));
  }
  if (limit !== undefined && items.length >= limit && flags.limit === undefined && !session.structured) {
    session.notice(`The first ${limit} are shown; --limit shows more.`);
  }
  return code;
}

/** `instance/first` and `instance first` are the same. */
export function kindAndNames(kindWord: string, names: string[]): [Kind<unknown>, string[]] {
  const slash = kindWord.indexOf('/');
  if (slash < 0) return [kindNamed(kindWord), names];
  return [kindNamed(kindWord.slice(0, slash)), [kindWord.slice(slash + 1), ...names]];
}

/** The number that `--limit` gives. */
export function parseLimit(given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const limit = Number(given);
  if (!Number.isInteger(limit) || limit < 1)
    throw usageError(`--limit must be a whole number above 0, not "${given}".`);
  return limit;
}

/** One thing by name; an error when it is not there. */
export async function getOne(broker: Broker, kind: Kind<unknown>, name: string): Promise<unknown> {
  if (!kind.get)
    throw usageError(
      `${kind.plural} have no names to get one by.`,
      `List them: \`landfall get ${kind.plural}\`, narrowed by --filter.`,
    );
  const item = await kind.get(broker, name);
  if (item === undefined) throw notFound(kind, name, broker);
  return item;
}

async function getNamed(broker: Broker, kind: Kind<unknown>, names: string[]): Promise<unknown[]> {
  const items: unknown[] = [];
  for (const name of names) items.push(await getOne(broker, kind, name));
  return items;
}

/** Prints things in the session's format. */
export function show(session: Session, kind: Kind<unknown>, items: unknown[], single: boolean): number {
  switch (session.format) {
    case 'json':
    case 'yaml':
      session.outStructured(single ? items[0] : { items });
      break;
    case 'name':
      for (const item of items) session.out(`${kind.singular}/${kind.name(item)}\n`);
      break;
    default:
      if (items.length > 0)
        session.out(
          renderTable(kind.columns, items, { wide: session.format === 'wide', paint: session.paint }),
        );
  }
  return exitCodes.ok;
}

/** The list, and then a row whenever one of them changes. Ends with Ctrl-C. */
async function watchKind(
  session: Session,
  broker: Broker,
  kind: Kind<unknown>,
  names: string[],
  narrowing: { filter?: string; limit?: number },
): Promise<number> {
  if (!kind.get && kind !== eventKind) throw usageError(`${kind.plural} cannot be watched.`);
  const widths: number[] = [];
  let header = true;
  const print = (items: unknown[]): void => {
    if (session.format === 'json') for (const item of items) session.out(`${JSON.stringify(item)}\n`);
    else if (session.format === 'yaml') for (const item of items) session.out(`---\n${yaml(item)}`);
    else if (session.format === 'name') show(session, kind, items, false);
    else if (items.length > 0) {
      session.out(
        renderTable(kind.columns, items, {
          wide: session.format === 'wide',
          paint: session.paint,
          header,
          widths,
        }),
      );
      header = false;
    }
  };
  const shown = new Map<string, string>();
  const current = async (): Promise<unknown[]> =>
    names.length > 0 ? getNamed(broker, kind, names) : kind.list(broker, narrowing);
  // The stream is open before the list is read, so that no change falls between the two.
  const stream = watchEvents(session, { filter: kind === eventKind ? narrowing.filter : undefined });
  await stream.opened;
  const first = await current();
  for (const item of first) shown.set(kind.name(item), json(item));
  print(first);
  for await (const event of stream.events) {
    if (kind === eventKind) {
      print([event]);
      continue;
    }
    const name = concerned(kind, event, broker);
    if (name === undefined || (names.length > 0 && !names.includes(name))) continue;
    const item = await throughRestart(session, () => kind.get!(broker, name));
    if (item === undefined) {
      if (shown.delete(name) && !session.structured) session.notice(`${kind.singular}/${name} is gone.`);
      continue;
    }
    const text = json(item);
    // A list with a filter was narrowed by the broker; only it knows whether a new one belongs to it.
    if (shown.get(name) === text || (narrowing.filter && !shown.has(name))) continue;
    shown.set(name, text);
    print([item]);
  }
  return exitCodes.interrupted;
}

/** The name of the thing of this kind that an event is about. */
function concerned(kind: Kind<unknown>, event: Event, broker: Broker): string | undefined {
  if (kind.kind === 'Operation') return event.operation ?? undefined;
  if (kind.kind === 'Approval') return (event.data as { approval?: string } | undefined)?.approval;
  if (kind.kind === 'Violation') return (event.data as { violation?: string } | undefined)?.violation;
  // Another project's instance of the same name is another instance.
  if (event.resource?.project && event.resource.project !== broker.project) return undefined;
  return event.resource?.kind === kind.kind ? event.resource.name : undefined;
}
