/** Tokens of brokers, in the editor's secret storage and nowhere else; to the editor they are accounts. */
import {
  type AuthenticationProvider,
  type AuthenticationProviderAuthenticationSessionsChangeEvent,
  type AuthenticationSession,
  authentication,
  type Disposable,
  EventEmitter,
  type ExtensionContext,
  window,
} from 'vscode';
import { BrokerConnection, body, ProblemError } from './connection.ts';
import type { Context } from './contexts.ts';
import { machineOf } from './loopback.ts';
import { tellOriginRefused } from './origin-refused.ts';

/** Which accounts there are, by their keys; their tokens are in the secret storage. */
const accountsKey = 'landfall.accounts';
/** A broker's address, with the machine where it means another broker on each. */
const accountKey = (url: string): string => [url, machineOf(url)].filter(Boolean).join(' ');
const secretKey = (url: string): string => `landfall.token ${accountKey(url)}`;

/** A session's scope is the broker's address. */
export class Tokens implements AuthenticationProvider, Disposable {
  readonly #changed = new EventEmitter<AuthenticationProviderAuthenticationSessionsChangeEvent>();
  readonly onDidChangeSessions = this.#changed.event;
  readonly #extension: ExtensionContext;
  readonly #provider: Disposable;

  constructor(extension: ExtensionContext) {
    this.#extension = extension;
    this.#provider = authentication.registerAuthenticationProvider('landfall', 'Landfall', this, {
      supportsMultipleAccounts: true,
    });
  }

  of(url: string): Thenable<string | undefined> {
    return this.#extension.secrets.get(secretKey(url));
  }

  async getSessions(scopes?: readonly string[]): Promise<AuthenticationSession[]> {
    const sessions: AuthenticationSession[] = [];
    for (const [key, label] of Object.entries(this.#accounts())) {
      const [url] = key.split(' ') as [string];
      if (accountKey(url) !== key) continue; // of another machine
      if (scopes && scopes.length > 0 && !scopes.includes(url)) continue;
      const accessToken = await this.of(url);
      if (accessToken !== undefined) sessions.push(session(url, label, accessToken));
    }
    return sessions;
  }

  /** Asks for a token, and takes it when the broker does. */
  async createSession(scopes: readonly string[]): Promise<AuthenticationSession> {
    const [url] = scopes;
    if (url === undefined) throw new Error('Which broker? Use the command "Landfall: Sign In".');
    const token = await window.showInputBox({
      title: `Sign in to ${url}`,
      prompt: 'A token of the broker (lf_…). `landfall token create` makes one.',
      password: true,
      ignoreFocusOut: true,
      validateInput: (text) => (text.trim() === '' ? 'A token begins with lf_.' : undefined),
    });
    if (token === undefined) throw new Error('Not signed in: no token was given.');
    return this.take(url, token.trim());
  }

  async removeSession(url: string): Promise<void> {
    const [removed] = await this.getSessions([url]);
    const { [accountKey(url)]: _, ...others } = this.#accounts();
    await this.#extension.globalState.update(accountsKey, others);
    await this.#extension.secrets.delete(secretKey(url));
    if (removed) this.#changed.fire({ added: [], removed: [removed], changed: [] });
  }

  /** Keeps a token that the broker takes; throws what the broker says of another. */
  async take(url: string, token: string): Promise<AuthenticationSession> {
    const context: Context = { name: url, url, project: 'default', from: 'settings' };
    const connection = new BrokerConnection(context, {
      token: async () => token,
      refused: () => undefined,
      originRefused: tellOriginRefused,
    });
    try {
      const { name, role } = await body(connection.client.GET('/v1/whoami'));
      const label = `${name} (${role}) at ${new URL(url).host}`;
      await this.#extension.secrets.store(secretKey(url), token);
      await this.#extension.globalState.update(accountsKey, {
        ...this.#accounts(),
        [accountKey(url)]: label,
      });
      const added = session(url, label, token);
      this.#changed.fire({ added: [added], removed: [], changed: [] });
      return added;
    } catch (error) {
      if (error instanceof ProblemError && error.problem.status === 401)
        throw new Error(`the broker does not take this token. ${error.message}`);
      throw error;
    } finally {
      connection.close();
    }
  }

  dispose(): void {
    this.#provider.dispose();
    this.#changed.dispose();
  }

  /** Their labels by their keys. */
  #accounts(): Record<string, string> {
    return this.#extension.globalState.get(accountsKey, {});
  }
}

function session(url: string, label: string, accessToken: string): AuthenticationSession {
  return { id: url, accessToken, account: { id: url, label }, scopes: [url] };
}
