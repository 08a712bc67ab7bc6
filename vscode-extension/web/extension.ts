/** The extension in an editor that is only a browser: what needs a machine is not offered, all else is as elsewhere. */
import { commands, type ExtensionContext } from 'vscode';
import { activate as activateAll } from '../editor/extension.ts';

export function activate(context: ExtensionContext): void {
  // For the manifest's `when` clauses.
  void commands.executeCommand('setContext', 'landfall.browser', true);
  activateAll(context);
}
