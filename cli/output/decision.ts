/** A placement decision for a reader: the answer first, then why. */
import type { Decision, Offer } from '@landfall/model';
import { count, gib, number, pricePerHour, pricePerMonth } from '@landfall/model/quantities.ts';
import { type Paint, plainPaint, printable } from './colours.ts';
import { changeLines, conditionLines, openingLine, preferenceLines, whyNotCheaper } from './explanation.ts';
import { offerPlace } from './places.ts';
import { type Column, renderTable } from './table.ts';

const alternativeColumns: Column<{ offer: Offer; winner: Offer }>[] = [
  { header: 'PROVIDER', cell: ({ offer }) => offer.provider },
  { header: 'SITE', cell: ({ offer }) => offer.site },
  { header: 'REGION', cell: ({ offer }) => offer.region },
  { header: 'TYPE', cell: ({ offer }) => offer.instanceType },
  { header: 'VCPUS', align: 'right', cell: ({ offer }) => number(offer.vcpus) },
  { header: 'MEMORY', align: 'right', cell: ({ offer }) => gib(offer.memoryGiB) },
  {
    header: 'PRICE/H',
    align: 'right',
    cell: ({ offer }) => pricePerHour(offer.pricePerHour, offer.currency),
  },
  {
    header: 'PRICE/MONTH',
    align: 'right',
    cell: ({ offer }) => pricePerMonth(offer.pricePerMonth, offer.currency),
  },
  {
    header: 'MORE',
    align: 'right',
    cell: ({ offer, winner }) =>
      winner.pricePerHour > 0 && offer.pricePerHour !== winner.pricePerHour
        ? signedPercent(offer.pricePerHour / winner.pricePerHour - 1)
        : undefined,
  },
  { header: 'ZONE', wide: true, cell: ({ offer }) => offer.zone },
  { header: 'HOST', wide: true, cell: ({ offer }) => offer.host },
  { header: 'MARKET', wide: true, cell: ({ offer }) => offer.market },
];

/** `+62%`, `−33%`: with a preference in force what is cheaper need not win. */
function signedPercent(share: number): string {
  return `${share < 0 ? '−' : '+'}${Math.round(Math.abs(share) * 100)}%`;
}

/** How a decision is shown. */
export interface DecisionOptions {
  paint?: Paint;
  wide?: boolean;
  /** Everything: the funnel, preferences, changes that save nothing, sources and versions. */
  full?: boolean;
  /** What the decision is about: `instance/web`. */
  subject: string;
}

