/** Tells the language server which names the connected broker knows, and when its answers may be others, as long as it is connected. */
import type { ExtensionContext } from 'vscode';
import type { BaseLanguageClient as LanguageClient } from 'vscode-languageclient';
import type { CurrentEstate } from '../estate/activate.ts';
import type { Estate } from '../estate/estate.ts';
import { changesAnswers, changesNames, readNames } from '../estate/names.ts';
import { type EstateNames, estateNotification } from '../language/protocol.ts';

/** Changes are collected so long before names are read again: a busy estate changes all the time. */
const collectMs = 2_000;

/** Sends them on each connection, after changes, and that there are none once there is no broker. */
export function sendEstateNames(
  context: ExtensionContext,
  client: LanguageClient,
  current: CurrentEstate,
): void {
  let unlisten = (): void => undefined;
  let timer: NodeJS.Timeout | undefined;
  let changes = 0;
  const send = (names: EstateNames): void => {
    void client.sendNotification(estateNotification, names);
  };
  const read = async (estate: Estate): Promise<void> => {
    try {
      const names = await readNames(estate.connection);
      if (current.estate === estate && estate.state.kind === 'live') send({ ...names, changes });
    } catch (error) {
      // The watch says that the broker is away, and when it is back.
      if (!estate.connection.closed.aborted) client.warn((error as Error).message);
    }
  };
  const follow = (estate: Estate | undefined): void => {
    unlisten();
    clearTimeout(timer);
    timer = undefined;
    send({ connected: false });
    if (estate === undefined) return;
    if (estate.state.kind === 'live') void read(estate);
    unlisten = estate.listen({
      state: ({ kind }) => {
        if (kind === 'live') void read(estate);
        else send({ connected: false });
      },
      // Events were missed.
      reload: () => {
        changes++;
      },
      event: (event) => {
        if (changesAnswers(event)) changes++;
        else if (!changesNames(event)) return;
        timer ??= setTimeout(() => {
          timer = undefined;
          void read(estate);
        }, collectMs);
      },
    });
  };
  context.subscriptions.push(
    current.onDidChange(() => follow(current.estate)),
    {
      dispose: () => {
        unlisten();
        clearTimeout(timer);
      },
    },
  );
  follow(current.estate);
}
