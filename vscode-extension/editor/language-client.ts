/** The editor's side of the language server. */
import { join } from 'node:path';
import { type ExtensionContext, window, workspace } from 'vscode';
import { LanguageClient, TransportKind } from 'vscode-languageclient/node';

/** Starts the language server, which ends with the extension. It is not waited for: what is sent to it does so. */
export function startLanguageClient(context: ExtensionContext): LanguageClient {
  const server = { module: join(context.extensionPath, 'dist', 'server.mjs'), transport: TransportKind.ipc };
  const watcher = workspace.createFileSystemWatcher('**/*.{yaml,yml}');
  const client = new LanguageClient(
    'landfall',
    'Landfall',
    { run: server, debug: server },
    {
      // Not the estate's own YAML, which is what a broker answered.
      documentSelector: ['file', 'untitled'].map((scheme) => ({ language: 'yaml', scheme })),
      synchronize: { fileEvents: watcher },
      outputChannel: window.createOutputChannel('Landfall Language Server', { log: true }),
    },
  );
  context.subscriptions.push(client, watcher);
  // The client itself tells the person why it did not start.
  client.start().catch(() => undefined);
  return client;
}
