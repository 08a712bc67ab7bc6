/** The public surface of the store: opening it, and typed queries by resource. */
export * from './events.ts';
export * from './id.ts';
export * from './open.ts';
export type { Database, ImageSpec, InventoryItem } from './database.ts';
