/** The public surface of the store: opening it, and typed queries by resource. */

export * from './adoptions.ts';
export * from './approvals.ts';
export * from './capabilities.ts';
export * from './catalogues.ts';
export type {
  Database,
  ImageSpec,
  InventoryItem,
  ResourceKind,
  ResourceSpec,
  ResourceStatus,
  Size,
} from './database.ts';
export * from './decisions.ts';
export * from './drift.ts';
export * from './errors.ts';
export * from './estate.ts';
export * from './events.ts';
export * from './id.ts';
export * from './instance-networks.ts';
export * from './instances.ts';
export * from './intents.ts';
export * from './inventory.ts';
export * from './ledger.ts';
export * from './limits.ts';
export * from './open.ts';
export * from './operations.ts';
export * from './outbox.ts';
export * from './price-lists.ts';
export * from './price-refreshes.ts';
export * from './releases.ts';
export * from './replacements.ts';
export * from './resource-adoptions.ts';
export * from './resource-intents.ts';
export * from './resource-kinds.ts';
export * from './resource-references.ts';
export * from './resource-releases.ts';
export * from './resources.ts';
export * from './site-calls.ts';
export * from './site-offers.ts';
export * from './wants.ts';
