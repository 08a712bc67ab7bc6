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
  const folder = checkout();
  return folder && `node '${join(folder, program).replaceAll("'", "'\\''")}'`;
}

const program = 'cli/bin/landfall.mjs';

/** The folder of a checkout of Landfall that is open. */
export function checkout(): string | undefined {
  return workspace.workspaceFolders
    ?.map(({ uri }) => uri.fsPath)
    .find((path) => existsSync(join(path, program)));
}

/** Shows a new terminal that runs this line. */
export function runInTerminal(options: TerminalOptions, line: string): void {
  const terminal = window.createTerminal(options);
  terminal.show();
  terminal.sendText(line);
}
