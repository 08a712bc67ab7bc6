/** The shell beside the files, and the command line `landfall` where there is one. In a browser `web/command-line.ts` stands in for it. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type TerminalOptions, window, workspace } from 'vscode';

/** Whether there are programs beside the files: `ssh-keygen` is one. */
export const hasShell = true;

/** The command for a shell: of PATH, or of a checkout that is open. */
export function cliCommand(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  if (folders.some((folder) => existsSync(join(folder, 'landfall')))) return 'landfall';
  for (const { uri } of workspace.workspaceFolders ?? []) {
    const file = join(uri.fsPath, 'cli/bin/landfall.mjs');
    if (existsSync(file)) return `node '${file.replaceAll("'", "'\\''")}'`;
  }
  return undefined;
}

/** Shows a new terminal that runs this line. */
export function runInTerminal(options: TerminalOptions, line: string): void {
  const terminal = window.createTerminal(options);
  terminal.show();
  terminal.sendText(line);
}
