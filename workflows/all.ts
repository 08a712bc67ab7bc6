/** Every workflow: the entry of the bundle that runs in the deterministic sandbox. Nothing else may be exported here. */

export { compliance, complianceOnChange } from './compliance.ts';
export { readConsole } from './console.ts';
export { discoverUnmanaged } from './discover.ts';
export { audit, expire, refreshOffers, sweep } from './estate.ts';
export { instance } from './instance.ts';
export { catalogueUpkeep, priceRefresh } from './price-refresh.ts';
export { resource } from './resource.ts';
