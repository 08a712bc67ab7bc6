import { type AuthClient, GoogleAuth, type GoogleAuthOptions, OAuth2Client } from 'google-auth-library';
import { type CallOutcome, codeInBody, keepingCall, noAnswer } from '../provider-calls.ts';
import { callName } from './call-name.ts';

/** What a token is asked for. */
export const scopes = ['https://www.googleapis.com/auth/cloud-platform'];

/**
 * Google's own search for credentials, a client that has them, or a token as it is: the library does not renew one, so it is
 * for tests and short tasks.
 */
export function openAuth(
  credentials: AuthClient | { accessToken: string } | undefined,
  beforeCall?: () => Promise<void>,
): GoogleAuth {
  if (credentials === undefined) return new HearingAuth({ scopes }, beforeCall);
  if (!('accessToken' in credentials)) return new HearingAuth({ authClient: credentials }, beforeCall);
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: credentials.accessToken });
  return new HearingAuth({ authClient }, beforeCall);
}

/**
 * The library decodes a refusal and drops its headers; of an error that the fetch itself throws it keeps everything, as the
 * `cause`. So a refusal that says when to come again is thrown here.
 */
class HearingAuth extends GoogleAuth {
  readonly #beforeCall: (() => Promise<void>) | undefined;

  constructor(options: GoogleAuthOptions<AuthClient>, beforeCall: (() => Promise<void>) | undefined) {
    super(options);
    this.#beforeCall = beforeCall;
  }

  /**
   * The library's clients ask for credentials before a call, beside it and with nobody to hear a refusal: it would end the
   * process. So it is the call itself that is refused where there are none; the next one looks for them again.
   */
  override async getClient(): Promise<AuthClient> {
    try {
      return await super.getClient();
    } catch (error) {
      const none = new OAuth2Client();
      none.fetch = () => Promise.reject(error);
      return none;
    }
  }

  override async fetch<T>(...request: Parameters<AuthClient['fetch']>) {
    await this.#beforeCall?.();
    return keepingCall(
      () => nameOf(request),
      async () => {
        const response = await super.fetch<T>(...request);
        if (!response.headers.has('retry-after') || response.ok) return response;
        const { status, headers } = response;
        const data = Buffer.from(await response.arrayBuffer()).toString('utf8');
        throw Object.assign(new Error(data), { status, response: { status, headers, data } });
      },
      { answer: outcomeOf, error: refusalOf },
    );
  }
}

function nameOf([input, init]: Parameters<AuthClient['fetch']>): string {
  if (typeof input === 'string' || input instanceof URL)
    return callName(init?.method ?? 'GET', String(input));
  return callName(input?.method ?? 'GET', String(input?.url));
}

async function outcomeOf(response: Response): Promise<CallOutcome> {
  const { status, ok } = response;
  if (ok) return { status };
  const body = await response.arrayBuffer();
  // It can be read once, and the library reads it after us.
  Object.assign(response, { arrayBuffer: async () => body });
  return { status, code: codeInBody(Buffer.from(body).toString('utf8')) };
}

function refusalOf(error: unknown): CallOutcome {
  const { status, response } = error as { status?: unknown; response?: { data?: unknown } };
  if (typeof status !== 'number') return noAnswer(error);
  return { status, code: typeof response?.data === 'string' ? codeInBody(response.data) : undefined };
}
