/** Commands about which broker the window is connected to. */
import {
  commands,
  type ExtensionContext,
  type QuickPickItem,
  QuickPickItemKind,
  ThemeIcon,
  window,
} from 'vscode';
import { OriginRefusedError } from '../broker/connection.ts';
import { brokerUrl, type CliContext, type Context, localName } from '../broker/contexts.ts';
import type { CurrentBroker } from '../broker/current.ts';
import type { Tokens } from '../broker/tokens.ts';
import type { CurrentEstate } from './activate.ts';
import { checkout, runInTerminal } from './command-line.ts';

export function registerContextCommands(
  extension: ExtensionContext,
  broker: CurrentBroker,
  tokens: Tokens,
  current: CurrentEstate,
): void {
  const register = (name: string, run: () => unknown): void => {
    extension.subscriptions.push(
      commands.registerCommand(`landfall.${name}`, async () => {
        try {
          await run();
        } catch (error) {
          if (error instanceof OriginRefusedError) return; // told already, with what to set
          void window.showErrorMessage(`Landfall: ${(error as Error).message}`);
        }
      }),
    );
  };
  register('switchContext', () => switchContext(broker));
  register('addBroker', () => addBroker(broker));
  register('signIn', async () => {
    const context = await whichBroker(broker, 'Sign in to which broker?');
    if (context) await tokens.createSession([context.url]);
  });
  register('signOut', async () => {
    const sessions = await tokens.getSessions();
    if (sessions.length === 0) return void window.showInformationMessage('Landfall: nobody is signed in.');
    const picked =
      sessions.length === 1
        ? sessions[0]
        : (
            await window.showQuickPick(
              sessions.map((session) => ({ label: session.account.label, description: session.id, session })),
              { placeHolder: 'Sign out of which broker?' },
            )
          )?.session;
    if (picked) await tokens.removeSession(picked.id);
  });
  register('refresh', () => {
    broker.look();
    current.estate?.refresh();
  });
  register('startLocal', () => {
    const cwd = checkout();
    if (cwd !== undefined) return runInTerminal({ name: 'Landfall', cwd }, 'npm run up');
    const open = 'Open Folder';
    void window
      .showInformationMessage(
        'Landfall: it is started in a checkout of Landfall; open its folder first.',
        open,
      )
      .then((answer) => answer && commands.executeCommand('vscode.openFolder'));
  });
}

async function switchContext(broker: CurrentBroker): Promise<void> {
  const { contexts, cli } = broker.contexts();
  const now = broker.connection?.context;
  type Item = QuickPickItem & { context?: Context; imported?: CliContext; add?: true };
  const items: Item[] = [
    ...contexts.map((context) => ({
      label: context.name,
      description: `${context.url}, project ${context.project}`,
      detail: context.name === now?.name ? 'Current' : undefined,
      iconPath: new ThemeIcon(context.from === 'local' ? 'home' : 'cloud'),
      context,
    })),
    ...(cli.length > 0 ? [{ label: 'Of the command line', kind: QuickPickItemKind.Separator }] : []),
    ...cli.map((imported) => ({
      label: imported.context.name,
      description: `${imported.context.url}, project ${imported.context.project}`,
      detail: 'Take it over, with its token',
      iconPath: new ThemeIcon('cloud-download'),
      imported,
    })),
    { label: '', kind: QuickPickItemKind.Separator },
    { label: 'Add a broker…', iconPath: new ThemeIcon('add'), add: true },
  ];
  const picked = await window.showQuickPick(items, {
    placeHolder: 'Which Landfall?',
    matchOnDescription: true,
  });
  if (picked?.context) await broker.choose(picked.context);
  else if (picked?.imported) await broker.add(picked.imported.context, picked.imported.token);
  else if (picked?.add) await addBroker(broker);
}

async function addBroker(broker: CurrentBroker): Promise<void> {
  const given = await window.showInputBox({
    title: 'Add a broker (1/4)',
    prompt: 'Its address',
    placeHolder: 'https://landfall.example',
    ignoreFocusOut: true,
    validateInput: (text) => {
      const address = brokerUrl(text);
      return 'problem' in address ? address.problem : undefined;
    },
  });
  const address = brokerUrl(given);
  if (given === undefined || 'problem' in address) return;
  const { url } = address;
  const taken = broker.contexts().contexts.map(({ name }) => name);
  const name = await window.showInputBox({
    title: 'Add a broker (2/4)',
    prompt: 'A name to show',
    value: new URL(url).hostname,
    ignoreFocusOut: true,
    validateInput: (text) =>
      text.trim() === ''
        ? 'A name is needed.'
        : text === localName || taken.includes(text)
          ? `"${text}" is taken.`
          : undefined,
  });
  if (name === undefined) return;
  const project = await window.showInputBox({
    title: 'Add a broker (3/4)',
    prompt: 'The project that you work in',
    value: 'default',
    ignoreFocusOut: true,
  });
  if (project === undefined) return;
  const token = await window.showInputBox({
    title: 'Add a broker (4/4)',
    prompt: 'Your token (lf_…). It is kept in the secret storage.',
    password: true,
    ignoreFocusOut: true,
  });
  if (!token) return;
  await broker.add({ name, url, project: project || 'default', from: 'settings' }, token.trim());
}

/** The current one; where there is none, one of those known. */
async function whichBroker(broker: CurrentBroker, placeHolder: string): Promise<Context | undefined> {
  if (broker.connection) return broker.connection.context;
  const { contexts } = broker.contexts();
  if (contexts.length === 0) {
    await addBroker(broker);
    return undefined;
  }
  const picked = await window.showQuickPick(
    contexts.map((context) => ({ label: context.name, description: context.url, context })),
    { placeHolder },
  );
  return picked?.context;
}
