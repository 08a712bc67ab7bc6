/** `landfall catalogue list`, `refresh`, `import`, `remove`: the prices in force and where they come from. */
import { readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { Schemas } from '@landfall/model';
import { age, count, counted } from '@landfall/model/quantities.ts';
import { answer, body, bodyIfFound, idempotencyKey, pages } from '../connection/broker.ts';
import { exitCodes, ProblemError, usageError } from '../errors.ts';
import { printable } from '../output/colours.ts';
import { type Column, renderTable } from '../output/table.ts';
import type { Session } from '../session.ts';
import { operationExitCode, operationSubject, waitForOperations } from '../waiting.ts';
import { parseTimeout } from './operation.ts';

type PriceList = Schemas['PriceList'];
type Source = NonNullable<Schemas['CatalogueVersion']['sources']>[number];
type Provider = 'aws' | 'azure' | 'gcp';

const providers = ['aws', 'azure', 'gcp'];

/** Whose prices, as a flag or argument says it. */
export function providerOf(word: string, what: string): Provider {
  if (!providers.includes(word))
    throw usageError(`${what} ${word} is none of ${providers.join(', ')}.`, 'Name whose prices they are.');
  return word as Provider;
}

const sourceColumns: Column<Source>[] = [
  { header: 'SOURCE', cell: (source) => source.name },
  { header: 'DATE', cell: (source) => source.date },
  { header: 'OFFERS', align: 'right', cell: (source) => count(source.offers ?? 0) },
  { header: 'NOTICE', cell: (source) => source.notice },
];

const listColumns: Column<PriceList>[] = [
  { header: 'PRICE LIST', cell: (list) => list.name },
  { header: 'PROVIDER', cell: (list) => list.provider },
  { header: 'FROM', cell: (list) => (list.origin === 'live' ? 'price API' : 'import') },
  { header: 'DATE', cell: (list) => list.date },
  { header: 'OFFERS', align: 'right', cell: (list) => count(list.offers) },
  { header: 'LEFT OUT', align: 'right', cell: (list) => count(leftOut(list)) },
  {
    header: 'LAST REFRESH',
    cell: (list, now) =>
      list.failure
        ? `failed ${age(list.failure.at, now)} ago: ${list.failure.message}`
        : `${age(list.updatedAt, now)} ago`,
  },
];

function leftOut(list: PriceList): number {
  return list.leftOut.reduce((sum, { count: rows }) => sum + rows, 0);
}

/** The catalogue in force, its sources, and the price lists with how their last refresh went. */
export async function listCatalogue(session: Session): Promise<number> {
  const { client } = session.broker;
  const [{ inForce, items }, priceLists] = await Promise.all([
    body(client.GET('/v1/catalogues', { params: { query: { pageSize: 20 } } })),
    pages((query) => body(client.GET('/v1/priceLists', { params: { query } }))),
  ]);
  if (session.structured) {
    session.outStructured({ inForce, priceLists, kept: items });
    return exitCodes.ok;
  }
  session.out(`in force: ${inForce.version}\n`);
  session.out(renderTable(sourceColumns, inForce.sources ?? [], { paint: session.paint }));
  if (priceLists.length > 0)
    session.out(`\n${renderTable(listColumns, priceLists, { paint: session.paint })}`);
  return exitCodes.ok;
}

/** Has the broker read the price APIs, and waits for it. */
export async function refreshCatalogue(
  session: Session,
  words: string[],
  flags: { region?: string[]; timeout?: string },
): Promise<number> {
  const wanted = words.map((word) => providerOf(word, 'The provider'));
  const operation = await body(
    session.broker.client.POST('/v1/catalogueRefreshes', {
      params: { header: idempotencyKey() },
      body: { providers: wanted, ...(flags.region?.length ? { regions: flags.region } : {}) },
    }),
  );
  const [end] = await waitForOperations(
    session,
    [{ subject: operationSubject(operation), operation }],
    parseTimeout(flags.timeout),
  );
  if (session.structured) session.outStructured(end);
  return end ? operationExitCode(end) : exitCodes.failed;
}

/** Imports a price file. Rows that cannot be used refuse all of it, unless they are to be left out. */
export async function importPrices(
  session: Session,
  flags: {
    file: string;
    provider: string;
    name?: string;
    date?: string;
    skipBad?: boolean;
    dryRun?: boolean;
  },
): Promise<number> {
  const provider = providerOf(flags.provider, '--provider');
  const csv = readPriceFile(resolve(session.terminal.cwd, flags.file), flags.file);
  const name = flags.name ?? nameOf(flags.file);
  const { client } = session.broker;
  const known = await bodyIfFound(
    client.GET('/v1/priceLists/{priceList}', { params: { path: { priceList: name } } }),
  );
  const list = await body(
    client.PUT('/v1/priceLists/{priceList}', {
      params: {
        path: { priceList: name },
        query: { validateOnly: flags.dryRun ?? false },
        header: known ? { 'If-Match': known.etag } : {},
      },
      body: {
        provider,
        csv,
        ...(flags.date ? { date: flags.date } : {}),
        skipBad: flags.skipBad ?? false,
      },
    }),
  ).catch((error: unknown) => {
    if (error instanceof ProblemError && error.problem.status === 422 && !flags.skipBad)
      session.notice('nothing was imported; --skip-bad leaves out the rows that cannot be used');
    throw error;
  });
  if (session.structured) session.outStructured(list);
  else {
    for (const { reason, count: rows } of list.leftOut)
      session.out(`left out: ${counted(rows, 'row')}: ${printable(reason)}\n`);
    const done = flags.dryRun ? 'would be in force' : 'in force';
    session.out(`pricelist/${list.name}: ${counted(list.offers, 'offer')} ${done}\n`);
  }
  return exitCodes.ok;
}

/** Takes price lists out of force. */
export async function removePrices(session: Session, names: string[]): Promise<number> {
  for (const priceList of names) {
    await answer(
      session.broker.client.DELETE('/v1/priceLists/{priceList}', {
        params: { path: { priceList }, header: { 'If-Match': '*' } },
      }),
    );
    session.notice(`pricelist/${priceList}: out of force`);
  }
  return exitCodes.ok;
}

/** Reads a price file; says which one when it cannot be read. */
export function readPriceFile(path: string, shown: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw usageError(`There is no file ${shown}.`);
    throw usageError(`${shown} cannot be read: ${(error as Error).message}`);
  }
}

/** A list's name from its file's: `prices/AWS 2026.csv` → `aws-2026`. */
function nameOf(file: string): string {
  const name = basename(file)
    .replace(/\.[^.]*$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  if (!/^[a-z]/.test(name))
    throw usageError(`${file} gives no name for the price list.`, 'Name it with --name.');
  return name;
}
