/**
 * The AWS adapter: the contract over EC2. `create` makes, `converge` brings to what is wanted, `remove` takes away, `list` and
 * `offers` read; `stamp` holds names, tokens and tags, `errors` what EC2's codes mean.
 */
export { createAwsAdapter } from './adapter.ts';
export type { AwsAdapterOptions } from './clients.ts';
export { awsAccount, awsCredentials } from './credentials.ts';
