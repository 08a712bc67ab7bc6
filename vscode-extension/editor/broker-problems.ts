/** What the broker refuses of a file, underlined where it stands. */

import { CannotChangeError, fieldOf, type Manifest, ProblemError, positionIn } from 'landfall/client.ts';
import {
  Diagnostic,
  DiagnosticSeverity,
  type Disposable,
  languages,
  Range,
  type TextDocument,
  workspace,
} from 'vscode';

/** They stay until the text changes or is asked about again. */
export class BrokerProblems implements Disposable {
  readonly #collection = languages.createDiagnosticCollection('landfall-broker');
  readonly #disposables: Disposable[] = [
    this.#collection,
    workspace.onDidChangeTextDocument(({ document }) => this.clear(document)),
    workspace.onDidCloseTextDocument((document) => this.clear(document)),
  ];

  clear({ uri }: TextDocument): void {
    this.#collection.delete(uri);
  }

  /** Underlines these, besides those that are. */
  add(document: TextDocument, manifest: Manifest, error: Error): void {
    const before = this.#collection.get(document.uri) ?? [];
    this.#collection.set(document.uri, [...before, ...diagnosticsOf(document, manifest, error)]);
  }

  dispose(): void {
    for (const each of this.#disposables) each.dispose();
  }
}

function diagnosticsOf(document: TextDocument, manifest: Manifest, error: Error): Diagnostic[] {
  const details = error instanceof ProblemError ? (error.problem.errors ?? []) : [];
  const at = (pointer: string, message: string): Diagnostic => {
    const { line, column } = positionIn(manifest, pointer);
    const { end } = document.lineAt(line - 1).range;
    const diagnostic = new Diagnostic(
      new Range(line - 1, column - 1, line - 1, end.character),
      message,
      DiagnosticSeverity.Error,
    );
    diagnostic.source = 'landfall broker';
    return diagnostic;
  };
  if (error instanceof CannotChangeError)
    return error.fixed.map(({ field, from, to }) =>
      at(
        `/${field.replaceAll('.', '/')}`,
        `${field} cannot change in place: ${JSON.stringify(from) ?? 'absent'} → ${JSON.stringify(to) ?? 'absent'}. ${error.hint}`,
      ),
    );
  if (details.length === 0) return [at('/name', error.message)];
  return details.map(({ pointer, parameter, message, suggestion }) => {
    const field = pointer ? fieldOf(pointer) : parameter;
    const advice = suggestion === undefined || message.includes(suggestion) ? '' : ` ${suggestion}`;
    return at(pointer ?? '/name', `${field ? `${field}: ` : ''}${message}${advice}`);
  });
}
