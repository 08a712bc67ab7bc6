/** `Landfall: What If`: what policies of a file would change of what the broker decided, and why each request would land elsewhere. */
import { type Broker, body, idempotencyKey, type Manifest, renderWhatIf } from 'landfall/client.ts';
import { commands, type ExtensionContext, ProgressLocation, window } from 'vscode';
import type { BrokerConnection } from '../broker/connection.ts';
import type { CurrentEstate } from '../estate/activate.ts';
import { explainChange, ruleNamed } from '../files/explain.ts';
import { lensCommands, type PlacementExplanation } from '../language/protocol.ts';
import { type Asked, type AskedFile, readAsked } from './file-commands.ts';
import { changeLink, explainChangeCommand } from './panel.ts';
import type { Links, Reports } from './reports.ts';
import { ruleLinks } from './rule-links.ts';

/** A policy's text, with its lines where they are in its file. */
export interface Source {
  source: string;
  file: string;
}

/** What policies would change of the last month. Throws what the broker says. */
export const report = (client: Broker['client'], policies: Source[], signal: AbortSignal) =>
  body(
    client.POST('/v1/policies/whatIf', {
      params: { header: idempotencyKey() },
      body: { policies, since: '30d', limit: 1000 },
      signal,
    }),
  );

export const inItsPlace = (text: string, line: number): string => `${'\n'.repeat(line)}${text}`;

/** A report that was shown: its rows are explained with the policies as they were then. */
interface Shown {
  connection: BrokerConnection;
  sources: Source[];
  /** Addresses of the files that the policies are of, by their names. */
  files: Record<string, string>;
}

/** So many reports can be asked further; nobody has more of them open. */
const MOST_SHOWN = 20;

/** Each request leads to the explanation of its new placement, each rule to its line. */
function linksOf(
  { changes, rules }: Awaited<ReturnType<typeof report>>,
  { document, manifests }: AskedFile,
  shown: number,
): Links {
  const requests = changes.flatMap(({ project, name, decision }): [string, string][] =>
    decision === undefined ? [] : [[`${project}/${name}`, changeLink(shown, decision)]],
  );
  const named = changes
    .flatMap((change) => [...change.rules, ...change.allows, ...change.approvals])
    .map(ruleNamed);
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

/** Registers its commands; `explain` shows an explanation. */
export function registerWhatIf(
  context: ExtensionContext,
  current: CurrentEstate,
  reports: Reports,
  explain: (explained: PlacementExplanation) => void,
): void {
  const shown = new Map<number, Shown>();
  let next = 0;
  const whatIf = async (asked?: Asked): Promise<unknown> => {
    const { estate } = current;
    if (estate === undefined) return commands.executeCommand('landfall.switchContext');
    const read = await readAsked(asked);
    const policies = read?.manifests.filter(({ kind }) => kind === 'PlacementPolicy') ?? [];
    if (read === undefined || policies.length === 0)
      return window.showInformationMessage('Landfall: open a file with a policy first.');
    const { connection } = estate;
    const { context: broker, client, closed } = connection;
    const sources = policies.map(({ source }: Manifest) => ({
      source: inItsPlace(source.text, source.linesBefore),
      file: read.file,
    }));
    const answer = await window.withProgress(
      { location: ProgressLocation.Window, title: 'Landfall: what if' },
      () => report(client, sources, closed),
    );
    const names = policies.map(({ name }) => name);
    const number = next++;
    const uri = read.document.uri.toString();
    shown.set(number, { connection, sources, files: Object.fromEntries(names.map((name) => [name, uri])) });
    shown.delete(number - MOST_SHOWN);
    const all = names.join(', ');
    return reports.show(
      `what if ${all}.txt`,
      `What if ${all} were in force at ${broker.name} (${broker.url}). A request's name leads to why.\n\n${renderWhatIf(answer, { wide: false })}`,
      linksOf(answer, { ...read, manifests: policies }, number),
    );
  };
  const change = async (number: number, decision: string): Promise<unknown> => {
    const asked = shown.get(number);
    if (asked === undefined)
      return window.showInformationMessage('Landfall: this report is too old: ask what if again.');
    return explain(await explainChange(asked.connection, asked.sources, asked.files, decision));
  };
  const guarded =
    <A extends unknown[]>(run: (...given: A) => Promise<unknown>) =>
    async (...given: A): Promise<void> => {
      try {
        await run(...given);
      } catch (error) {
        void window.showErrorMessage(`Landfall: ${(error as Error).message}`);
      }
    };
  context.subscriptions.push(
    commands.registerCommand(lensCommands.whatIf, guarded(whatIf)),
    commands.registerCommand(explainChangeCommand, guarded(change)),
  );
}
