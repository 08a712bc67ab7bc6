/** `landfall audit`: intents against inventory against the providers. */
import type { AuditReport } from '@landfall/model';
import { counted } from '@landfall/model/quantities.ts';
import { body, idempotencyKey } from '../connection/broker.ts';
import { CommandError, exitCodes } from '../errors.ts';
import { type Paint, printable } from '../output/colours.ts';
import { type Column, renderTable } from '../output/table.ts';
import type { Session } from '../session.ts';
import { waitForOperations } from '../waiting.ts';
import { parseTimeout } from './operation.ts';

/** Runs an audit and tells what it found. Exit code 1 when not clean, or when a site could not be read. */
export async function audit(session: Session, flags: { timeout?: string }): Promise<number> {
  const { broker } = session;
  const started = await body(broker.client.POST('/v1/audits', { params: { header: idempotencyKey() } }));
  const [operation] = await waitForOperations(
    session,
    [{ subject: 'audit', operation: started }],
    parseTimeout(flags.timeout),
  );
  if (!operation?.result) {
    // Why it failed has been told while waiting.
    if (operation?.error) return exitCodes.failed;
    throw new CommandError(`The audit ended ${operation?.state ?? 'nowhere'} without a report.`);
  }
  const report = operation.result;
  if (session.structured) session.outStructured(report);
  else session.out(renderAudit(report, session.paint));
  return isClean(report) ? exitCodes.ok : exitCodes.failed;
}

/** Nothing found, and everything looked at. */
export function isClean(report: AuditReport): boolean {
  const found = report.orphans.length + report.missing.length + report.doubled.length;
  return found === 0 && report.sites.every((site) => site.complete);
}

type Finding = AuditReport['orphans'][number] & { what: string };

const findingColumns: Column<Finding>[] = [
  { header: 'WHAT', cell: (finding) => finding.what },
  { header: 'SITE', cell: (finding) => finding.site },
  { header: 'HOST', cell: (finding) => finding.host },
  { header: 'REFERENCE', cell: (finding) => finding.ref },
  { header: 'RESOURCE', cell: (finding) => finding.resource },
  { header: 'MESSAGE', cell: (finding) => finding.message },
];

/** The sum in one line, then what was compared, then what was found. */
export function renderAudit(report: AuditReport, paint: Paint): string {
  const { orphans, missing, doubled } = report;
  const sum = `${orphans.length} orphans, ${missing.length} missing, ${doubled.length} doubled`;
  let text = `${paint(isClean(report) ? 'green' : 'red', sum)}\n`;
  const open = report.openIntents ? `, ${report.openIntents} intents open` : '';
  text += `${counted(report.instances, 'instance')} against ${counted(report.machines, 'machine')} at ${counted(report.sites.length, 'site')}${open}\n`;
  for (const site of report.sites.filter((item) => !item.complete)) {
    const where = site.host ? `${site.site}, host ${site.host}` : site.site;
    text += `${paint('yellow', `not complete: ${printable(where)}`)}${site.message ? `: ${printable(site.message)}` : ''}\n`;
  }
  const named = (what: string, found: AuditReport['orphans']): Finding[] =>
    found.map((finding) => ({ what, ...finding }));
  const findings = [...named('orphan', orphans), ...named('missing', missing), ...named('doubled', doubled)];
  if (findings.length > 0) text += renderTable(findingColumns, findings);
  return text;
}
