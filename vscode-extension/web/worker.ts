/** The worker that the language server runs in, and how it is talked to. */
import { type Disposable, Uri, workspace } from 'vscode';
import {
  BrowserMessageReader,
  BrowserMessageWriter,
  type DataCallback,
  type Message,
  type MessageTransports,
} from 'vscode-languageclient/browser';
import { readdressed } from './addresses.ts';
import { type DataFiles, ready } from './files-notification.ts';

/** By the addresses that the bundle reads them at (`build.ts`). */
const dataFiles = ['snapshot/catalogue.json.gz', 'facts/facts.json.gz'];
const file = 'file:///';

/** Starts it; it ends with the extension. `root`: the folder that is open. */
export async function startWorker(
  extension: Uri,
  root: Uri | undefined,
  subscriptions: Disposable[],
): Promise<MessageTransports> {
  const read = (path: string): Thenable<Uint8Array> =>
    workspace.fs.readFile(Uri.joinPath(extension, 'dist', path));
  const [program, ...packed] = await Promise.all(['web/server.js', ...dataFiles].map(read));
  // A worker cannot be had from an address of the machine that the extension was installed on: its text can.
  const address = URL.createObjectURL(new Blob([new Uint8Array(program!)], { type: 'text/javascript' }));
  const worker = new Worker(address);
  subscriptions.push({
    dispose: () => {
      worker.terminate();
      URL.revokeObjectURL(address);
    },
  });
  await new Promise<void>((started, failed) => {
    worker.onmessage = ({ data }) => data === ready && started();
    worker.onerror = ({ message }) => failed(new Error(`The language server did not start: ${message}`));
    const data: DataFiles = {
      packed: packed.map((bytes, index) => ({ path: `/landfall/${dataFiles[index]}`, bytes })),
    };
    worker.postMessage(data);
  });
  const beginning = root === undefined ? file : root.with({ path: '/', query: '', fragment: '' }).toString();
  return {
    reader: new WorkspaceReader(worker, beginning),
    writer: new WorkspaceWriter(worker, beginning),
  };
}

/** `root` is the beginning of the workspace's addresses, such as `vscode-vfs://github/`. */
class WorkspaceReader extends BrowserMessageReader {
  readonly #root: string;
  constructor(worker: Worker, root: string) {
    super(worker as never);
    this.#root = root;
  }

  override listen(callback: DataCallback): Disposable {
    return super.listen((message) => callback(readdressed(message, file, this.#root)));
  }
}

/** The same, to the server. */
class WorkspaceWriter extends BrowserMessageWriter {
  readonly #root: string;
  constructor(worker: Worker, root: string) {
    super(worker as never);
    this.#root = root;
  }

  override write(message: Message): Promise<void> {
    return super.write(readdressed(message, this.#root, file));
  }
}
