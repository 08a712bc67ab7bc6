/** What would change a decision, and what it would save. */
import type { Decision, Offer, Schemas } from '@landfall/model';
import { counted, gib, number, pricePerMonth, signedPerMonth } from '@landfall/model/quantities.ts';
import { type Paint, printable } from './colours.ts';
import { offerPlace } from './places.ts';
import { type Column, renderTable } from './table.ts';

type Explanation = Schemas['Explanation'];

/** One change, and the offer that would win with it. */
interface Change {
  change: string;
  where?: string;
  offer: Offer;
  /** USD a month; null where nothing is placed now. */
  saving: number | null;
}

/** Changes that the short form names. */
const SHORT = 5;
/** Savings below half a cent would be shown as none. */
const CENT = 0.005;

const ruleName = ({ policy, rule }: { policy: string; rule: string }): string => `${policy}/${rule}`;
const placeOf = ({ file, line }: { file: string; line: number }): string => `${file}:${line}`;

/** A table of what would change the answer: the largest saving first, those that save nothing with `full` only. */
export function changeLines(decision: Decision, full: boolean, paint: Paint): string {
  const { explanation, winner } = decision;
  if (!explanation) return '';
  const all = winner ? improvements(explanation) : openings(explanation);
  const telling = full ? all : all.filter(({ saving }) => saving === null || saving >= CENT).slice(0, SHORT);
  if (telling.length === 0) return '';
  const columns: Column<Change>[] = [
    { header: winner ? 'IF' : 'CHANGE', cell: ({ change }) => change },
    { header: 'WHERE', cell: ({ where }) => where },
    { header: 'LANDS ON', cell: ({ offer }) => `${offerPlace(offer)} ${offer.instanceType}` },
    {
      header: 'PRICE/MONTH',
      align: 'right',
      cell: ({ offer }) => pricePerMonth(offer.pricePerMonth, offer.currency),
    },
    ...(winner
      ? [
          {
            header: 'SAVES/MONTH',
            align: 'right' as const,
            cell: ({ saving, offer }: Change) =>
              saving === null ? undefined : signedPerMonth(saving, offer.currency).replace(/^\+/, ''),
          },
        ]
      : []),
  ];
  const title = winner ? 'What would be cheaper or better' : 'What would let it land';
  const more = all.length - telling.length;
  const rest = more === 0 ? '' : `  ${paint('dim', `${counted(more, 'more change')} with --full`)}\n`;
  return `${paint('bold', title)}\n${renderTable(columns, telling, { indent: '  ' })}${rest}`;
}

function improvements(explanation: Explanation): Change[] {
  const { counterfactuals } = explanation;
  const dropped = counterfactuals.map(
    (rule): Change => ({
      change: `without ${ruleName(rule)}`,
      where: placeOf(rule),
      offer: rule.offer,
      saving: rule.savingPerMonth,
    }),
  );
  return [...dropped, ...smallerChanges(explanation)].sort((a, b) => (b.saving ?? 0) - (a.saving ?? 0));
}

function openings(explanation: Explanation): Change[] {
  const dropped = explanation.relaxations.map(
    ({ rules, offer }): Change => ({
      change: `without ${rules.map(ruleName).join(' and ')}`,
      where: rules.map(placeOf).join(', '),
      offer,
      saving: null,
    }),
  );
  return [...dropped, ...smallerChanges(explanation)];
}

/** A number that has to be reached is not rounded, but for what binary sums add. */
function exact(amount: number): string {
  return String(Number(amount.toPrecision(12)));
}

