/** The language server in a web worker: what an editor in a browser starts. */
import { BrowserMessageReader, BrowserMessageWriter, createConnection } from 'vscode-languageserver/browser';
import { serve } from '../language/server.ts';
import { type DataFiles, filesNotification, ready } from './files-notification.ts';
import { keep } from './node/fs.ts';

const worker = globalThis as unknown as DedicatedWorker;
worker.addEventListener(
  'message',
  ({ data }) => {
    start(data as DataFiles).catch((error: unknown) => {
      // Out of the promise, so that the editor's side hears of it.
      setTimeout(() => {
        throw error;
      });
    });
  },
  { once: true },
);

async function start({ packed }: DataFiles): Promise<void> {
  // A browser unpacks nothing at once, as the server wants it.
  for (const { path, bytes } of packed) {
    const text = new Blob([new Uint8Array(bytes)]).stream().pipeThrough(new DecompressionStream('gzip'));
    keep(path, await new Response(text as ReadableStream).text());
  }
  const connection = createConnection(new BrowserMessageReader(worker), new BrowserMessageWriter(worker));
  connection.onNotification(filesNotification, ({ files }) => {
    for (const { path, text } of files) keep(path, text);
  });
  serve(connection);
  worker.postMessage(ready);
}
