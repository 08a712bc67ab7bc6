import { type AuthClient, JWT, OAuth2Client } from 'google-auth-library';
import { incomplete, type Secret, textOf } from '../secret.ts';
import { scopes } from './auth.ts';

/**
 * Google's tokens by a secret: a service account's key, for which Google gives them, or a token itself (as
 * `gcloud auth print-access-token` prints it). Read once at once. Rejects with ProviderError `Unavailable`.
 */
export async function gcpCredentials(secret: Secret): Promise<AuthClient> {
  /** The last one made: it keeps its token for as long as the account is the same. */
  let account: { key: string; client: JWT } | undefined;
  const read = async () => {
    const value = await secret.read();
    const token = textOf(value, 'accessToken', 'access_token', 'ACCESS_TOKEN');
    if (token) return { access_token: token, expiry_date: Math.min(value.expiresAt, Date.now() + 3_600_000) };
    const { email, key } = serviceAccount(secret, value);
    if (account?.key !== key) account = { key, client: new JWT({ email, key, scopes }) };
    return account.client;
  };
  await read();
  const client = new OAuth2Client();
  client.refreshHandler = async () => {
    const found = await read();
    if (!(found instanceof JWT)) return found;
    const { token } = await found.getAccessToken();
    return { access_token: token ?? '', expiry_date: found.credentials.expiry_date ?? Date.now() };
  };
  return client;
}

/** The account and its private key: the fields of Google's key file, which in the environment is one variable. */
function serviceAccount(secret: Secret, value: Awaited<ReturnType<Secret['read']>>) {
  const text = textOf(value, 'CREDENTIALS');
  let inner = value;
  if (text) {
    try {
      inner = { ...value, fields: JSON.parse(text) as Record<string, unknown> };
    } catch {
      // Not told: a parser's words quote what it could not read.
      inner = { ...value, fields: {} };
    }
  }
  const email = textOf(inner, 'client_email');
  const key = textOf(inner, 'private_key');
  if (!email || !key)
    throw incomplete(secret, {
      json: 'client_email and private_key (a service account’s key file), or accessToken',
      environment: ['CREDENTIALS'],
    });
  return { email, key };
}
