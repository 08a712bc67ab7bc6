/** Tells a person in a browser what the broker must be started with. */
import { env, window } from 'vscode';
import type { OriginRefusedError } from './connection.ts';

export function tellOriginRefused({ message, setting }: OriginRefusedError): void {
  void window.showErrorMessage(`Landfall: ${message}`, 'Copy Setting').then((answer) => {
    if (answer) void env.clipboard.writeText(setting);
  });
}
