import { incomplete, type Secret, textOf } from '../secret.ts';

/** An access key, as the SDK takes it. */
export interface AwsKey {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  expiration?: Date;
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
      ...(Number.isFinite(value.expiresAt) ? { expiration: new Date(value.expiresAt) } : {}),
    };
  };
  await key();
  return key;
}
