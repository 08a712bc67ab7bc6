/** The editor's side of the language server, in a browser. */
import { type ExtensionContext, FileType, type Uri, window, workspace } from 'vscode';
import { FileChangeType, LanguageClient } from 'vscode-languageclient/browser';
import { filesNotification } from './files-notification.ts';
import { startWorker } from './worker.ts';

const mostFiles = 5_000;
const mostBytes = 1024 * 1024;

/** Starts the language server in a worker, which ends with the extension. It is not waited for: what is sent to it does so. */
export function startLanguageClient(context: ExtensionContext): LanguageClient {
  const root = workspace.workspaceFolders?.[0]?.uri;
  const watcher = workspace.createFileSystemWatcher('**/*.{yaml,yml}');
  const send = async (uris: readonly Uri[]): Promise<void> =>
    client.sendNotification(filesNotification, {
      files: await Promise.all(uris.map(async (uri) => ({ path: uri.path, text: await textOf(uri) }))),
    });
  const client: LanguageClient = new LanguageClient(
    'landfall',
    'Landfall',
    () => startWorker(context.extensionUri, root, context.subscriptions),
    {
      documentSelector: [...(root ? [root.scheme] : []), 'untitled'].map((scheme) => ({
        language: 'yaml',
        scheme,
      })),
      synchronize: { fileEvents: watcher },
      outputChannel: window.createOutputChannel('Landfall Language Server', { log: true }),
      middleware: {
        // What is asked of files that are not open is known once they are sent.
        sendRequest: async (type, parameters, token, next) => {
          if ((typeof type === 'string' ? type : type.method).startsWith('landfall/')) await sent;
          return next(type, parameters, token);
        },
        workspace: {
          didChangeWatchedFile: async (event, next) => {
            await send([client.protocol2CodeConverter.asUri(event.uri)]);
            await next(event);
          },
        },
      },
    },
  );
  context.subscriptions.push(client, watcher);
  const sendAll = async (): Promise<void> => {
    await client.start();
    const found = await workspace.findFiles(
      '**/*.{yaml,yml}',
      '**/{node_modules,dist,build,target,vendor}/**',
      mostFiles,
    );
    await send(found);
    await client.sendNotification('workspace/didChangeWatchedFiles', {
      changes: found.map((uri) => ({
        uri: client.code2ProtocolConverter.asUri(uri),
        type: FileChangeType.Created,
      })),
    });
  };
  // The client itself tells the person why it did not start.
  const sent = sendAll().catch((error: Error) => client.warn(error.message));
  return client;
}

/** Undefined where it is gone, or too large to be a policy. */
async function textOf(uri: Uri): Promise<string | undefined> {
  try {
    const { type, size } = await workspace.fs.stat(uri);
    if (type !== FileType.File || size > mostBytes) return undefined;
    return new TextDecoder().decode(await workspace.fs.readFile(uri));
  } catch {
    return undefined;
  }
}
