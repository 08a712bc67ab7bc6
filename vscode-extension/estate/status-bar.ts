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
import { Spending } from './spending.ts';
import { dotted } from './tree.ts';

/** It is drawn again at most so often. */
const drawAfterMs = 250;
/** What runs has cost more by then. */
const tickMs = 10_000;

/** One item, for the whole window. */
export class StatusBar implements Disposable {
  readonly #item: StatusBarItem;
  #estate: Estate | undefined;
  #spending: Spending | undefined;
  readonly #ticking = setInterval(() => this.#tick(false), tickMs);
  #unlisten = (): void => undefined;
  #drawing: NodeJS.Timeout | undefined;
  #down = '';

  constructor() {
    this.#item = window.createStatusBarItem('landfall.status', StatusBarAlignment.Left, 50);
    this.#item.name = 'Landfall';
    this.#item.command = 'landfall.switchContext';
  }

  show(estate: Estate | undefined): void {
    this.#unlisten();
    this.#estate = estate;
    this.#spending = estate && new Spending(estate.connection, () => this.#later());
    this.#down = '';
    this.#unlisten =
      estate?.listen({
        list: ({ kind }) => {
          if (kind === 'Operation') this.#later();
        },
        event: ({ resource }) => {
          if (resource?.kind === 'Instance') this.#tick(true);
        },
        state: (state) => {
          this.#down = state.kind === 'down' ? state.reason : '';
          if (state.kind === 'live') {
            void this.#read(estate);
            this.#tick(true);
          }
          this.#later();
        },
      }) ?? (() => undefined);
    this.#draw();
  }

  dispose(): void {
    this.#unlisten();
    clearTimeout(this.#drawing);
    clearInterval(this.#ticking);
    this.#item.dispose();
  }

  /** What no view may have asked for yet. A failure is the connection's, which says so itself. */
  async #read(estate: Estate): Promise<void> {
    try {
      await estate.operations.load();
      await estate.approvals.load();
    } catch {
      // Read again when the connection is back.
    }
    this.#later();
  }

  #tick(changed: boolean): void {
    if (this.#estate?.state.kind !== 'live' || !spendIsShown()) return;
    this.#spending?.[changed ? 'changed' : 'tick'](Date.now());
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
    const spend = spendIsShown() ? this.#spending?.words(Date.now()) : undefined;
    const icon = { live: 'cloud', connecting: 'sync~spin', down: 'debug-disconnect', signedOut: 'key' }[kind];
    this.#item.text = `$(${icon}) ${dotted(name, running > 0 && `$(sync~spin) ${running}`, spend?.today)}`;
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
    for (const line of spend?.lines ?? []) tooltip.appendText(`${line}\n`);
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

function spendIsShown(): boolean {
  return workspace.getConfiguration('landfall').get('statusBar.spend') === true;
}
