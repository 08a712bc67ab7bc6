/** The public surface of the adapters package: the contract, its errors, kinds, and the adapters as Temporal activities. */
export * from './activities.ts';
export * from './contract.ts';
export * from './discovery.ts';
export * from './errors.ts';
export * from './kinds.ts';
