import { hash } from 'node:crypto';
import { incomplete, type Secret, textOf } from '../secret.ts';
import { toProviderError } from './errors.ts';

/** An access key, as the SDK takes it. */
export interface AwsKey {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  expiration?: Date;
  /** The account's number, where the secret names it. */
  accountId?: string;
}

/**
 * Access keys of a secret, for the SDK to ask for whenever it needs one; files and programs have the form of AWS's own
 * `credential_process`. Read once at once. Rejects with ProviderError `Unavailable`.
 */
export async function awsCredentials(secret: Secret): Promise<() => Promise<AwsKey>> {
  const key = async (): Promise<AwsKey> => {
    const value = await secret.read();
    const accessKeyId = textOf(value, 'AccessKeyId', 'ACCESS_KEY_ID');
    const secretAccessKey = textOf(value, 'SecretAccessKey', 'SECRET_ACCESS_KEY');
    const accountId = textOf(value, 'AccountId', 'ACCOUNT_ID');
    const sessionToken = textOf(value, 'SessionToken', 'SESSION_TOKEN');
    if (!accessKeyId || !secretAccessKey)
      throw incomplete(secret, {
        json: 'AccessKeyId and SecretAccessKey',
        environment: ['ACCESS_KEY_ID', 'SECRET_ACCESS_KEY'],
      });
    return {
      accessKeyId,
      secretAccessKey,
      ...(sessionToken ? { sessionToken } : {}),
      ...(accountId ? { accountId } : {}),
      ...(Number.isFinite(value.expiresAt) ? { expiration: new Date(value.expiresAt) } : {}),
    };
  };
  await key();
  return key;
}

/** Accounts' numbers that AWS told, by the endpoint and the access key: a key never changes its account. */
const told = new Map<string, string>();

/**
 * What tells an account from another: its number where the credentials name it, as those of roles, single sign-on and many profiles do;
 * else the number that AWS answers, who is asked once for each key. Where it does not answer within ten seconds, or refuses, that is said by
 * `warn`, and the digest of the access key's id stands for it, since one key is of one account. Rejects where there are no credentials.
 * @param site `keys` absent: what the SDK finds by itself, in the profile where one is named.
 */
export async function awsAccount(site: {
  keys?: () => Promise<AwsKey>;
  profile?: string;
  /** Whose Security Token Service is asked. */
  region: string;
  endpoint?: string;
  warn: (message: string) => void;
}): Promise<string> {
  const { keys, profile, region, endpoint, warn } = site;
  const { GetCallerIdentityCommand, STSClient } = await import('@aws-sdk/client-sts');
  const client = new STSClient({
    region,
    endpoint,
    profile,
    credentials: keys,
    maxAttempts: 1,
    requestHandler: { connectionTimeout: 5_000, requestTimeout: 10_000, throwOnRequestTimeout: true },
  });
  try {
    const { accountId, accessKeyId } = await client.config.credentials();
    if (accountId) return accountId;
    const key = hash('sha256', accessKeyId).slice(0, 16);
    const known = told.get(`${endpoint} ${key}`);
    if (known) return known;
    try {
      const { Account } = await client.send(new GetCallerIdentityCommand());
      if (!Account) throw new Error('AWS answered without a number');
      told.set(`${endpoint} ${key}`, Account);
      return Account;
    } catch (error) {
      const { code, details } = toProviderError(error, false);
      const reason = `${code}, ${details.providerCode}`;
      warn(
        `AWS did not say whose credentials these are (${reason}): another key of the account counts as another account`,
      );
      return `key ${key}`;
    }
  } finally {
    client.destroy();
  }
}
