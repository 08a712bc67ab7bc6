/** What a rule rejects, in a panel beside its file: behind the figures above the rule. */
import { commands, type ExtensionContext, window } from 'vscode';
import type { BaseLanguageClient } from 'vscode-languageclient';
import { lensCommands, type RuleTarget, rejectionsRequest } from '../language/protocol.ts';
import { Panel, panelLinks } from './panel.ts';
import { rejectionsPage } from './rejections-page.ts';

export function registerRejectionsPanel(context: ExtensionContext, client: BaseLanguageClient): void {
  const panel = new Panel('landfall.rejections');
  context.subscriptions.push(
    commands.registerCommand(lensCommands.ruleRejections, async (target: RuleTarget) => {
      const found = await client.sendRequest(rejectionsRequest, target);
      if ('refused' in found) void window.showWarningMessage(`Landfall: ${found.refused}`);
      else panel.show(`${found.policy}/${found.rule}`, rejectionsPage(found, target.asked, panelLinks));
    }),
  );
}
