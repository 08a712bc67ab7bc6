/** What a change of policies would do, for a reader: the sum in the first line, then request by request. */
import type { Schemas } from '@landfall/model';
import { count, counted, pricePerMonth, signedPerMonth } from '@landfall/model/quantities.ts';
import { type Paint, plainPaint, printable } from './colours.ts';
import { offerPlace } from './places.ts';
import { type Column, renderTable } from './table.ts';

export type WhatIfReport = Schemas['WhatIfReport'];
type Changed = WhatIfReport['changes'][number];

const monthly = (offer: Changed['from'], currency: string) =>
  offer ? pricePerMonth(offer.pricePerMonth, currency) : undefined;

const place = (offer: Changed['from']) => (offer ? `${offerPlace(offer)} ${offer.instanceType}` : 'nowhere');

function columnsFor({ currency }: WhatIfReport): Column<Changed>[] {
  return [
    { header: 'REQUEST', cell: ({ project, name }) => `${project}/${name}` },
    { header: 'CHANGE', cell: ({ change }) => (change === 'approval' ? 'stays' : change) },
    { header: 'FROM', cell: ({ from }) => place(from) },
    {
      header: 'TO',
      cell: ({ change, to }) => (change === 'approval' ? 'the same' : place(to)),
    },
    { header: 'BEFORE', align: 'right', cell: ({ from }) => monthly(from, currency) },
    { header: 'AFTER', align: 'right', cell: ({ to }) => monthly(to, currency) },
    { header: 'WHY', cell: ({ why }) => why },
    { header: 'NEEDS APPROVAL', cell: ({ approvals }) => approvals.join(', ') },
    { header: 'DECISION', wide: true, cell: ({ decision }) => decision },
  ];
}

/** The whole report. */
export function renderWhatIf(report: WhatIfReport, options: { paint?: Paint; wide?: boolean } = {}): string {
  const paint = options.paint ?? plainPaint;
  const parts = [sumLines(report, paint)];
  if (report.changes.length > 0) {
    const columns = columnsFor(report).filter(
      ({ header }) =>
        // Of a request that stays, its approvals are why.
        header !== 'NEEDS APPROVAL' ||
        report.changes.some(({ change, approvals }) => change !== 'approval' && approvals.length > 0),
    );
    parts.push(renderTable(columns, report.changes, { paint, wide: options.wide }));
  }
  if (report.changesLeftOut > 0)
    parts.push(`${counted(report.changesLeftOut, 'more change')} not shown; the sums count all of them.\n`);
  if (report.rules.length > 0) {
    const columns: Column<WhatIfReport['rules'][number]>[] = [
      { header: 'RULE', cell: ({ policy, rule }) => `${policy}/${rule}` },
      { header: 'WHERE', cell: ({ file, line }) => `${file}:${line}` },
      {
        header: 'REJECTS THE PLACE OF',
        align: 'right',
        cell: ({ requests }) => counted(requests, 'request'),
      },
    ];
    parts.push(renderTable(columns, report.rules, { paint }));
  }
  return parts.join('\n');
}

/** `3 of 212 requests move, 1 is rejected, −$412.00 a month`. */
export function whatIfSummary(report: WhatIfReport): string {
  const { moved, rejected, placed, approvals, requests } = report;
  const total = `of ${counted(requests, 'request')}`;
  const said: string[] = [];
  const say = (amount: number, one: string, many: string): void => {
    if (amount > 0)
      said.push(`${count(amount)}${said.length === 0 ? ` ${total}` : ''} ${amount === 1 ? one : many}`);
  };
  say(moved, 'moves', 'move');
  say(rejected, 'is rejected', 'are rejected');
  say(placed, 'is newly placed', 'are newly placed');
  say(approvals, 'needs a new approval', 'need a new approval');
  if (said.length === 0) said.push(requests === 0 ? 'No request to replay' : `None ${total} changes`);
  return `${said.join(', ')}, ${signedPerMonth(report.monthlyAfter - report.monthlyBefore, report.currency)} a month`;
}

function sumLines(report: WhatIfReport, paint: Paint): string {
  const {
    monthlyBefore,
    monthlyAfter,
    monthlyRejected,
    currency,
    requests,
    leftOut,
    notReplayable,
    catalogue,
  } = report;
  const lost =
    monthlyRejected > 0
      ? ` (${pricePerMonth(monthlyRejected, currency)} of it by requests that are rejected then)`
      : '';
  let text = `${paint('bold', whatIfSummary(report))}\n`;
  text += `${pricePerMonth(monthlyBefore, currency)} a month now${lost}, ${pricePerMonth(monthlyAfter, currency)} then; ${counted(requests, 'request')} since ${report.since.slice(0, 10)}, catalogue ${printable(catalogue.version)}\n`;
  if (leftOut > 0)
    text += `${paint('yellow', `${counted(leftOut, 'older request')} of that time not replayed: raise --limit.`)}\n`;
  if (notReplayable > 0)
    text += `${paint('yellow', `${counted(notReplayable, 'more request')} of that time cannot be replayed: not recorded, or no provider had the image.`)}\n`;
  return text;
}
