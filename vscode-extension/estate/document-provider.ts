/** Texts about the estate as read-only documents of the scheme `landfall`, kept true while they are open. */
import {
  Disposable,
  EventEmitter,
  Selection,
  type TextDocument,
  type TextDocumentContentProvider,
  type TextEditor,
  Uri,
  window,
  workspace,
} from 'vscode';
import type { CurrentEstate } from './activate.ts';
import { type DocumentName, readDocument } from './documents.ts';
import type { Estate } from './estate.ts';
import { isPlainKind } from './kinds.ts';
import type { Subject } from './tree.ts';

const extensions = { yaml: 'yaml', events: 'log', console: 'log', timeline: 'log' };
const tailEveryMs = 3_000;

/** Serves them, and opens them. */
export class EstateDocuments implements TextDocumentContentProvider, Disposable {
  readonly #changed = new EventEmitter<Uri>();
  readonly onDidChange = this.#changed.event;
  readonly #current: CurrentEstate;
  readonly #registered: Disposable;
  readonly #tail: NodeJS.Timeout;

  constructor(current: CurrentEstate) {
    this.#current = current;
    this.#registered = Disposable.from(
      workspace.registerTextDocumentContentProvider('landfall', this),
      workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (!isConsole(document)) return;
        for (const editor of window.visibleTextEditors) {
          // The change may have moved the cursor along already.
          const { line } = editor.selection.active;
          const begin = Math.min(...contentChanges.map(({ range }) => range.start.line));
          if (editor.document === document && line >= begin) toEnd(editor);
        }
      }),
    );
    // A console has no events: one that can be seen is read again and again.
    this.#tail = setInterval(() => {
      for (const { document } of window.visibleTextEditors)
        if (isConsole(document)) this.#changed.fire(document.uri);
    }, tailEveryMs);
  }

  /** Follows this estate's events. */
  follow(estate: Estate): void {
    estate.listen({
      event: ({ resource, operation }) => {
        for (const { uri } of workspace.textDocuments) {
          if (uri.scheme !== 'landfall') continue;
          const { what, id } = nameOf(uri);
          if (id === operation || id === resource?.id || id === resource?.name || what === 'timeline')
            this.#changed.fire(uri);
        }
      },
    });
  }

  refresh(uri: Uri): void {
    this.#changed.fire(uri);
  }

  async provideTextDocumentContent(uri: Uri): Promise<string> {
    const { estate } = this.#current;
    if (estate === undefined) return 'No broker is connected: use the command "Landfall: Switch Context".\n';
    try {
      return await readDocument(estate.connection, nameOf(uri));
    } catch (error) {
      return `${(error as Error).message}\n`;
    }
  }

  async open(what: DocumentName['what'], subject: Subject): Promise<void> {
    const document = await workspace.openTextDocument(uriOf(what, subject));
    const editor = await window.showTextDocument(document, { preview: true });
    if (what === 'console') toEnd(editor);
  }

  dispose(): void {
    clearInterval(this.#tail);
    this.#registered.dispose();
    this.#changed.dispose();
  }
}

const isConsole = ({ uri }: TextDocument): boolean =>
  uri.scheme === 'landfall' && nameOf(uri).what === 'console';

/** The cursor behind what was told last, which is so in sight. */
function toEnd(editor: TextEditor): void {
  const end = editor.document.lineAt(editor.document.lineCount - 1).range.end;
  editor.selection = new Selection(end, end);
  editor.revealRange(editor.selection);
}

/** The address of a policy's text as the broker keeps it. */
export function storedPolicyUri(name: string): Uri {
  return addressOf(`${name}.yaml`, { what: 'yaml', kind: 'PlacementPolicy', within: '', id: name });
}

function uriOf(what: DocumentName['what'], subject: Subject): Uri {
  const { kind, id } = subject;
  const named = 'name' in subject ? subject.name : undefined;
  const byName = kind === 'Site' || kind === 'Host' || kind === 'Project' || isPlainKind(kind);
  const within = kind === 'Host' ? subject.site : ('project' in subject && subject.project) || '';
  const shown =
    named ??
    (kind === 'Operation' ? `${subject.verb} ${subject.resource?.name ?? ''}`.trim() : kind.toLowerCase());
  const title = `${shown}${what === 'yaml' ? '' : ` ${what}`}.${extensions[what]}`;
  return addressOf(title, { what, kind, within, id: byName ? named! : id });
}

function addressOf(title: string, name: DocumentName): Uri {
  return Uri.from({
    scheme: 'landfall',
    path: `/${title}`,
    query: new URLSearchParams({ ...name }).toString(),
  });
}

function nameOf(uri: Uri): DocumentName {
  const query = new URLSearchParams(uri.query);
  const get = (name: string): string => query.get(name) ?? '';
  return {
    what: get('what') as DocumentName['what'],
    kind: get('kind'),
    within: get('within'),
    id: get('id'),
  };
}
