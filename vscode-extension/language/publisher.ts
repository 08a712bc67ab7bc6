/** When diagnostics are made and sent: errors at once, doubts once the typing pauses. */
import type { Connection, Diagnostic } from 'vscode-languageserver';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import {
  doubts,
  duplicates,
  missingFixtures,
  policyDiagnostics,
  resourceDiagnostics,
} from './diagnostics.ts';
import type { LandfallFile } from './file.ts';
import type { Placements } from './placements.ts';
import type { Workspace } from './workspace.ts';
import { prepareSchemas } from './yaml.ts';

/** How long nothing is typed before rules are thought through, ms. */
const PAUSE = 300;

export class DiagnosticsPublisher {
  readonly #connection: Connection;
  readonly #workspace: Workspace;
  readonly #pauses = new Map<string, NodeJS.Timeout>();
  /** What the last pause found, and the number of lines it found it on. */
  readonly #doubts = new Map<string, { lines: number; found: Diagnostic[] }>();
  readonly #placements: Placements;
  readonly #afterPause: (file: LandfallFile) => void;

  constructor(
    connection: Connection,
    workspace: Workspace,
    placements: Placements,
    afterPause: (file: LandfallFile) => void,
  ) {
    this.#connection = connection;
    this.#workspace = workspace;
    this.#placements = placements;
    this.#afterPause = afterPause;
  }

  /** The editor has a new text: the workspace knows it when this returns. */
  changed(document: TextDocument): void {
    this.#guard(this.#look(document));
  }

  closed(uri: string): void {
    clearTimeout(this.#pauses.get(uri));
    this.#pauses.delete(uri);
    this.#doubts.delete(uri);
    this.#workspace.close(uri);
    this.#guard(this.#connection.sendDiagnostics({ uri, diagnostics: [] }));
  }

  async #look(document: TextDocument): Promise<void> {
    const { uri, version } = document;
    const file = this.#workspace.update(document);
    clearTimeout(this.#pauses.get(uri));
    if (file === null) {
      await this.#connection.sendDiagnostics({ uri, version, diagnostics: [] });
      return;
    }
    const errors = policyDiagnostics(file);
    const { lines, found: doubted } = this.#doubts.get(uri) ?? { lines: 0, found: [] };
    // Until they are thought through anew, doubts stay where their lines have not moved.
    const kept = lines === document.lineCount ? doubted : [];
    const ofResources = await resourceDiagnostics(file);
    if (file.text.version !== version) return;
    await this.#connection.sendDiagnostics({
      uri,
      version,
      diagnostics: [...errors, ...ofResources, ...kept],
    });
    this.#pauses.set(
      uri,
      setTimeout(() => this.#guard(this.#think(file, [...errors, ...ofResources])), PAUSE),
    );
  }

  async #think(file: LandfallFile, before: readonly Diagnostic[]): Promise<void> {
    const { uri, text } = file;
    const all = this.#workspace.all();
    const found = [
      ...doubts(file, all),
      ...duplicates(file, all),
      ...missingFixtures(file),
      ...this.#placements.missingLabels(file),
    ];
    this.#doubts.set(uri, { lines: text.lineCount, found });
    if (this.#workspace.file(uri) !== file) return;
    await this.#connection.sendDiagnostics({
      uri,
      version: text.version,
      diagnostics: [...before, ...found],
    });
    this.#afterPause(file);
    await prepareSchemas();
  }

  /** Nobody waits for what is done here, so what fails is told in the editor's log. */
  #guard(work: Promise<void>): void {
    work.catch((error: Error) => this.#connection.console.error(error.stack ?? error.message));
  }
}
