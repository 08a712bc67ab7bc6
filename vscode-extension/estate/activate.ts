/** The estate's part of the extension: its views, its status bar and its commands. */
import { commands, EventEmitter, type ExtensionContext } from 'vscode';
import { CurrentBroker } from '../broker/current.ts';
import { Tokens } from '../broker/tokens.ts';
import type { WatchState } from '../broker/watch.ts';
import { registerMcpServer } from '../mcp/definition.ts';
import { registerAdoptionCommands } from './adoption-commands.ts';
import { registerContextCommands } from './context-commands.ts';
import { EstateDocuments } from './document-provider.ts';
import { Estate } from './estate.ts';
import { registerFirstSteps } from './first-steps.ts';
import { registerInstanceCommands } from './instance-commands.ts';
import { registerTools } from './language-model-tools.ts';
import { ProjectsTree } from './projects-tree.ts';
import { SitesTree } from './sites-tree.ts';
import { StatusBar } from './status-bar.ts';
import type { Tree } from './tree.ts';
import { EstateView } from './tree-view.ts';
import { approvalsTree, operationsTree, violationsTree } from './work-trees.ts';

/** The views, as the manifest names them. */
const trees: Record<string, (estate: Estate) => Tree> = {
  'landfall.sites': (estate) => new SitesTree(estate),
  'landfall.projects': (estate) => new ProjectsTree(estate, estate.connection.context.project),
  'landfall.operations': operationsTree,
  'landfall.violations': violationsTree,
  'landfall.approvals': approvalsTree,
};

/** The estate of the current broker; another one after each switch. */
export class CurrentEstate {
  readonly #changed = new EventEmitter<void>();
  readonly onDidChange = this.#changed.event;
  #estate: Estate | undefined;

  get estate(): Estate | undefined {
    return this.#estate;
  }

  set estate(estate: Estate | undefined) {
    this.#estate = estate;
    this.#changed.fire();
  }
}

/** Starts it; everything ends with the extension. */
export function activateEstate(extension: ExtensionContext): CurrentEstate {
  const tokens = new Tokens(extension);
  const broker = new CurrentBroker(extension, tokens);
  const views = Object.keys(trees).map((id) => ({ id, view: new EstateView(id) }));
  const statusBar = new StatusBar();
  const current = new CurrentEstate();
  const documents = new EstateDocuments(current);
  extension.subscriptions.push(
    tokens,
    broker,
    statusBar,
    documents,
    ...views.map(({ view }) => view),
    { dispose: () => current.estate?.close() },
    broker.onDidChange((connection) => {
      current.estate?.close();
      const estate = connection && new Estate(connection);
      current.estate = estate;
      for (const { id, view } of views)
        view.show(estate && trees[id]!(estate), () => estate?.state.kind === 'live');
      statusBar.show(estate);
      say(estate ? 'connecting' : 'none');
      if (estate === undefined) return;
      let since = new Date();
      estate.listen({
        state: (state) => {
          say(state.kind);
          for (const { id, view } of views) {
            view.say(message(state, since, id === 'landfall.sites'));
            // What could not be read while there was no connection.
            if (state.kind === 'live') view.draw();
          }
          if (state.kind === 'live') since = new Date();
        },
        event: () => {
          since = new Date();
        },
        list: ({ kind }) => {
          if (kind !== 'Approval') return;
          const waiting = estate.approvals.size;
          const { view } = views.find(({ id }) => id === 'landfall.approvals')!.view;
          view.badge =
            waiting > 0 ? { value: waiting, tooltip: `${waiting} approvals are waited for` } : undefined;
        },
      });
      documents.follow(estate);
      estate.open();
    }),
  );
  registerContextCommands(extension, broker, tokens, current);
  registerInstanceCommands(extension, current, documents);
  registerAdoptionCommands(extension, current);
  registerFirstSteps(extension);
  extension.subscriptions.push(...registerTools(current), ...registerMcpServer(extension, broker));
  broker.look();
  if (broker.connection === undefined) say('none');
  return current;
}

/** For the manifest's `when` clauses. */
function say(state: WatchState['kind'] | 'none'): void {
  void commands.executeCommand('setContext', 'landfall.connection', state);
}

/** Why nothing new is shown: in full in the first view, the others only say how old they are. */
function message(state: WatchState, since: Date, full: boolean): string | undefined {
  if (state.kind === 'down') {
    // With its zone: over a remote connection it is another machine's than the person's.
    const age = `This is from ${since.toLocaleTimeString([], { timeZoneName: 'short' })}`;
    return full ? `${state.reason} ${age}; trying again.` : `Not connected. ${age}.`;
  }
  if (state.kind === 'signedOut' && full) return 'The broker does not take the token: sign in.';
  return undefined;
}
