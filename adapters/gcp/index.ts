/**
 * The Google Cloud adapter: the contract over Compute Engine. `create` asks for a machine, `converge` brings it to what is
 * wanted, `remove` takes it away, `list` and `offers` read; `stamp` holds names, tokens and labels, `errors` what Google's codes
 * and words mean.
 */
export { createGcpAdapter } from './adapter.ts';
export type { GcpAdapterOptions } from './clients.ts';
export { gcpCredentials } from './credentials.ts';
