/**
 * The Azure adapter: the contract over Resource Manager. `create` makes, `converge` brings to what is wanted, `remove` takes
 * away, `list` and `offers` read; `stamp` holds names and tags, `objects` ids and operations, `errors` what Azure's codes mean.
 */
export { createAzureAdapter } from './adapter.ts';
export type { AzureAdapterOptions } from './clients.ts';
export { azureCredentials } from './credentials.ts';
