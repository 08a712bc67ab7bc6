/** A decision about many machines for a reader: the sum, where each lands, what finds no place and why. */
import type { Schemas } from '@landfall/model';
import { count, counted, gib, number, pricePerHour, pricePerMonth } from '@landfall/model/quantities.ts';
import { type Paint, plainPaint, printable } from './colours.ts';
import { noticesOf } from './decision.ts';
import { offerPlace, providerName } from './places.ts';
import { type Column, renderTable } from './table.ts';

type BatchDecision = Schemas['PlacementBatchDecision'];
type Placement = BatchDecision['placements'][number] & { name: string };

/** A batch as it was asked for, and what was decided. */
export interface PlannedBatch {
  project: string;
  requests: { name: string; count: number }[];
  decision: BatchDecision;
}

/** Conflicts name at most so many requests; the rest is counted. */
const NAMED = 6;

const hours = 730;

const columns: Column<Placement>[] = [
  { header: 'NAME', cell: ({ name }) => name },
  { header: 'COUNT', align: 'right', cell: (placed) => count(placed.count) },
  { header: 'WHERE', cell: ({ offer }) => offerPlace(offer) },
  { header: 'TYPE', cell: ({ offer }) => offer.instanceType },
  {
    header: 'PRICE/H',
    align: 'right',
    cell: ({ offer }) => pricePerHour(offer.pricePerHour, offer.currency),
  },
  {
    header: 'TOTAL/H',
    align: 'right',
    cell: ({ offer, count: machines }) => pricePerHour(offer.pricePerHour * machines, offer.currency),
  },
  {
    header: 'TOTAL/MONTH',
    align: 'right',
    cell: ({ offer, count: machines }) => pricePerMonth(offer.pricePerMonth * machines, offer.currency),
  },
  { header: 'SITE', wide: true, cell: ({ offer }) => offer.site },
  { header: 'VCPUS', wide: true, align: 'right', cell: ({ offer }) => number(offer.vcpus) },
  { header: 'MEMORY', wide: true, align: 'right', cell: ({ offer }) => gib(offer.memoryGiB) },
  { header: 'MARKET', wide: true, cell: ({ offer }) => offer.market },
];

/** The whole of it; with `full` also what is scarce, and what it was made from. */
export function renderBatch(
  batch: PlannedBatch,
  options: { paint?: Paint; wide?: boolean; full?: boolean; title?: string } = {},
): string {
  const { paint = plainPaint, wide, full = false, title } = options;
  const { decision, requests } = batch;
  const placements = decision.placements.map((placed) => ({
    ...placed,
    name: requests[placed.request]!.name,
  }));
  const parts = [
    summary(batch, paint) + noSites(decision),
    placements.length === 0 ? '' : renderTable(columns, placements, { wide, paint }),
    unplacedLines(batch, paint),
    ...(full
      ? [scarceLines(decision, paint), madeFrom(decision, paint)]
      : [noticeLines(decision, paint, '')]),
  ];
  const heading = title === undefined ? '' : `${paint('bold', printable(title))}\n`;
  return heading + parts.filter((part) => part !== '').join('\n');
}

function summary({ requests, decision }: PlannedBatch, paint: Paint): string {
  const wanted = requests.reduce((sum, request) => sum + request.count, 0);
  const without = decision.unplaced.reduce((sum, request) => sum + request.count, 0);
  if (without === wanted)
    return `${paint('red', `${wanted === 1 ? 'The machine fits' : `None of ${counted(wanted, 'machine')} fits`} nowhere.`)}\n`;
  const { currency } = decision;
  const price = `${pricePerHour(decision.pricePerHour, currency)} an hour, ${pricePerMonth(decision.pricePerMonth, currency)} a month`;
  const landed =
    without === 0
      ? paint('green', wanted === 1 ? '1 machine lands' : `All ${counted(wanted, 'machine')} land`)
      : paint('yellow', `${count(wanted - without)} of ${counted(wanted, 'machine')} land`);
  const fewer = without === 0 ? '' : ' for so many';
  return `${landed}: ${paint('bold', price)}; ${gapWords(decision)}${fewer}\n`;
}

