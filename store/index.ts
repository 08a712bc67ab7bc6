/** The public surface of the store: opening it, and typed queries by resource. */
export type { Database, ImageSpec, InventoryItem, Size } from './database.ts';
export * from './decisions.ts';
export * from './errors.ts';
export * from './events.ts';
export * from './id.ts';
export * from './instances.ts';
export * from './intents.ts';
export * from './inventory.ts';
export * from './ledger.ts';
export * from './open.ts';
export * from './operations.ts';
export * from './outbox.ts';
export * from './site-offers.ts';
export * from './wants.ts';
