/** `landfall policy what-if`: what policy files would do to the requests of the last days. */
import { body, idempotencyKey } from '../connection/broker.ts';
import { exitCodes, usageError } from '../errors.ts';
import { renderWhatIf } from '../output/what-if.ts';
import type { Session } from '../session.ts';
import { sourcesOf } from './policy.ts';

/** Replays recorded requests under the policies of the files, without some in force, or under other prices. Exit code 0 whatever the outcome is. */
export async function whatIf(
  session: Session,
  flags: { file: string[]; without: string[]; since?: string; limit?: string; catalogue?: string },
): Promise<number> {
  const { without, since, limit, catalogue } = flags;
  if (since !== undefined && !/^[1-9][0-9]{0,5}(s|m|h|d)$/.test(since))
    throw usageError(`--since ${since}: must be a number with s, m, h or d, such as 30d.`);
  if (limit !== undefined && !(/^[1-9][0-9]{0,4}$/.test(limit) && Number(limit) <= 10_000))
    throw usageError(`--limit ${limit}: must be a whole number from 1 to 10000.`);
  const fileNeeded = catalogue === undefined && without.length === 0;
  const sources = fileNeeded || flags.file.length > 0 ? await sourcesOf(session, flags.file) : [];
  const policies = sources.map(({ file, text }) => ({ source: text, file }));
  const report = await body(
    session.broker.client.POST('/v1/policies/whatIf', {
      params: { header: idempotencyKey() },
      body: {
        policies,
        ...(without.length === 0 ? {} : { without }),
        ...(catalogue === undefined ? {} : { catalogue }),
        since: since ?? '30d',
        limit: limit === undefined ? 1000 : Number(limit),
      },
    }),
  );
  if (session.structured) session.outStructured(report);
  else session.out(renderWhatIf(report, { paint: session.paint, wide: session.format === 'wide' }));
  return exitCodes.ok;
}