/** How far the answer is from the best there can be. The share is rounded up, so that `at most` holds. */
export function gapWords(decision: Pick<BatchDecision, 'scorePerHour' | 'pricePerHour' | 'bound'>): string {
  const { scorePerHour, pricePerHour: price, bound } = decision;
  const preferred = Math.abs(scorePerHour - price) > 1e-9 * Math.max(1, Math.abs(price));
  const best = preferred ? 'the best possible by price and preferences' : 'the cheapest possible';
  const above = scorePerHour - bound;
  if (above <= 1e-9 * Math.max(1, Math.abs(scorePerHour))) return best;
  if (bound <= 0)
    return `at most ${pricePerMonth(Math.ceil(above * hours * 100) / 100)} a month above ${best}`;
  return `at most ${number(Math.ceil((above / bound) * 10_000) / 100)}% above ${best}`;
}

/** Providers that cannot be landed on before they have a site. */
function noSites({ placements }: BatchDecision): string {
  const missing = [
    ...new Set(
      placements.filter(({ offer }) => !offer.site).map(({ offer }) => providerName(offer.provider)),
    ),
  ].sort();
  if (missing.length === 0) return '';
  return `no site of ${missing.join(', ')} is configured: add one to create machines there\n`;
}

function unplacedLines({ requests, decision }: PlannedBatch, paint: Paint): string {
  const { unplaced, conflicts, unplacedBound } = decision;
  if (unplaced.length === 0) return '';
  const without = unplaced.reduce((sum, request) => sum + request.count, 0);
  const sure =
    unplacedBound >= without
      ? ', whatever one does'
      : unplacedBound > 0
        ? `; at least ${count(unplacedBound)} of them, whatever one does`
        : '';
  const columns: Column<(typeof unplaced)[number]>[] = [
    { header: 'NAME', cell: ({ request }) => requests[request]!.name },
    { header: 'COUNT', align: 'right', cell: (request) => count(request.count) },
  ];
  const title = `${counted(without, 'machine')} without a place${sure}`;
  let text = `${paint('red', title)}\n${renderTable(columns, unplaced, { indent: '  ' })}`;
  for (const { requests: of, because, irreducible } of conflicts) {
    const names = of.slice(0, NAMED).map((request) => requests[request]!.name);
    const more = of.length > NAMED ? ` and ${count(of.length - NAMED)} more` : '';
    const held = `no place while ${because.length > 1 ? 'all of this' : 'this'} holds`;
    const proof = irreducible ? held : 'no place; what is full or in reach, not proven to be why';
    text += `${printable(names.join(', '))}${more}: ${proof}\n`;
    text += because.map((reason) => `  ${printable(reason)}\n`).join('');
  }
  return text;
}

function scarceLines({ shadowPrices, currency }: BatchDecision, paint: Paint): string {
  if (shadowPrices.length === 0) return '';
  const columns: Column<(typeof shadowPrices)[number]>[] = [
    { header: 'ONE MORE', cell: ({ unit }) => unit },
    { header: 'OF', cell: ({ words }) => words },
    {
      header: 'SAVES/MONTH',
      align: 'right',
      cell: ({ savesPerMonth }) => pricePerMonth(savesPerMonth, currency),
    },
  ];
  return `${paint('bold', 'What is scarce')}\n${renderTable(columns, shadowPrices, { indent: '  ' })}`;
}

function madeFrom(decision: BatchDecision, paint: Paint): string {
  const { catalogue, policies, classes, options, method } = decision;
  let text = `${paint('bold', 'Made from')}\n  catalogue ${printable(catalogue.version)} of ${printable(catalogue.date)}\n`;
  text += noticeLines(decision, paint, '  ');
  const names = policies.map(
    ({ name, version }) => `${name}@${version.replace(/^sha256:/, '').slice(0, 12)}`,
  );
  text += `  policies ${names.length > 0 ? printable(names.join(', ')) : 'none in force'}\n`;
  text += `  ${counted(classes, 'kind')} of machines, ${counted(options, 'option')}, method ${method}\n`;
  return text;
}

function noticeLines(decision: BatchDecision, paint: Paint, indent: string): string {
  return [...noticesOf(decision), ...decision.notices]
    .map((notice) => `${indent}${paint('yellow', `notice: ${printable(notice)}`)}\n`)
    .join('');
}
