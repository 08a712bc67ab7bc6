/** The files of ours in the workspace: those open in the editor as it has them, the others as they are on disk. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { FixtureKind } from '@landfall/policies/file/read-tests.ts';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { formOf, LandfallFile } from './file.ts';
import { fixturesOf } from './fixtures.ts';

/** Larger files are no policies. */
const MAX_BYTES = 1024 * 1024;
/** Files looked at in a workspace; a folder with more is no workspace of ours. */
const MAX_FILES = 5_000;
const NOT_LOOKED_INTO = new Set(['node_modules', 'dist', 'build', 'target', 'vendor']);

export class Workspace {
  readonly #open = new Map<string, LandfallFile>();
  readonly #onDisk = new Map<string, LandfallFile>();
  #folders: string[] = [];
  #looked = false;

  /** The folders of the workspace, as URIs; files on disk are read when they are first asked for. */
  setFolders(uris: readonly string[]): void {
    this.#folders = uris.filter((uri) => uri.startsWith('file:')).map((uri) => fileURLToPath(uri));
    this.#looked = false;
  }

  /** Takes the text of the editor; null where the file is none of ours. */
  update(document: TextDocument): LandfallFile | null {
    const { uri } = document;
    const known = this.#open.get(uri);
    const form = formOf(uri, document.getText(), () => this.#namedByTest(uri));
    if (form === null) {
      this.#open.delete(uri);
      return null;
    }
    if (known?.form === form) {
      known.update(document);
      return known;
    }
    const file = new LandfallFile(document, form);
    this.#open.set(uri, file);
    return file;
  }

  #namedByTest(uri: string): FixtureKind | undefined {
    for (const file of this.all())
      for (const fixture of fixturesOf(file)) if (fixture.uri === uri) return fixture.kind;
    return undefined;
  }

  /** The file is no longer open: what is on disk counts. */
  close(uri: string): void {
    this.#open.delete(uri);
    this.changedOnDisk(uri);
  }

  changedOnDisk(uri: string): void {
    if (this.#looked && uri.startsWith('file:')) this.#readFromDisk(fileURLToPath(uri));
  }

  /** A file that is open. */
  file(uri: string): LandfallFile | undefined {
    return this.#open.get(uri);
  }

  /** The files that are open. */
  open(): LandfallFile[] {
    return [...this.#open.values()];
  }

  /** A file, open or on disk. */
  anyFile(uri: string): LandfallFile | undefined {
    if (this.#open.has(uri)) return this.#open.get(uri);
    this.#look();
    return this.#onDisk.get(uri);
  }

  /** Every file, those on disk too. */
  all(): LandfallFile[] {
    this.#look();
    return [...this.#open.values(), ...[...this.#onDisk.values()].filter(({ uri }) => !this.#open.has(uri))];
  }

  #look(): void {
    if (this.#looked) return;
    this.#looked = true;
    this.#onDisk.clear();
    const budget = { files: MAX_FILES };
    for (const folder of this.#folders) this.#lookInto(folder, budget);
  }

  #lookInto(folder: string, budget: { files: number }): void {
    for (const entry of entriesOf(folder)) {
      if (budget.files <= 0) return;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (!entry.name.startsWith('.') && !NOT_LOOKED_INTO.has(entry.name)) this.#lookInto(path, budget);
      } else if (/\.ya?ml$/.test(entry.name)) {
        budget.files--;
        this.#readFromDisk(path);
      }
    }
  }

  #readFromDisk(path: string): void {
    const uri = pathToFileURL(path).href;
    let text: string;
    try {
      if (!/\.ya?ml$/.test(path) || statSync(path).size > MAX_BYTES) return;
      text = readFileSync(path, 'utf8');
    } catch {
      // Gone, or not ours to read: then it counts for nothing.
      this.#onDisk.delete(uri);
      return;
    }
    // What tests name says nothing of other files.
    if (formOf(uri, text, () => undefined) === 'documents')
      this.#onDisk.set(uri, new LandfallFile(TextDocument.create(uri, 'yaml', 0, text), 'documents'));
    else this.#onDisk.delete(uri);
  }
}

function entriesOf(folder: string): import('node:fs').Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    // A folder that cannot be read has no files for us.
    return [];
  }
}
