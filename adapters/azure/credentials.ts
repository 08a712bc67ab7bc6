import { ClientSecretCredential, type TokenCredential } from '@azure/identity';
import { incomplete, type Secret, textOf } from '../secret.ts';

/**
 * Azure's tokens by a secret: a service principal's id, secret and tenant, for which Azure gives them, or a token itself (as
 * `az account get-access-token` prints it). Read once at once. Rejects with ProviderError `Unavailable`.
 */
export async function azureCredentials(secret: Secret): Promise<TokenCredential> {
  /** The last one made: it keeps its tokens for as long as the principal is the same. */
  let principal: { key: string; credential: ClientSecretCredential } | undefined;
  const read = async (): Promise<TokenCredential> => {
    const value = await secret.read();
    const token = textOf(value, 'accessToken', 'access_token', 'ACCESS_TOKEN');
    if (token) {
      // From the environment nothing says until when; Azure's last an hour, and a refusal tells when it was less.
      const expiresOnTimestamp = Math.min(value.expiresAt, Date.now() + 3_600_000);
      return { getToken: async () => ({ token, expiresOnTimestamp }) };
    }
    const tenant = textOf(value, 'tenantId', 'tenant', 'TENANT_ID');
    const client = textOf(value, 'clientId', 'appId', 'CLIENT_ID');
    const password = textOf(value, 'clientSecret', 'password', 'CLIENT_SECRET');
    if (!tenant || !client || !password)
      throw incomplete(secret, {
        json: 'tenantId, clientId and clientSecret, or accessToken',
        environment: ['TENANT_ID', 'CLIENT_ID', 'CLIENT_SECRET'],
      });
    const key = [tenant, client, password].join('\n');
    if (principal?.key !== key)
      principal = { key, credential: new ClientSecretCredential(tenant, client, password) };
    return principal.credential;
  };
  await read();
  return { getToken: async (scopes, options) => (await read()).getToken(scopes, options) };
}
