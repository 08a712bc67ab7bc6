/** The extension's start and end. */
import type { ExtensionContext } from 'vscode';
import { activateEstate } from '../estate/activate.ts';
import { followYaml } from '../estate/yaml-in-front.ts';
import { registerBrokerLenses } from './broker-lenses.ts';
import { BrokerProblems } from './broker-problems.ts';
import { sendEstateNames } from './estate-names.ts';
import { registerExplainPanel } from './explain-panel.ts';
import { registerFileCommands } from './file-commands.ts';
import { startLanguageClient } from './language-client.ts';
import { registerOpenLine } from './panel.ts';
import { registerRejectionsPanel } from './rejections-panel.ts';
import { Reports } from './reports.ts';
import { registerOpenRule } from './rule-links.ts';
import { registerTestExplorer } from './test-explorer.ts';
import { registerWhatIf } from './what-if.ts';

/** Called by the editor when a file of ours or one of our views is opened. What takes time goes on after it. */
export function activate(context: ExtensionContext): void {
  const current = activateEstate(context);
  const client = startLanguageClient(context);
  sendEstateNames(context, client, current);
  const reports = new Reports();
  const problems = new BrokerProblems();
  context.subscriptions.push(reports, problems, registerOpenLine(), followYaml());
  registerOpenRule(context, client, current);
  registerFileCommands(context, current, reports, problems);
  registerBrokerLenses(context, client, current);
  const explain = registerExplainPanel(context, client, current, problems);
  registerWhatIf(context, current, reports, explain);
  registerRejectionsPanel(context, client);
  registerTestExplorer(context, client);
}
