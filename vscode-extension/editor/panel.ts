/** A page beside the files. It has no script: its links open lines. */
import { commands, Position, Range, Uri, ViewColumn, type WebviewPanel, window, workspace } from 'vscode';
import type { RecordedDecision, RuleName } from '../language/protocol.ts';
import type { PageLinks } from './page.ts';

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
        { enableScripts: false, enableCommandUris: [openLine, openRule, explainDecision] },
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
export const openRule = 'landfall.openRule';
export const explainDecision = 'landfall.explainDecision';
export const explainChangeCommand = 'landfall.explainChange';

/** The command behind the links: a line (from 1) of a file, before the panels. */
export function registerOpenLine() {
  return commands.registerCommand(openLine, (uri: string, line: number) => showLine(Uri.parse(uri), line));
}

/** Shows a line (from 1) of a document before the panels. */
export async function showLine(uri: Uri, line: number): Promise<void> {
  const document = await workspace.openTextDocument(uri);
  const position = new Position(Math.max(0, line - 1), 0);
  await window.showTextDocument(document, {
    viewColumn: ViewColumn.One,
    selection: new Range(position, position),
  });
}

/** The address that opens a line of a file. */
export function lineLink(uri: string, line: number): string {
  return `command:${openLine}?${encodeURIComponent(JSON.stringify([uri, line]))}`;
}

/** The address that opens a rule, wherever it is written: that is looked for when it is followed. */
export function ruleLink(named: RuleName): string {
  return `command:${openRule}?${encodeURIComponent(JSON.stringify([named]))}`;
}

/** The address that explains a recorded decision. */
export function decisionLink({ project, name, id }: RecordedDecision): string {
  return `command:${explainDecision}?${encodeURIComponent(JSON.stringify([project, name, id]))}`;
}

/** The address that explains what a report of what-if says of a decision; `report` is its number. */
export function changeLink(report: number, decision: string): string {
  return `command:${explainChangeCommand}?${encodeURIComponent(JSON.stringify([report, decision]))}`;
}

/** What pages link to. */
export const panelLinks: PageLinks = { line: lineLink, rule: ruleLink, decision: decisionLink };
