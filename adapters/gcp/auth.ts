import { type AuthClient, GoogleAuth, OAuth2Client } from 'google-auth-library';

/** What a token is asked for. */
export const scopes = ['https://www.googleapis.com/auth/cloud-platform'];

/**
 * Google's own search for credentials, a client that has them, or a token as it is: the library does not renew one, so it is
 * for tests and short tasks.
 */
export function openAuth(credentials: AuthClient | { accessToken: string } | undefined): GoogleAuth {
  if (credentials === undefined) return new HearingAuth({ scopes });
  if (!('accessToken' in credentials)) return new HearingAuth({ authClient: credentials });
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: credentials.accessToken });
  return new HearingAuth({ authClient });
}

/**
 * The library decodes a refusal and drops its headers; of an error that the fetch itself throws it keeps everything, as the
 * `cause`. So a refusal that says when to come again is thrown here.
 */
class HearingAuth extends GoogleAuth {
  override async fetch<T>(...request: Parameters<AuthClient['fetch']>) {
    const response = await super.fetch<T>(...request);
    if (!response.headers.has('retry-after') || response.ok) return response;
    const { status, headers } = response;
    const data = Buffer.from(await response.arrayBuffer()).toString('utf8');
    throw Object.assign(new Error(data), { status, response: { status, headers, data } });
  }
}
