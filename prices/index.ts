/** The providers' price APIs, read into rows of the catalogue. How prices come into force: docs/catalogue.md. */
export { awsPrices } from './aws.ts';
export { azurePrices } from './azure.ts';
export { gcpPrices } from './gcp.ts';
export { PriceApiError, PriceApiUnreachable } from './get-json.ts';
export { regionsOf, sizesOf } from './known-sizes.ts';
export { priceList, UnusablePrices } from './price-list.ts';
export type { KnownSizes, LeftOut, MachineSize, PricePage, PriceSource } from './price-source.ts';
