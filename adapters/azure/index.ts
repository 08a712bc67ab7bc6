/**
 * The Azure adapter: the contract over Resource Manager. `adapter` is the instance; `resource` what all other kinds have in
 * common, and `volume`, `snapshot`, `custom-image`, `private-network`, `firewall`, `reserved-address` what each has of its own.
 * `create` makes, `converge` and `step` bring to what is wanted, `remove` takes away, `list` and `offers` read; `stamp` holds
 * names and tags, `objects` ids and operations, `errors` what Azure's codes mean.
 */
export { createAzureAdapter } from './adapter.ts';
export type { AzureAdapterOptions } from './clients.ts';
export { azureCredentials } from './credentials.ts';
