/** What the connected broker says of the documents of a file: in a lens, and what-if in full. */
import { pricePerHour } from '@landfall/model/quantities.ts';
import {
  type Broker,
  body,
  idempotencyKey,
  type Manifest,
  offerPlace,
  parseManifests,
  renderWhatIf,
  whatIfSummary,
} from 'landfall/client.ts';
import { commands, type ExtensionContext, ProgressLocation, Uri, window, workspace } from 'vscode';
import type { BaseLanguageClient as LanguageClient } from 'vscode-languageclient';
import type { BrokerConnection } from '../broker/connection.ts';
import type { CurrentEstate } from '../estate/activate.ts';
import { planAtBroker } from '../files/explain.ts';
import { sessionOver } from '../files/session.ts';
import { type BrokerAnswer, type BrokerQuestion, brokerRequest } from '../language/protocol.ts';
import { decisionLink } from './explain-panel.ts';
import { type Asked, type AskedFile, readAsked } from './file-commands.ts';
import type { Links, Reports } from './reports.ts';
import { ruleLinks, ruleNamed } from './rule-links.ts';

/** A policy's text, with its lines where they are in its file. */
interface Source {
  source: string;
  file: string;
}

const report = (client: Broker['client'], policies: Source[], signal: AbortSignal) =>
  body(
    client.POST('/v1/policies/whatIf', {
      params: { header: idempotencyKey() },
      body: { policies, since: '30d', limit: 1000 },
      signal,
    }),
  );

/** Each request leads to what was decided of it, each rule to its line. */
function whatIfLinks(
  { changes, rules }: Awaited<ReturnType<typeof report>>,
  { document, manifests }: AskedFile,
): Links {
  const requests = changes.flatMap(({ project, name, decision }): [string, string][] =>
    decision === undefined ? [] : [[`${project}/${name}`, decisionLink(project, name, decision)]],
  );
  const named = changes.flatMap((change) => [...change.rules, ...change.approvals]).map(ruleNamed);
  const all = [...rules, ...named];
  const isAsked = ({ policy }: { policy: string }): boolean => manifests.some(({ name }) => name === policy);
  return new Map([
    ...requests,
    ...ruleLinks(
      all.filter((rule) => !isAsked(rule)),
      { atBroker: true },
    ),
    // What is asked about is the file's, whatever the broker has under its name.
    ...ruleLinks(all.filter(isAsked), { uri: document.uri.toString() }),
  ]);
}

const inItsPlace = (text: string, line: number): string => `${'\n'.repeat(line)}${text}`;

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
  reports: Reports,
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
    commands.registerCommand('landfall.whatIf', async (asked?: Asked) => {
      const { estate } = current;
      if (estate === undefined) return commands.executeCommand('landfall.switchContext');
      try {
        const read = await readAsked(asked);
        const policies = read?.manifests.filter(({ kind }) => kind === 'PlacementPolicy') ?? [];
        if (read === undefined || policies.length === 0)
          return void window.showInformationMessage('Landfall: open a file with a policy first.');
        const { context: broker, client, closed } = estate.connection;
        const sources = policies.map(({ source }: Manifest) => ({
          source: inItsPlace(source.text, source.linesBefore),
          file: read.file,
        }));
        const answer = await window.withProgress(
          { location: ProgressLocation.Window, title: 'Landfall: what if' },
          () => report(client, sources, closed),
        );
        const names = policies.map(({ name }) => name).join(', ');
        await reports.show(
          `what if ${names}.txt`,
          `What if ${names} were in force at ${broker.name} (${broker.url}).\n\n${renderWhatIf(answer, { wide: false })}`,
          whatIfLinks(answer, read),
        );
      } catch (error) {
        void window.showErrorMessage(`Landfall: ${(error as Error).message}`);
      }
    }),
  );
}
