/** Answers of the broker as read-only texts that can be looked at, searched and compared. */
import {
  type Disposable,
  DocumentLink,
  EventEmitter,
  languages,
  Range,
  type TextDocument,
  type TextDocumentContentProvider,
  Uri,
  ViewColumn,
  window,
  workspace,
} from 'vscode';
import { wholeWords } from './whole-words.ts';

/** What words of a text lead to: addresses, those of commands too. */
export type Links = ReadonlyMap<string, string>;

/** Serves them as long as they are open. */
export class Reports implements TextDocumentContentProvider, Disposable {
  readonly #changed = new EventEmitter<Uri>();
  readonly onDidChange = this.#changed.event;
  readonly #texts = new Map<string, string>();
  readonly #links = new Map<string, Links>();
  readonly #disposables: Disposable[] = [
    this.#changed,
    workspace.registerTextDocumentContentProvider('landfall-report', this),
    languages.registerDocumentLinkProvider(
      { scheme: 'landfall-report' },
      { provideDocumentLinks: (document) => linksIn(document, this.#links.get(document.uri.toString())) },
    ),
    workspace.onDidCloseTextDocument(({ uri }) => {
      this.#texts.delete(uri.toString());
      this.#links.delete(uri.toString());
    }),
  ];

  /** The address of a text; another text of the same title takes its place. */
  put(title: string, text: string): Uri {
    const uri = Uri.from({ scheme: 'landfall-report', path: `/${title}` });
    this.#texts.set(uri.toString(), text);
    this.#changed.fire(uri);
    return uri;
  }

  /** Opens a text beside the file that it is about. */
  async show(title: string, text: string, links: Links): Promise<void> {
    const uri = this.put(title, text);
    this.#links.set(uri.toString(), links);
    const document = await workspace.openTextDocument(uri);
    await window.showTextDocument(document, {
      viewColumn: ViewColumn.Beside,
      preserveFocus: true,
      preview: true,
    });
  }

  provideTextDocumentContent(uri: Uri): string {
    return this.#texts.get(uri.toString()) ?? 'This is gone: ask again.\n';
  }

  dispose(): void {
    for (const each of this.#disposables) each.dispose();
  }
}

function linksIn(document: TextDocument, links: Links = new Map()): DocumentLink[] {
  return [...document.getText().matchAll(wholeWords(links.keys()))].map(({ index, 0: words }) => {
    const range = new Range(document.positionAt(index), document.positionAt(index + words.length));
    return new DocumentLink(range, Uri.parse(links.get(words)!, true));
  });
}
