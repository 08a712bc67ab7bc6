/** Commands of the walkthrough: files to begin with, and the command line for what an editor has no button for. */
import { commands, type ExtensionContext, type Uri, window, workspace } from 'vscode';
import { cliCommand, runInTerminal } from './command-line.ts';
import { sampleInstance, samplePolicy } from './samples.ts';
import { yamlInFront } from './yaml-in-front.ts';

export function registerFirstSteps(extension: ExtensionContext): void {
  const register = (name: string, run: (argument?: Uri) => unknown): void => {
    extension.subscriptions.push(commands.registerCommand(`landfall.${name}`, run));
  };
  register('openWalkthrough', () =>
    commands.executeCommand(
      'workbench.action.openWalkthrough',
      `${extension.extension.id}#first-steps`,
      false,
    ),
  );
  register('newPolicy', () => openNew(samplePolicy));
  register('newInstance', () => openNew(sampleInstance));
  register('applyInTerminal', async (given) => {
    const document = given ? await workspace.openTextDocument(given) : yamlInFront()?.document;
    if (document === undefined || (document.isUntitled && !(await document.save())))
      return void window.showInformationMessage('Landfall: open the file to apply, and save it.');
    if (document.isDirty) await document.save();
    const cli = cliCommand();
    if (cli === undefined)
      return void window.showErrorMessage(
        'Landfall: there is no command `landfall` on PATH, and no checkout of Landfall is open.',
      );
    const file = document.fileName.replaceAll("'", "'\\''");
    runInTerminal({ name: 'landfall apply' }, `${cli} apply -f '${file}' --wait`);
  });
}

async function openNew(content: string): Promise<void> {
  await window.showTextDocument(await workspace.openTextDocument({ language: 'yaml', content }));
}
