/** How commands about the estate are registered, and what they ask and tell. */
import { commands, type ExtensionContext, window } from 'vscode';
import type { Question } from './actions.ts';
import type { CurrentEstate } from './activate.ts';
import type { Estate } from './estate.ts';
import type { TreeNode } from './tree.ts';

/** `selected`: where several nodes are selected, all of them. */
export type EstateCommand = (
  estate: Estate,
  node: TreeNode | undefined,
  selected: readonly TreeNode[],
) => Promise<unknown>;

/** Registers `landfall.<name>`. What it throws is told; without a broker another context is offered. */
export function estateCommands(extension: ExtensionContext, current: CurrentEstate) {
  return (name: string, run: EstateCommand): void => {
    extension.subscriptions.push(
      commands.registerCommand(`landfall.${name}`, async (node?: TreeNode, selected?: TreeNode[]) => {
        const { estate } = current;
        if (estate === undefined) return commands.executeCommand('landfall.switchContext');
        try {
          return await run(estate, node, selected ?? (node ? [node] : []));
        } catch (error) {
          void window.showErrorMessage(`Landfall: ${(error as Error).message}`);
        }
      }),
    );
  };
}

export async function confirmed({ message, detail, button }: Question): Promise<boolean> {
  return (await window.showWarningMessage(message, { modal: true, detail }, button)) === button;
}

/** The Operations view shows how it goes on; this says that it was taken. */
export function told(what: string): void {
  window.setStatusBarMessage(`Landfall: ${what}`, 5_000);
}
