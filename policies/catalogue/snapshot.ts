import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { Catalogue } from './catalogue.ts';
import type { CatalogueRow } from './rows.ts';

/**
 * The shipped file: instance types with their sizes, and per type the price in each region that has one.
 * `generate-snapshot.py` writes it.
 */
interface SnapshotFile {
  sources: { name: string; date: string; notice: string; provider: string }[];
  /** Region names by provider. */
  regions: Record<string, string[]>;
  /** [provider, instance type, vCPUs, GiB, architecture, GPU name or '', GPU count, burstable 0|1, prices]. */
  types: [string, string, number, number, string, string, number, number, [number, number][]][];
}

let loaded: Catalogue | undefined;

/** The catalogue that ships with Landfall: AWS, Azure and GCP on-demand list prices of March 2025. Read once. */
export function loadSnapshot(): Catalogue {
  loaded ??= readSnapshot(readFileSync(new URL('./snapshot/catalogue.json.gz', import.meta.url)));
  return loaded;
}

/** Reads a snapshot file's bytes. */
export function readSnapshot(bytes: Uint8Array): Catalogue {
  const file = JSON.parse(gunzipSync(bytes).toString('utf8')) as SnapshotFile;
  const rows = new Map<string, CatalogueRow[]>();
  for (const [
    provider,
    instanceType,
    vcpus,
    memoryGiB,
    architecture,
    gpuName,
    gpuCount,
    burstable,
    prices,
  ] of file.types) {
    const list = rows.get(provider) ?? [];
    rows.set(provider, list);
    for (const [region, pricePerHour] of prices)
      list.push({
        provider,
        region: file.regions[provider]![region]!,
        zone: null,
        instanceType,
        market: 'onDemand',
        vcpus,
        memoryGiB,
        architecture,
        gpuName: gpuName === '' ? null : gpuName,
        gpuCount,
        burstable: burstable === 1,
        pricePerHour,
      });
  }
  return Catalogue.merge(
    file.sources.map(({ provider, ...source }) => ({ ...source, rows: rows.get(provider) ?? [] })),
  );
}
