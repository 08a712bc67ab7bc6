import { invalidRow } from './catalogue.ts';
import { readCsv } from './csv.ts';
import { architectureOf, burstableOf } from './instance-types.ts';
import type { CatalogueRow } from './rows.ts';

/** Where a file comes from. */
export interface SkyPilotSource {
  provider: string;
  /** Name of the file, for messages. */
  file: string;
  /** ISO date of its prices. */
  date: string;
  /** Name the catalogue's sources list it under. */
  source: string;
}

/** What a file gave. `line` counts from 1, the header being line 1. */
export interface SkyPilotImport {
  rows: CatalogueRow[];
  /** Everything left out, with the reason; a row with a good price and a bad spot price gives one of each. */
  rejected: { line: number; reason: string }[];
}

const NEEDED = ['InstanceType', 'vCPUs', 'MemoryGiB', 'Price', 'Region'];
const KNOWN = new Set([
  ...NEEDED,
  'AcceleratorName',
  'AcceleratorCount',
  'GpuInfo',
  'SpotPrice',
  'AvailabilityZone',
  'Arch',
  'Currency',
  'InterruptionRate',
]);
const ARCHITECTURES: Record<string, string> = {
  x86_64: 'x86_64',
  amd64: 'x86_64',
  arm64: 'arm64',
  aarch64: 'arm64',
};

/** A file may be this many characters. */
const MAX_CHARACTERS = 200_000_000;

/**
 * Reads a catalogue file in SkyPilot's columns (https://github.com/skypilot-org/skypilot-catalog). A row that
 * cannot be read for certain is left out and reported, never completed: no vCPUs, no memory, a price that is
 * no number, another currency than USD. Each priced market of a row is an offer of its own. Beside SkyPilot's columns
 * there may be `Arch`, `Currency` and `InterruptionRate` (a fraction a month, for the spot price). Never throws for bad
 * input.
 */
export function importSkyPilotCsv(text: string, source: SkyPilotSource): SkyPilotImport {
  const rejected: SkyPilotImport['rejected'] = [];
  if (text.length > MAX_CHARACTERS)
    return { rows: [], rejected: [{ line: 1, reason: `longer than ${MAX_CHARACTERS} characters` }] };
  const table = readCsv(text);
  const header = table.next();
  const columns = header.done ? [] : header.value.fields.map((f) => f.trim());
  const wrong = headerProblem(columns);
  if (wrong !== null) return { rows: [], rejected: [{ line: 1, reason: wrong }] };
  const at = new Map(columns.map((name, i) => [name, i]));
  const rows: CatalogueRow[] = [];
  const seen = new Map<string, number>();
  for (const { line, fields, problem } of table) {
    if (problem !== null) {
      rejected.push({ line, reason: problem });
      continue;
    }
    if (fields.length !== columns.length) {
      rejected.push({ line, reason: `${fields.length} fields where the header has ${columns.length}` });
      continue;
    }
    const cell = (name: string): string => fields[at.get(name) ?? -1]?.trim() ?? '';
    const made = rowsOf(cell, source.provider);
    for (const reason of made.reasons) rejected.push({ line, reason });
    for (const row of made.rows) {
      const key = [row.region, row.zone, row.instanceType, row.market].join('\0');
      const first = seen.get(key);
      if (first !== undefined) {
        rejected.push({
          line,
          reason: `${row.market} price of ${row.instanceType} in ${row.zone ?? row.region} is already on line ${first}`,
        });
        continue;
      }
      seen.set(key, line);
      rows.push(row);
    }
  }
  return { rows, rejected };
}

function headerProblem(columns: string[]): string | null {
  const missing = NEEDED.filter((name) => !columns.includes(name));
  if (missing.length > 0) return `the header lacks ${missing.join(', ')}`;
  const twice = columns.find((name, i) => KNOWN.has(name) && columns.indexOf(name) !== i);
  return twice === undefined ? null : `the header has ${twice} twice`;
}

function rowsOf(
  cell: (name: string) => string,
  provider: string,
): { rows: CatalogueRow[]; reasons: string[] } {
  const instanceType = cell('InstanceType');
  for (const name of ['InstanceType', 'Region', 'vCPUs', 'MemoryGiB'])
    if (cell(name) === '') return { rows: [], reasons: [`no ${name}`] };
  const arch = cell('Arch');
  const architecture = arch === '' ? architectureOf(provider, instanceType) : ARCHITECTURES[arch];
  if (architecture === undefined) return { rows: [], reasons: [`unknown Arch '${arch}'`] };
  const currency = cell('Currency');
  if (currency !== '' && currency !== 'USD') return { rows: [], reasons: [`prices in ${currency}, not USD`] };
  const gpuName = cell('AcceleratorName') || null;
  const gpuCount =
    cell('AcceleratorCount') === '' ? (gpuName === null ? 0 : NaN) : decimal(cell('AcceleratorCount'));
  const shared = {
    provider,
    region: cell('Region'),
    zone: cell('AvailabilityZone') || null,
    instanceType,
    vcpus: decimal(cell('vCPUs')),
    memoryGiB: decimal(cell('MemoryGiB')),
    architecture,
    gpuName,
    gpuCount,
    burstable: burstableOf(provider, instanceType),
  };
  const rows: CatalogueRow[] = [];
  const reasons: string[] = [];
  for (const [market, column] of [
    ['onDemand', 'Price'],
    ['spot', 'SpotPrice'],
  ] as const) {
    const text = cell(column);
    if (text === '') continue;
    const rate = market === 'spot' ? cell('InterruptionRate') : '';
    const row: CatalogueRow = {
      ...shared,
      market,
      pricePerHour: decimal(text),
      ...(rate === '' ? {} : { interruptionRate: decimal(rate) }),
    };
    // A price of exactly 0 is how these files say "none"; nobody gives machines away.
    const reason = row.pricePerHour === 0 ? `${column} is 0` : invalidRow(row);
    if (reason === null) rows.push(row);
    else if (!reasons.includes(reason)) reasons.push(reason);
  }
  if (rows.length === 0 && reasons.length === 0) reasons.push('neither Price nor SpotPrice');
  return { rows, reasons };
}

/** A decimal number as files write it; anything else is NaN (`Number('')` would be 0, `Number('0x1')` 1). */
function decimal(text: string): number {
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Number(text) : NaN;
}
