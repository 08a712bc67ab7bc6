import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Catalogue, importSkyPilotCsv, type SourceRows } from '@landfall/policies';

const providers = ['aws', 'azure', 'gcp'] as const;
/** The files are looked at again after this long. */
const lookAgainMs = 10_000;

interface Read {
  /** Modification time and size: another one is read anew. */
  mark: string;
  source: SourceRows | null;
}

/**
 * Price files of the user's own in SkyPilot's columns: `<data folder>/catalogue/aws.csv`, `azure.csv`, `gcp.csv`. Their prices
 * replace the snapshot's for the same offer. Rows that cannot be read for certain are left out and counted in a notice; of
 * a file with no row to use, what was read before stays in force.
 */
export class CatalogueFiles {
  private readonly folder: string;
  private readonly read = new Map<string, Read>();
  private lookedAt = Number.NEGATIVE_INFINITY;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** The files' prices, and a mark that changes when they do. Cheap while nothing changed. */
  look(now = Date.now()): { mark: string; sources: SourceRows[] } {
    if (now - this.lookedAt >= lookAgainMs) {
      this.lookedAt = now;
      for (const provider of providers) this.lookAt(provider);
    }
    return {
      mark: [...this.read].map(([provider, { mark }]) => `${provider}@${mark}`).join(),
      sources: [...this.read.values()].flatMap(({ source }) => source ?? []),
    };
  }

  private lookAt(provider: (typeof providers)[number]): void {
    const path = join(this.folder, `${provider}.csv`);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) {
      this.read.delete(provider);
      return;
    }
    const mark = `${stat.mtimeMs}/${stat.size}`;
    const known = this.read.get(provider);
    if (known?.mark === mark) return;
    const date = stat.mtime.toISOString().slice(0, 10);
    const { rows, rejected } = importSkyPilotCsv(readFileSync(path, 'utf8'), {
      provider,
      file: path,
      date,
      source: path,
    });
    const name = `catalogue/${provider}.csv`;
    const [first] = rejected;
    const left =
      first && `${rejected.length} rows left out, the first on line ${first.line}: ${first.reason}`;
    const source =
      rows.length > 0
        ? { name, date, rows, ...(left ? { notice: left } : {}) }
        : known?.source
          ? {
              ...known.source,
              notice: `${name} changed and has no row to use (${left ?? 'it is empty'}); the prices read before stay`,
            }
          : { name, date, rows: [], notice: `${name} has no row to use: ${left ?? 'it is empty'}` };
    this.read.set(provider, { mark, source });
  }
}

/** A catalogue as a source among others, its notices kept. */
export function listPrices(prices: Catalogue): SourceRows {
  const notices = [...new Set(prices.sources.flatMap((source) => source.notice ?? []))];
  return {
    name: 'list prices',
    date: prices.date,
    rows: [...prices.rows()],
    ...(notices.length > 0 ? { notice: notices.join('; ') } : {}),
  };
}
