import { Catalogue, importSkyPilotCsv } from '@landfall/policies';
import {
  createPriceRefresh,
  deletePriceList,
  getPriceList,
  importPriceList,
  listCatalogues,
  listPriceLists,
  type NewPriceList,
} from '@landfall/store';
import { catalogueInForce, packCatalogue } from '@landfall/workflows/placement.ts';
import type { Handlers } from '../handler.ts';
import { Problem } from '../problems.ts';
import { accepted } from './instances.ts';

/** Refreshes call their lists so. */
const liveName = /^live-/;

interface Import {
  provider: 'aws' | 'azure' | 'gcp';
  csv: string;
  date?: string;
  skipBad?: boolean;
}

/** The list that an import would put in force. Throws for rows that cannot be used, unless they are to be left out. */
function readImport(organization: string, name: string, body: Import): NewPriceList {
  if (liveName.test(name)) {
    const message = `is '${name}': names that start with live- are for prices read from the providers`;
    throw new Problem('unprocessable', `The name ${message}.`, { errors: [{ pointer: '', message }] });
  }
  const { provider, csv, date = new Date().toISOString().slice(0, 10), skipBad = false } = body;
  const { rows, rejected } = importSkyPilotCsv(csv, { provider, file: name, date, source: name });
  if (rows.length === 0 || (rejected.length > 0 && !skipBad)) {
    const [first] = rejected;
    const why = first
      ? `${rejected.length} rows cannot be used, the first on line ${first.line}: ${first.reason}`
      : 'the file has no rows';
    const hint = rows.length === 0 ? '' : ` Correct them, or leave them out with skipBad.`;
    throw new Problem('unprocessable', `Nothing was imported: ${why}.${hint}`, {
      errors: (rejected.length > 0 ? rejected : [{ line: 1, reason: 'the file has no rows' }])
        .slice(0, 50)
        .map(({ line, reason }) => ({ pointer: '/csv', message: `line ${line}: ${reason}` })),
    });
  }
  return {
    organization,
    name,
    provider,
    origin: 'import',
    date,
    offers: rows.length,
    leftOut: summed(rejected),
    content: packCatalogue(Catalogue.fromRows(rows, { name, date })),
  };
}

/** How many rows were left out for each reason, the figures in it aside; the commonest fifty. */
function summed(rejected: { reason: string }[]): NewPriceList['leftOut'] {
  const counts = new Map<string, number>();
  for (const { reason } of rejected) {
    const kind = /already on line/.test(reason) ? 'given twice' : reason.replace(/-?\d[\d.e+]*/g, '…');
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts]
    .map(([reason, count]) => ({ reason, count }))
    .sort((a, b) => b.count - a.count)
    .slice(0, 50);
}

export const catalogueHandlers = {
  async listCatalogues({ principal, query }, { db }) {
    const { version, date, sources } = await catalogueInForce(db, principal.organization);
    const page = await listCatalogues(db, principal.organization, query);
    return { status: 200, body: { ...page, inForce: { version, date, sources } } };
  },
  async startCatalogueRefresh({ body, query, requester }, { db }) {
    if (query.validateOnly) return { status: 204 };
    const { providers, regions = [] } = body;
    return accepted(await createPriceRefresh(db, requester, { providers, regions }));
  },
  async listPriceLists({ principal, query }, { db }) {
    return { status: 200, body: await listPriceLists(db, principal.organization, query) };
  },
  async getPriceList({ principal, params }, { db }) {
    return { status: 200, body: await getPriceList(db, principal.organization, params.priceList) };
  },
  async importPriceList({ principal, params, body, query, ifMatch, requester }, { db }) {
    const list = readImport(principal.organization, params.priceList, body);
    const put = await importPriceList(db, list, ifMatch, requester, query.validateOnly);
    return { status: put.created ? 201 : 200, body: put.priceList };
  },
  async deletePriceList({ principal, params, query, ifMatch, requester }, { db }) {
    await deletePriceList(
      db,
      principal.organization,
      params.priceList,
      ifMatch!,
      requester,
      query.validateOnly,
    );
    return { status: 204 };
  },
} satisfies Partial<Handlers>;
