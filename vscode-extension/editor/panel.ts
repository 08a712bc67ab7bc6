/** A page beside the files. It has no script: its links open lines. */
import { commands, Position, Range, Uri, ViewColumn, type WebviewPanel, window, workspace } from 'vscode';

/** One panel, used again for each page of its kind as long as it is open. */
export class Panel {
  readonly #type: string;
  #panel: WebviewPanel | undefined;

  constructor(type: string) {
    this.#type = type;
  }

  show(title: string, html: string): void {
    if (this.#panel === undefined) {
      this.#panel = window.createWebviewPanel(
        this.#type,
        title,
        { viewColumn: ViewColumn.Beside, preserveFocus: true },
        { enableScripts: false, enableCommandUris: [openLine] },
      );
      this.#panel.onDidDispose(() => {
        this.#panel = undefined;
      });
    }
    this.#panel.title = title;
    this.#panel.webview.html = html;
    this.#panel.reveal(undefined, true);
  }
}

const openLine = 'landfall.openLine';

/** The command behind the links: a line (from 1) of a file, before the panels. */
export function registerOpenLine() {
  return commands.registerCommand(openLine, async (uri: string, line: number) => {
    const document = await workspace.openTextDocument(Uri.parse(uri));
    const position = new Position(Math.max(0, line - 1), 0);
    await window.showTextDocument(document, {
      viewColumn: ViewColumn.One,
      selection: new Range(position, position),
    });
  });
}

/** The address that opens a line. A file that is named by its address can be opened; a policy of a broker cannot. */
export function lineLink(file: string | undefined, line: number): string | undefined {
  if (file === undefined || !/^[\w+.-]+:\/\//.test(file)) return undefined;
  return `command:${openLine}?${encodeURIComponent(JSON.stringify([file, line]))}`;
}
