/** A client of the language server over a pair of streams: real messages, no process. */
import { PassThrough } from 'node:stream';
import { createConnection } from 'vscode-languageserver/node';
import {
  createProtocolConnection,
  type Diagnostic,
  type InitializeParams,
  type InitializeResult,
  type ProtocolConnection,
  PublishDiagnosticsNotification,
  type PublishDiagnosticsParams,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-languageserver-protocol/node';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { serve } from '../server.ts';

/** The place of `|` in a text, and the text without it. */
export function marked(text: string): { text: string; position: { line: number; character: number } } {
  const at = text.indexOf('|');
  if (at < 0) throw new Error('The text has no | in it.');
  const before = text.slice(0, at).split('\n');
  return {
    text: text.slice(0, at) + text.slice(at + 1),
    position: { line: before.length - 1, character: before.at(-1)!.length },
  };
}

export class TestClient {
  readonly connection: ProtocolConnection;
  readonly initialized: Promise<InitializeResult>;
  readonly #published: PublishDiagnosticsParams[] = [];
  #arrived: () => void = () => {};
  #version = 0;
  readonly #texts = new Map<string, TextDocument>();

  constructor(
    streams: { input: NodeJS.ReadableStream; output: NodeJS.WritableStream } = inThisProcess(),
    options: Partial<InitializeParams> = {},
  ) {
    this.connection = createProtocolConnection(
      new StreamMessageReader(streams.input),
      new StreamMessageWriter(streams.output),
    );
    this.connection.onNotification(PublishDiagnosticsNotification.type, (params) => {
      this.#published.push(params);
      this.#arrived();
    });
    this.connection.listen();
    this.initialized = this.#initialize(options);
  }

  async #initialize(options: Partial<InitializeParams>): Promise<InitializeResult> {
    const result = await this.connection.sendRequest<InitializeResult>('initialize', {
      processId: null,
      rootUri: null,
      capabilities: {},
      workspaceFolders: null,
      ...options,
    });
    await this.connection.sendNotification('initialized', {});
    return result;
  }

  async open(uri: string, text: string): Promise<void> {
    await this.initialized;
    const textDocument = { uri, languageId: 'yaml', version: ++this.#version, text };
    this.#texts.set(uri, TextDocument.create(uri, 'yaml', this.#version, text));
    await this.connection.sendNotification('textDocument/didOpen', { textDocument });
  }

  /** Changes the text to another, by the stretch in which they differ, as editors do. */
  async change(uri: string, text: string): Promise<void> {
    const before = this.#texts.get(uri)!;
    const was = before.getText();
    const most = Math.min(was.length, text.length);
    let prefix = 0;
    while (prefix < most && was[prefix] === text[prefix]) prefix++;
    let suffix = 0;
    while (suffix < most - prefix && was.at(-1 - suffix) === text.at(-1 - suffix)) suffix++;
    const range = { start: before.positionAt(prefix), end: before.positionAt(was.length - suffix) };
    const change = { range, text: text.slice(prefix, text.length - suffix) };
    const textDocument = { uri, version: ++this.#version };
    const params = { textDocument, contentChanges: [change] };
    this.#texts.set(uri, TextDocument.create(uri, 'yaml', this.#version, text));
    await this.connection.sendNotification('textDocument/didChange', params);
  }

  /** Sends a request about a place of a file. */
  async ask<T>(method: string, uri: string, more: object = {}): Promise<T> {
    return this.connection.sendRequest<T>(`textDocument/${method}`, { textDocument: { uri }, ...more });
  }

  /** The first diagnostics of the last text sent, or the first that are as wanted. */
  async diagnostics(
    uri: string,
    wanted: (found: Diagnostic[]) => boolean = () => true,
  ): Promise<Diagnostic[]> {
    const deadline = Date.now() + 20_000;
    for (;;) {
      const found = this.#published.find(
        (one) =>
          one.uri === uri &&
          (one.version === undefined || one.version === this.#texts.get(uri)?.version) &&
          wanted(one.diagnostics),
      );
      if (found !== undefined) return found.diagnostics;
      if (Date.now() > deadline)
        throw new Error(`No such diagnostics came; the last: ${JSON.stringify(this.#published.at(-1))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#arrived = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** What was published of a file, of its last text. */
  published(uri: string): Diagnostic[][] {
    const version = this.#texts.get(uri)?.version;
    return this.#published
      .filter((one) => one.uri === uri && one.version === version)
      .map(({ diagnostics }) => diagnostics);
  }

  async close(): Promise<void> {
    // No `exit`: it would end this process.
    await this.connection.sendRequest('shutdown');
    this.connection.dispose();
  }
}

function inThisProcess(): { input: PassThrough; output: PassThrough } {
  const toServer = new PassThrough();
  const toClient = new PassThrough();
  serve(createConnection(new StreamMessageReader(toServer), new StreamMessageWriter(toClient)));
  return { input: toClient, output: toServer };
}
