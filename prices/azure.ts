import { architectureOf, burstableOf } from '@landfall/policies/catalogue/instance-types.ts';
import { azureSizeOf } from './azure-sizes.ts';
import { type Asking, getJson, LOOP, PriceApiError } from './get-json.ts';
import {
  decimal,
  isObject,
  type KnownSizes,
  leaveOut,
  type MachineSize,
  NO_OBJECT,
  type PricePage,
  type PriceSource,
  priceProblem,
} from './price-source.ts';

/** An item of the API, as far as it is read (https://learn.microsoft.com/rest/api/cost-management/retail-prices). */
interface Item {
  armRegionName?: unknown;
  armSkuName?: unknown;
  currencyCode?: unknown;
  meterName?: unknown;
  productName?: unknown;
  retailPrice?: unknown;
  skuName?: unknown;
  tierMinimumUnits?: unknown;
  type?: unknown;
  unitOfMeasure?: unknown;
}

/**
 * Azure Retail Prices: on-demand and spot prices of Linux machines, in USD. Needs no account. The API does not tell
 * sizes: they come from `sizes`, or from the documented series whose names fix them.
 */
export function azurePrices(
  options: { endpoint?: string; asking?: Omit<Asking, 'signal'> } = {},
): PriceSource {
  const endpoint = options.endpoint ?? 'https://prices.azure.com';
  return {
    provider: 'azure',
    async *read({ regions, sizes, resume, signal }) {
      // A resume is `<place in regions> <link of the next page>`.
      const [from = '0', link = ''] = resume?.split(' ') ?? [];
      for (let r = Number(from); r < regions.length; r++) {
        let url: string | null = r === Number(from) && link !== '' ? link : firstPage(endpoint, regions[r]!);
        const asked = new Set<string>();
        while (url !== null) {
          asked.add(url);
          const document = await getJson(url, { ...options.asking, signal });
          const { items, next } = pageOf(url, document, endpoint);
          const page = readItems(items, regions[r]!, sizes);
          if (next !== null && asked.has(next)) throw new PriceApiError(url, LOOP);
          url = next;
          const more = next !== null ? `${r} ${next}` : r + 1 < regions.length ? `${r + 1}` : null;
          yield { ...page, resume: more };
        }
      }
    },
  };
}

function firstPage(endpoint: string, region: string): string {
  if (!/^[a-z0-9]+$/.test(region)) throw new Error(`'${region}' is no name of an Azure region`);
  const url = new URL('/api/retail/prices', endpoint);
  url.searchParams.set('api-version', '2023-01-01-preview');
  url.searchParams.set('currencyCode', 'USD');
  url.searchParams.set(
    '$filter',
    `serviceName eq 'Virtual Machines' and priceType eq 'Consumption' and armRegionName eq '${region}'`,
  );
  return url.href;
}

function pageOf(url: string, document: unknown, endpoint: string): { items: Item[]; next: string | null } {
  const { Items, NextPageLink } = (document ?? {}) as { Items?: unknown; NextPageLink?: unknown };
  if (!Array.isArray(Items)) throw new PriceApiError(url, 'the answer has no Items');
  if (NextPageLink === null || NextPageLink === undefined || NextPageLink === '')
    return { items: Items as Item[], next: null };
  const next = URL.canParse(String(NextPageLink)) ? new URL(String(NextPageLink)) : null;
  if (next === null) throw new PriceApiError(url, 'the link of the next page is no URL');
  // The service writes its public address even behind a proxy: only path and query are followed.
  return { items: Items as Item[], next: new URL(`${next.pathname}${next.search}`, endpoint).href };
}

function readItems(items: Item[], region: string, sizes: KnownSizes): Omit<PricePage, 'resume'> {
  const page: Omit<PricePage, 'resume'> = { rows: [], leftOut: {} };
  for (const item of items) {
    const reason = isObject(item) ? readItem(item, region, sizes, page) : NO_OBJECT;
    if (reason !== null) leaveOut(page.leftOut, reason);
  }
  return page;
}

function readItem(
  item: Item,
  region: string,
  sizes: KnownSizes,
  { rows }: Pick<PricePage, 'rows'>,
): string | null {
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const instanceType = text(item.armSkuName);
  const kind = `${text(item.skuName)} ${text(item.meterName)}`;
  const product = text(item.productName);
  if (text(item.type) !== 'Consumption') return 'a reservation or a developer price';
  if (/\bWindows\b/.test(product)) return 'Windows';
  if (/Cloud ?Services/i.test(product)) return 'Cloud Services, not a virtual machine';
  if (/\bLow Priority\b/i.test(kind)) return 'low priority (retired; not on-demand)';
  if (/Dedicated Host/i.test(product)) return 'a dedicated host, not an instance type';
  if (instanceType === '') return 'no armSkuName';
  if (text(item.armRegionName) !== region) return 'another region than the one asked for';
  if (text(item.unitOfMeasure) !== '1 Hour') return 'a unit other than 1 Hour';
  if (text(item.currencyCode) !== 'USD') return `a price in ${text(item.currencyCode) || 'no currency'}`;
  if (decimal(item.tierMinimumUnits ?? 0) !== 0) return 'a price for bulk use';
  const problem = priceProblem(item.retailPrice);
  if (problem !== null) return problem;
  const size: MachineSize | undefined = sizes.of(instanceType) ?? sizeByName(instanceType);
  if (size === undefined) return 'no size known';
  rows.push({
    provider: 'azure',
    region,
    zone: null,
    instanceType,
    market: /\bSpot\b/i.test(kind) ? 'spot' : 'onDemand',
    ...size,
    pricePerHour: decimal(item.retailPrice)!,
  });
  return null;
}

function sizeByName(instanceType: string): MachineSize | undefined {
  const size = azureSizeOf(instanceType);
  return (
    size && {
      ...size,
      architecture: architectureOf('azure', instanceType),
      gpuName: null,
      gpuCount: 0,
      burstable: burstableOf('azure', instanceType),
    }
  );
}
