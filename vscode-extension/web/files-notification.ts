/** What the editor tells the language server in a browser, which cannot read files itself. */
import { NotificationType } from 'vscode-languageserver-protocol';

/** The first message to the worker: data files by the addresses that the server reads them at, as they are packed. */
export interface DataFiles {
  packed: { path: string; bytes: Uint8Array }[];
}

/** The worker's answer to it: from then on it speaks the Language Server Protocol. */
export const ready = 'ready';

/** Files of the workspace as they are now; without a text they are gone. Sent before the change of them is told. */
export const filesNotification = new NotificationType<{ files: { path: string; text?: string }[] }>(
  'landfall/files',
);
