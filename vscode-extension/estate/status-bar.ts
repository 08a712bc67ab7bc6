/** The status bar: which broker, how the connection is, what goes on and what it costs. */
import {
  type Disposable,
  MarkdownString,
  StatusBarAlignment,
  type StatusBarItem,
  ThemeColor,
  window,
  workspace,
} from 'vscode';
import { type Estate, isOpen } from './estate.ts';
import { readSpending, spendOf } from './spending.ts';
import { dotted } from './tree.ts';

/** Numbers are summed again at most so often. */
const drawAfterMs = 250;

/** One item, for the whole window. */
export class StatusBar implements Disposable {
  readonly #item: StatusBarItem;
  #estate: Estate | undefined;
  #unlisten = (): void => undefined;
  #drawing: NodeJS.Timeout | undefined;
  #down = '';
  #reading = false;
  #again = false;

  constructor() {
    this.#item = window.createStatusBarItem('landfall.status', StatusBarAlignment.Left, 50);
    this.#item.name = 'Landfall';
    this.#item.command = 'landfall.switchContext';
  }

  show(estate: Estate | undefined): void {
    this.#unlisten();
    this.#estate = estate;
    this.#down = '';
    this.#unlisten =
      estate?.listen({
        list: ({ kind }, { structural }) => {
          // The machines of a new project are not read yet, and many new ones at once are more pages.
          if (structural && (kind === 'Project' || kind === 'Instance') && estate.state.kind === 'live')
            void this.#read(estate);
          if (kind === 'Operation' || kind === 'Instance' || kind === 'Project') this.#later();
        },
        state: (state) => {
          this.#down = state.kind === 'down' ? state.reason : '';
          if (state.kind === 'live') void this.#read(estate);
          this.#later();
        },
      }) ?? (() => undefined);
    this.#draw();
  }

  dispose(): void {
    this.#unlisten();
    clearTimeout(this.#drawing);
    this.#item.dispose();
  }

  /** What no view may have asked for yet. A failure is the connection's, which says so itself. */
  async #read(estate: Estate): Promise<void> {
    this.#again = this.#reading;
    if (this.#reading) return;
    this.#reading = true;
    try {
      await estate.operations.load();
      await estate.approvals.load();
      if (workspace.getConfiguration('landfall').get('statusBar.spend')) await readSpending(estate);
    } catch {
      // Read again when the connection is back.
      this.#again = false;
    }
    this.#reading = false;
    if (this.#again) void this.#read(estate);
    this.#later();
  }

  #later(): void {
    this.#drawing ??= setTimeout(() => {
      this.#drawing = undefined;
      this.#draw();
    }, drawAfterMs);
  }

  #draw(): void {
    const estate = this.#estate;
    if (estate === undefined) {
      this.#item.hide();
      return;
    }
    const { name, url, project } = estate.connection.context;
    const { kind } = estate.state;
    const running = estate.operations.items().filter(isOpen).length;
    const spend = workspace.getConfiguration('landfall').get('statusBar.spend') ? spendOf(estate) : undefined;
    const perDay = spend && `${money(spend.perDay, spend.currency)}${spend.partial ? '+' : ''}/day`;
    const icon = { live: 'cloud', connecting: 'sync~spin', down: 'debug-disconnect', signedOut: 'key' }[kind];
    this.#item.text = `$(${icon}) ${dotted(name, running > 0 && `$(sync~spin) ${running}`, perDay)}`;
    this.#item.backgroundColor =
      kind === 'down' || kind === 'signedOut' ? new ThemeColor('statusBarItem.warningBackground') : undefined;
    const tooltip = new MarkdownString(undefined, true);
    const connection = {
      live: 'Connected; changes are shown as they happen.',
      connecting: 'Connecting…',
      down: `Not connected: ${this.#down} It is tried again by itself; what is shown is from before.`,
      signedOut: 'The broker does not take the token.',
    }[kind];
    tooltip.appendText(`Landfall ${name}: ${url}, project ${project}\n${connection}\n`);
    if (running > 0) tooltip.appendText(`${running} operations go on\n`);
    if (spend)
      tooltip.appendText(
        `${spend.machines} machines cost ${money(spend.perDay, spend.currency)} a day at today's prices${spend.partial ? ', and there are more than were read' : ''}\n`,
      );
    tooltip.isTrusted = {
      enabledCommands: ['landfall.switchContext', 'landfall.signIn', 'landfall.refresh'],
    };
    tooltip.appendMarkdown(
      '\n[Switch Context](command:landfall.switchContext) · [Sign In](command:landfall.signIn) · [Refresh](command:landfall.refresh)',
    );
    this.#item.tooltip = tooltip;
    this.#item.show();
  }
}

function money(amount: number, currency: string): string {
  const number = amount.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return currency === 'USD' ? `$${number}` : `${number} ${currency}`;
}
