/** The broker that the window is connected to, and those that it could be. */
import {
  commands,
  type Disposable,
  EventEmitter,
  type ExtensionContext,
  type Uri,
  window,
  workspace,
} from 'vscode';
import { BrokerConnection } from './connection.ts';
import {
  type CliContext,
  type Context,
  contextsOfCli,
  contextsOfSettings,
  localContext,
  localToken,
  settingOf,
} from './contexts.ts';
import { tellOriginRefused } from './origin-refused.ts';
import type { Tokens } from './tokens.ts';

const chosenKey = 'landfall.context';

/** A local broker that comes up, or moves to another port, is found within so long. */
const lookEveryMs = 3_000;

/** The window's connection. */
export class CurrentBroker implements Disposable {
  readonly #extension: ExtensionContext;
  readonly #tokens: Tokens;
  readonly #changed = new EventEmitter<BrokerConnection | undefined>();
  /** Another broker is current, or none, or the same one with another token. */
  readonly onDidChange = this.#changed.event;
  readonly #disposables: Disposable[];
  readonly #looking: NodeJS.Timeout;
  #connection: BrokerConnection | undefined;
  #said = '';

  constructor(extension: ExtensionContext, tokens: Tokens) {
    this.#extension = extension;
    this.#tokens = tokens;
    this.#disposables = [
      this.#changed,
      workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('landfall.brokers')) this.look();
      }),
      workspace.onDidChangeWorkspaceFolders(() => this.look()),
      tokens.onDidChangeSessions(({ added, removed }) => {
        const url = this.#connection?.context.url;
        if ([...(added ?? []), ...(removed ?? [])].some(({ id }) => id === url))
          this.#connect(this.current());
      }),
    ];
    this.#looking = setInterval(() => this.look(), lookEveryMs);
  }

  get connection(): BrokerConnection | undefined {
    return this.#connection;
  }

  /** Connects to what is current now, unless that is so already. */
  look(): void {
    const context = this.current();
    const { context: connected } = this.#connection ?? {};
    if (
      context?.url !== connected?.url ||
      context?.project !== connected?.project ||
      context?.name !== connected?.name
    )
      this.#connect(context);
  }

  /** The chosen context, else the local broker, else the only one of the settings. */
  current(): Context | undefined {
    const { contexts } = this.contexts();
    const chosen = this.#extension.workspaceState.get<string>(chosenKey);
    const [first, ...others] = contexts;
    return (
      contexts.find(({ name }) => name === chosen) ??
      contexts.find(({ from }) => from === 'local') ??
      (others.length === 0 ? first : undefined)
    );
  }

  /** What can be connected to, and what the command line knows besides. */
  contexts(): { contexts: Context[]; cli: CliContext[] } {
    const { contexts, problems } = contextsOfSettings(workspace.getConfiguration('landfall').get('brokers'));
    const folders = (workspace.workspaceFolders ?? []).map(({ uri }: { uri: Uri }) => uri.fsPath);
    let local: Context | undefined;
    try {
      local = localContext(folders, process.env);
    } catch (cause) {
      problems.push({ where: 'the local data folder', message: (cause as Error).message });
    }
    const known = local ? [local, ...contexts] : contexts;
    const cli = contextsOfCli(process.env);
    const said = [...problems, ...cli.problems]
      .map(({ where, message }) => `${where}: ${message}`)
      .join('\n');
    if (said !== this.#said) {
      this.#said = said;
      if (said)
        void window.showWarningMessage(`Landfall: ${said}`, 'Open Settings').then((answer) => {
          if (answer) void commands.executeCommand('workbench.action.openSettings', 'landfall.brokers');
        });
    }
    return {
      contexts: known,
      cli: cli.contexts.filter(
        ({ context }) => !known.some(({ url, name }) => url === context.url || name === context.name),
      ),
    };
  }

  async choose({ name }: Context): Promise<void> {
    await this.#extension.workspaceState.update(chosenKey, name);
    this.look();
  }

  /** Writes it into the user's settings and connects to it. Throws what the broker says of the token. */
  async add(context: Context, token?: string): Promise<void> {
    if (token !== undefined) await this.#tokens.take(context.url, token);
    const settings = workspace.getConfiguration('landfall');
    const brokers = settings.inspect<object[]>('brokers')?.globalValue ?? [];
    const entry = settingOf(context);
    await settings.update('brokers', [...brokers, entry], true);
    await this.#extension.workspaceState.update(chosenKey, entry.name);
    this.look();
  }

  dispose(): void {
    clearInterval(this.#looking);
    this.#connection?.close();
    for (const each of this.#disposables) each.dispose();
  }

  #connect(context: Context | undefined): void {
    this.#connection?.close();
    this.#connection =
      context &&
      new BrokerConnection(context, {
        token: async () =>
          (await this.#tokens.of(context.url)) ??
          (context.dataFolder ? localToken(context.dataFolder) : undefined),
        refused: () => this.#refused(context),
        originRefused: tellOriginRefused,
      });
    this.#changed.fire(this.#connection);
  }

  #refused({ name, url }: Context): void {
    void window
      .showWarningMessage(
        `Landfall: sign in to the broker "${name}" (${url}); it does not take the token.`,
        'Sign In',
      )
      .then((answer) => {
        if (answer) void commands.executeCommand('landfall.signIn');
      });
  }
}
