import {
  type InventoryPage,
  type Kind,
  ProviderError,
  type SiteBackend,
  type SiteOffer,
  type Want,
  type WantRef,
} from '@landfall/adapters';
import {
  type Db,
  type InventoryItem,
  isStoreError,
  wantOfAny,
  writeInventory,
  writeSiteOffers,
} from '@landfall/store';
import { writeStep } from '@landfall/store/operation-steps.ts';

/** The store as the adapter of a cloud site reaches it: directly, in the worker that holds the site's credentials. */
export function storeBackend(db: Db, broker: string, host = ''): SiteBackend {
  return {
    async want(ref: WantRef): Promise<Want<Kind>> {
      try {
        return (await wantOfAny(db, ref, broker)).want as Want<Kind>;
      } catch (error) {
        // To be removed, or gone: nothing may be made any more. The workflow looks again.
        if (isStoreError(error)) throw new ProviderError('Conflict', error.message, {}, error);
        throw error;
      }
    },
    writeInventory: (page: InventoryPage) =>
      writeInventory(db, { ...page, host, items: page.items as InventoryItem[] }),
    writeOffers: (page: { site: string; run: string; offers: SiteOffer[]; last: boolean }) =>
      writeSiteOffers(db, { ...page, offers: page.offers.map((offer) => ({ ...offer })) }),
    writeStep: (step) => writeStep(db, step),
  };
}
