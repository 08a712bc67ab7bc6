/** `Landfall: Explain Placement`: the panel beside a resource file. */

import { ProblemError } from 'landfall/client.ts';
import { commands, type ExtensionContext, window } from 'vscode';
import type { BaseLanguageClient as LanguageClient } from 'vscode-languageclient';
import { UnreachableError } from '../broker/connection.ts';
import type { CurrentEstate } from '../estate/activate.ts';
import type { Estate } from '../estate/estate.ts';
import { yamlInFront } from '../estate/yaml-in-front.ts';
import { explainAtBroker, explainRecorded } from '../files/explain.ts';
import { sessionOver } from '../files/session.ts';
import {
  type DocumentTarget,
  explanationRequest,
  type NothingToExplain,
  type PlacementExplanation,
} from '../language/protocol.ts';
import type { BrokerProblems } from './broker-problems.ts';
import { explanationPage } from './explanation-page.ts';
import { type AskedFile, readAsked } from './file-commands.ts';
import { explainDecision, Panel, panelLinks } from './panel.ts';

/** Registers the commands of the panel; answers how something is shown in it. */
export function registerExplainPanel(
  context: ExtensionContext,
  client: LanguageClient,
  current: CurrentEstate,
  problems: BrokerProblems,
): (explained: PlacementExplanation) => void {
  const panel = new Panel('landfall.explanation');
  const show = (explained: PlacementExplanation): void =>
    panel.show(explained.subject, explanationPage(explained, panelLinks));
  context.subscriptions.push(
    commands.registerCommand(explainDecision, async (project: string, name: string, id: string) => {
      const { estate } = current;
      if (estate === undefined) return commands.executeCommand('landfall.switchContext');
      try {
        show(await explainRecorded(estate.connection, project, name, id));
      } catch (error) {
        void window.showErrorMessage(`Landfall: ${(error as Error).message}`);
      }
    }),
    commands.registerCommand('landfall.explainPlacement', async (target?: DocumentTarget) => {
      const at = placeAsked(target);
      if (at === undefined) {
        void window.showInformationMessage('Open a resource file with an instance first.');
        return;
      }
      const { estate } = current;
      let without = 'No broker is connected.';
      if (estate !== undefined) {
        const asked = await atBroker(estate, at, problems);
        if (typeof asked !== 'string') return asked && show(asked);
        without = asked;
      }
      const answer = await client.sendRequest(explanationRequest, at);
      if (isRefused(answer)) void window.showWarningMessage(answer.refused);
      else show({ ...answer, madeFrom: `${without} ${answer.madeFrom}` });
    }),
  );
  return show;
}

/** The broker's answer; a text that says why it cannot be asked; undefined where it refuses the instance, which is told. */
async function atBroker(
  { connection }: Estate,
  at: { uri: string; line: number },
  problems: BrokerProblems,
): Promise<PlacementExplanation | string | undefined> {
  let read: AskedFile | undefined;
  try {
    read = await readAsked({ ...at, name: '' });
    const [manifest] = read?.manifests ?? [];
    if (read === undefined || manifest?.kind !== 'Instance')
      throw new Error('The cursor is not in a document of kind Instance.');
    problems.clear(read.document);
    return await explainAtBroker(
      connection,
      sessionOver(connection, () => undefined),
      manifest,
    );
  } catch (error) {
    if (error instanceof UnreachableError) return error.message;
    const [manifest] = read?.manifests ?? [];
    if (read !== undefined && manifest !== undefined && error instanceof ProblemError)
      problems.add(read.document, manifest, error);
    void window.showWarningMessage(`Landfall: ${(error as Error).message}`);
    return undefined;
  }
}

const isRefused = (answer: PlacementExplanation | NothingToExplain): answer is NothingToExplain =>
  'refused' in answer;

/** A lens names the place; the palette and the menu of a file mean where the cursor is. */
function placeAsked(target: DocumentTarget | undefined): { uri: string; line: number } | undefined {
  if (typeof target?.line === 'number') return { uri: target.uri, line: target.line };
  const editor = yamlInFront();
  if (editor === undefined) return undefined;
  return { uri: editor.document.uri.toString(), line: editor.selection.active.line };
}
