/** `landfall compliance` and `landfall acknowledge`: machines against the rules in force. */
import type { Schemas } from '@landfall/model';
import { counted } from '@landfall/model/quantities.ts';
import { body, idempotencyKey } from '../connection/broker.ts';
import { exitCodes, usageError } from '../errors.ts';
import { violation as columns } from '../kind-columns.ts';
import { violationKind } from '../kinds.ts';
import type { Paint } from '../output/colours.ts';
import { renderTable } from '../output/table.ts';
import type { Session } from '../session.ts';
import { waitForOperations } from '../waiting.ts';
import { kindAndNames } from './get.ts';
import { parseTimeout } from './operation.ts';

type Violation = Schemas['Violation'];

/** Runs a compliance run and tells what stands. Exit code 1 when an enforced rule is violated. */
export async function compliance(session: Session, flags: { timeout?: string }): Promise<number> {
  const { broker } = session;
  const started = await body(
    broker.client.POST('/v1/complianceRuns', { params: { header: idempotencyKey() } }),
  );
  const [operation] = await waitForOperations(
    session,
    [{ subject: 'compliance', operation: started }],
    parseTimeout(flags.timeout),
  );
  // Why it failed has been told while waiting.
  if (operation?.state !== 'Succeeded') return exitCodes.failed;
  const violations = await violationKind.list(broker, {});
  if (session.structured) session.outStructured({ items: violations });
  else session.out(renderViolations(violations, session.paint));
  return violations.some(counts) ? exitCodes.failed : exitCodes.ok;
}

/** Enforced, and no exception holds. */
function counts({ mode, state }: Violation): boolean {
  return mode === 'enforce' && state !== 'Waived' && state !== 'Resolved';
}

/** The sum in one line, then what stands. */
export function renderViolations(violations: Violation[], paint: Paint): string {
  const enforced = violations.filter(counts).length;
  const waived = violations.filter(({ state }) => state === 'Waived').length;
  const recorded = violations.length - enforced - waived;
  const sum = [
    paint(enforced === 0 ? 'green' : 'red', counted(enforced, 'violation')),
    ...(waived > 0 ? [`${waived} waived by an exception`] : []),
    ...(recorded > 0 ? [`${recorded} of rules that are not enforced`] : []),
  ].join(', ');
  return `${sum}\n${violations.length > 0 ? renderTable(columns, violations, { paint }) : ''}`;
}

/** Says that somebody sees to violations. */
export async function acknowledge(
  session: Session,
  kindWord: string,
  given: string[],
  flags: { reason: string },
): Promise<number> {
  const [kind, ids] = kindAndNames(kindWord, given);
  if (kind !== violationKind)
    throw usageError(`Only violations are acknowledged, not ${kind.plural}; name one by its id.`);
  if (ids.length === 0) throw usageError('Which violation?', '`landfall get violations` lists them.');
  for (const id of ids) {
    const params = { path: { violation: id }, header: idempotencyKey() };
    const kept = await body(
      session.broker.client.POST('/v1/violations/{violation}/acknowledge', {
        params,
        body: { reason: flags.reason },
      }),
    );
    if (session.structured) session.outStructured(kept);
    else session.out(`violation/${id} acknowledged\n`);
  }
  return exitCodes.ok;
}