/** A decision: the answer, what must be known with it, then why, and what would change it. */
export function renderDecision(decision: Decision, options: DecisionOptions): string {
  const { paint = plainPaint, full = false } = options;
  const parts = [
    answerLines(decision, options.subject, paint) + conditionLines(decision, paint),
    reasonLines(decision, paint),
    changeLines(decision, full, paint),
    ruleLines(decision, paint),
    alternatives(decision, options, paint),
    ...(full
      ? [preferenceLines(decision, paint), funnelLines(decision, paint), provenance(decision, paint)]
      : [noticeLines(decision, paint)]),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function answerLines(decision: Decision, subject: string, paint: Paint): string {
  const { winner } = decision;
  if (!winner) {
    const lines = [...decision.reasons.slice(0, saidFirst(decision)), openingLine(decision) ?? ''];
    return (
      `${paint('red', `${subject} fits nowhere:`)} ${count(decision.considered)} offers considered, ${count(decision.compliant)} compliant.\n` +
      lines
        .filter((line) => line !== '')
        .map((line) => `${printable(line)}\n`)
        .join('')
    );
  }
  const gpus = winner.gpuCount ? `, ${number(winner.gpuCount)} ${winner.gpuName ?? 'GPU'}` : '';
  const size = `${number(winner.vcpus)} vCPU, ${gib(winner.memoryGiB)}${gpus}, ${winner.architecture}, ${winner.market}`;
  const price = `${pricePerHour(winner.pricePerHour, winner.currency)} an hour, ${pricePerMonth(winner.pricePerMonth, winner.currency)} a month`;
  const site = winner.site
    ? `site ${winner.site}`
    : 'no site of this provider is configured: add one to create it there';
  const priced = decision.preferences !== undefined;
  return (
    `${subject} lands on ${paint('green', `${offerPlace(winner)}: ${winner.instanceType}`)} (${size})\n` +
    `${paint('bold', price)}; ${printable(site)}\n` +
    `${priced ? 'the best' : 'the cheapest'} of ${count(decision.compliant)} compliant ${decision.compliant === 1 ? 'offer' : 'offers'} (${count(decision.considered)} considered)${whyNotCheaper(decision)}\n`
  );
}

/** How many reasons stand in the answer of a request that fits nowhere. */
function saidFirst(decision: Decision): number {
  return openingLine(decision) === undefined ? 2 : 1;
}

function reasonLines(decision: Decision, paint: Paint): string {
  const notices = noticesOf(decision);
  const reasons = (decision.winner ? decision.reasons : decision.reasons.slice(saidFirst(decision))).filter(
    (reason) => !notices.has(reason),
  );
  if (reasons.length === 0) return '';
  return `${paint('bold', 'Reasons')}\n${reasons.map((reason) => `  ${printable(reason)}\n`).join('')}`;
}

/** What the other providers would cost, and where it goes if the winner refuses. */
function alternatives(decision: Decision, options: DecisionOptions, paint: Paint): string {
  const { winner } = decision;
  if (!winner) return '';
  const table = (title: string, offers: Offer[]) =>
    offers.length === 0
      ? ''
      : `${paint('bold', title)}\n${renderTable(
          alternativeColumns,
          offers.map((offer) => ({ offer, winner })),
          { wide: options.wide, indent: '  ' },
        )}`;
  const providers = decision.cheapestByProvider ?? [];
  return [
    table('Cheapest of each provider', providers.length > 1 ? providers : []),
    table('Next, if it is refused', decision.fallbacks),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

function funnelLines(decision: Decision, paint: Paint): string {
  if (decision.funnel.length === 0) return '';
  const columns: Column<Decision['funnel'][number] & { dropped: number }>[] = [
    { header: 'STAGE', cell: (step) => step.stage },
    { header: 'REMAINING', align: 'right', cell: (step) => count(step.remaining) },
    { header: 'DROPPED', align: 'right', cell: (step) => (step.dropped ? count(step.dropped) : '') },
  ];
  const rows = decision.funnel.map((step, index) => ({
    ...step,
    dropped: (index === 0 ? decision.considered : decision.funnel[index - 1]!.remaining) - step.remaining,
  }));
  return `${paint('bold', 'Funnel')}\n${renderTable(columns, rows, { indent: '  ' })}`;
}

function ruleLines(decision: Decision, paint: Paint): string {
  const telling = decision.rules.filter((rule) => rule.rejected > 0 || (rule.errors ?? 0) > 0);
  if (telling.length === 0) return '';
  const columns: Column<Decision['rules'][number]>[] = [
    { header: 'POLICY/RULE', cell: (rule) => `${rule.policy}/${rule.rule}` },
    { header: 'REJECTED', align: 'right', cell: (rule) => count(rule.rejected) },
    { header: 'ALONE', align: 'right', cell: (rule) => count(rule.rejectedAlone) },
    {
      header: 'WHERE',
      cell: (rule) => (rule.line ? `${rule.file ?? rule.policy}:${rule.line}` : ''),
    },
    { header: 'MODE', cell: (rule) => rule.mode },
    { header: 'EFFECT', wide: true, cell: (rule) => rule.effect },
    {
      header: 'WHY',
      cell: (rule) => [rule.message, rule.errors ? notEvaluated(rule) : ''].filter(Boolean).join('; '),
    },
  ];
  return `${paint('bold', 'Rules that rejected')}\n${renderTable(columns, telling, { indent: '  ' })}`;
}

/** A preference without a value is not met; any other rule refuses, or counts what it would refuse. */
function notEvaluated(rule: Decision['rules'][number]): string {
  const unknown = `${count(rule.errors ?? 0)} because a value that the rule reads is not known there`;
  return rule.effect === 'prefer' ? `not met by ${unknown}` : unknown;
}

/** What the sources of the prices say of themselves; those of one snapshot say the same. */
export function noticesOf({ catalogue }: Pick<Decision, 'catalogue'>): Set<string> {
  return new Set((catalogue.sources ?? []).flatMap((source) => source.notice ?? []));
}

function noticeLines(decision: Decision, paint: Paint, indent = ''): string {
  return [...noticesOf(decision)]
    .map((notice) => `${indent}${paint('yellow', `notice: ${printable(notice)}`)}\n`)
    .join('');
}

function provenance(decision: Decision, paint: Paint): string {
  const { catalogue, certificate, policies } = decision;
  let text = `${paint('bold', 'Made from')}\n  catalogue ${printable(catalogue.version)} of ${printable(catalogue.date)}\n`;
  for (const source of catalogue.sources ?? []) {
    const offers = source.offers === undefined ? '' : `, ${count(source.offers)} offers`;
    text += `    ${printable(source.name)}, ${printable(source.date)}${offers}\n`;
  }
  text += noticeLines(decision, paint, '  ');
  const names = policies.map(
    (policy) => `${policy.name}@${policy.version.replace(/^sha256:/, '').slice(0, 12)}`,
  );
  text += `  policies ${names.length ? printable(names.join(', ')) : 'none in force'}\n`;
  text += `  method ${printable(certificate.method)}, gap ${number(certificate.gap)}\n`;
  return text;
}
