import { hash } from 'node:crypto';
import { EC2Client } from '@aws-sdk/client-ec2';
import { incomplete, type Secret, textOf } from '../secret.ts';

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

/**
 * What tells an account from another: its number where the credentials name it, as those of roles, single sign-on and many profiles do;
 * else the digest of the access key's id, since one key is of one account. No call is made for it.
 * @param keys absent: what the SDK finds by itself, in the profile where one is named. Rejects where it finds nothing.
 */
export async function awsAccount(keys?: () => Promise<AwsKey>, profile?: string): Promise<string> {
  // The region is of no matter: nothing is asked.
  const client = new EC2Client({ region: 'us-east-1', credentials: keys, profile });
  const { accountId, accessKeyId } = await client.config.credentials();
  client.destroy();
  return accountId ?? `key ${hash('sha256', accessKeyId).slice(0, 16)}`;
}