/** Another number, a higher limit, more room. */
function smallerChanges({ thresholds, limits, capacity }: Explanation): Change[] {
  return [
    ...thresholds.map(({ rule, expression, operator, value, needed, offer, savingPerMonth }): Change => {
      const beyond = operator === '<' ? 'above ' : operator === '>' ? 'below ' : '';
      const change = `${rule ? ruleName(rule) : 'the request'}: ${expression}: ${exact(value)} → ${beyond}${exact(needed)}`;
      return { change, ...(rule && { where: placeOf(rule) }), offer, saving: savingPerMonth };
    }),
    ...limits.map((limit): Change => {
      const { unit, short, offer, savingPerMonth } = limit;
      const group = limit.key === '' ? '' : ` (${limit.key})`;
      const change = `${ruleName(limit)}${group}: limit ${exact(limit.limit)} → ${exact(limit.limit + short)} ${unit}`;
      return { change, where: placeOf(limit), offer, saving: savingPerMonth };
    }),
    ...capacity.map(({ offer, reason, short, savingPerMonth }): Change => {
      const change = short ? `host ${offer.host} had ${roomOf(short)} more` : `were it not for: ${reason}`;
      return { change, offer, saving: savingPerMonth };
    }),
  ];
}

function roomOf({
  vcpus = 0,
  memoryGiB = 0,
  diskGiB = 0,
  gpus = 0,
}: NonNullable<Explanation['capacity'][number]['short']>): string {
  return [
    vcpus > 0 ? counted(vcpus, 'vCPU') : '',
    memoryGiB > 0 ? `${gib(memoryGiB)} of memory` : '',
    diskGiB > 0 ? `${gib(diskGiB)} of disk` : '',
    gpus > 0 ? counted(gpus, 'GPU') : '',
  ]
    .filter((part) => part !== '')
    .join(', ');
}

/** Why nothing cheaper, in a few words for the line of the answer; `''` where nothing is. */
export function whyNotCheaper({ explanation }: Decision): string {
  const [most] = explanation?.counterfactuals ?? [];
  if (!most || most.savingPerMonth === null || most.savingPerMonth < CENT) return '';
  const saved = pricePerMonth(most.savingPerMonth, most.offer.currency);
  return `; without ${printable(ruleName(most))} it would be ${saved} a month less`;
}

/** Where it would land without the fewest rules, where nothing fits; undefined: dropping a few rules does not help. */
export function openingLine({ explanation }: Decision): string | undefined {
  const [first] = explanation?.relaxations ?? [];
  if (!first) return undefined;
  const { offer } = first;
  const place = `${offerPlace(offer)}: ${offer.instanceType}, ${pricePerMonth(offer.pricePerMonth, offer.currency)} a month`;
  return printable(`without ${first.rules.map(ruleName).join(' and ')} it would land on ${place}`);
}

/** What must be known beside the place: approvals, life, limits, exceptions. */
export function conditionLines(decision: Decision, paint: Paint): string {
  const { approvals = [], limits = [], exceptions = [], ttlHours } = decision;
  const lines = [
    ...approvals.map((approval) => {
      const why = approval.message ? `: ${approval.message}` : '';
      return paint(
        'yellow',
        printable(
          `needs the approval of ${approval.by.join(' or ')} within ${number(approval.expiresHours)} h (${ruleName(approval)}${why})`,
        ),
      );
    }),
    ...(ttlHours === undefined ? [] : [`is deleted after ${number(ttlHours)} h: a rule says so`]),
    ...limits.map((limit) => {
      const group = limit.key === '' ? '' : ` of ${limit.key}`;
      return printable(
        `takes ${number(limit.takes)} of the ${number(limit.limit)} ${limit.unit}${group} (${ruleName(limit)}); ${number(limit.used)} were used`,
      );
    }),
    ...exceptions.map((exception) =>
      printable(
        `${ruleName(exception)} is set aside until ${exception.expires} by ${exception.owner}: ${exception.reason}`,
      ),
    ),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** What preferences and egress add to the price of the winner. */
export function preferenceLines({ preferences = [] }: Decision, paint: Paint): string {
  if (preferences.length === 0) return '';
  const columns: Column<(typeof preferences)[number]>[] = [
    { header: 'POLICY/RULE', cell: ruleName },
    { header: 'MET', cell: ({ met }) => (met ? 'yes' : 'no') },
    { header: 'ADDS/MONTH', align: 'right', cell: ({ addsPerHour }) => pricePerMonth(addsPerHour * 730) },
  ];
  return `${paint('bold', 'Preferences')}\n${renderTable(columns, preferences, { indent: '  ' })}`;
}
