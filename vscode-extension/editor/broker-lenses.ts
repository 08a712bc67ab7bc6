/** What the connected broker says of the documents of a file, in a lens. */
import { pricePerHour } from '@landfall/model/quantities.ts';
import { offerPlace, parseManifests, whatIfSummary } from 'landfall/client.ts';
import { type ExtensionContext, Uri, workspace } from 'vscode';
import type { BaseLanguageClient as LanguageClient } from 'vscode-languageclient';
import type { BrokerConnection } from '../broker/connection.ts';
import type { CurrentEstate } from '../estate/activate.ts';
import { planAtBroker } from '../files/explain.ts';
import { sessionOver } from '../files/session.ts';
import { type BrokerAnswer, type BrokerQuestion, brokerRequest } from '../language/protocol.ts';
import { inItsPlace, report } from './what-if.ts';

async function summaryOf(
  connection: BrokerConnection,
  { uri, kind, text, line }: BrokerQuestion,
  signal: AbortSignal,
): Promise<string> {
  const file = workspace.asRelativePath(Uri.parse(uri), false);
  if (kind === 'PlacementPolicy')
    return whatIfSummary(await report(connection.client, [{ source: inItsPlace(text, line), file }], signal));
  const [manifest] = parseManifests({ file, text }, '.');
  if (manifest === undefined) throw new Error('There is no document.');
  const {
    winner,
    reasons,
    approvals = [],
  } = await planAtBroker(
    sessionOver(connection, () => undefined),
    manifest,
    signal,
  );
  if (winner === null) return `no place at ${connection.context.name}: ${reasons[0] ?? 'nothing fits'}`;
  const asks = approvals.length > 0 ? ' · needs approval' : '';
  return `at ${connection.context.name}: ${pricePerHour(winner.pricePerHour, winner.currency)}/h · ${offerPlace(winner)} · ${winner.instanceType}${asks}`;
}

export function registerBrokerLenses(
  context: ExtensionContext,
  language: LanguageClient,
  current: CurrentEstate,
): void {
  context.subscriptions.push(
    language.onRequest(brokerRequest, async (question, token): Promise<BrokerAnswer> => {
      const { estate } = current;
      if (estate?.state.kind !== 'live') return { unanswered: 'No broker is connected.' };
      const stop = new AbortController();
      token.onCancellationRequested(() => stop.abort());
      try {
        return { summary: await summaryOf(estate.connection, question, stop.signal) };
      } catch (error) {
        return { unanswered: (error as Error).message };
      }
    }),
  );
}
