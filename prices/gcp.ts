import type { CatalogueRow } from '@landfall/policies';
import { type Asking, getJson, LOOP, PriceApiError } from './get-json.ts';
import {
  decimal,
  isObject,
  type KnownSizes,
  type LeftOut,
  leaveOut,
  NO_OBJECT,
  type PriceSource,
} from './price-source.ts';

/** A SKU, as far as it is read (https://cloud.google.com/billing/docs/reference/rest/v1/services.skus/list). */
interface Sku {
  description?: string;
  category?: { resourceFamily?: string; resourceGroup?: string; usageType?: string };
  serviceRegions?: string[];
  pricingInfo?: {
    pricingExpression?: {
      usageUnit?: string;
      tieredRates?: {
        startUsageAmount?: number;
        unitPrice?: { currencyCode?: string; units?: string | number; nanos?: number };
      }[];
    };
  }[];
}

/** The service "Compute Engine". */
const COMPUTE_ENGINE = '6F81-5844-456A';

type Market = 'onDemand' | 'spot';

/** Prices of one vCPU and one GiB for an hour, by market, family and region; of whole machines by their type. */
type Parts = Map<string, number>;

/**
 * GCP Cloud Billing Catalog: on-demand and spot prices in USD, composed from the prices of a vCPU and of a GiB. Needs an
 * API key of any project. It tells no sizes: priced are the instance types that `sizes` knows, of families priced by vCPU
 * and memory alone.
 */
export function gcpPrices(options: {
  apiKey: string;
  endpoint?: string;
  asking?: Omit<Asking, 'signal' | 'headers'>;
}): PriceSource {
  const endpoint = options.endpoint ?? 'https://cloudbilling.googleapis.com';
  return {
    provider: 'gcp',
    // A machine's price needs SKUs of several pages, so the list is one page to the caller and has nothing to resume from.
    async *read({ regions, sizes, signal }) {
      const wanted = new Set(regions);
      const parts: Parts = new Map();
      const leftOut: LeftOut = {};
      let token: string | undefined;
      const asked = new Set<string>();
      do {
        const url = new URL(`/v1/services/${COMPUTE_ENGINE}/skus`, endpoint);
        url.searchParams.set('currencyCode', 'USD');
        url.searchParams.set('pageSize', '5000');
        if (token !== undefined) url.searchParams.set('pageToken', token);
        const document = (await getJson(url.href, {
          ...options.asking,
          headers: { 'x-goog-api-key': options.apiKey },
          signal,
        })) as { skus?: unknown; nextPageToken?: string } | null;
        if (!Array.isArray(document?.skus)) throw new PriceApiError(url.href, 'the answer has no skus');
        for (const sku of document.skus as unknown[])
          if (isObject(sku)) readSku(sku as Sku, wanted, parts, leftOut);
          else leaveOut(leftOut, NO_OBJECT);
        if (document.nextPageToken && asked.has(document.nextPageToken))
          throw new PriceApiError(url.href, LOOP);
        asked.add(document.nextPageToken ?? '');
        token = document.nextPageToken || undefined;
      } while (token !== undefined);
      yield { ...compose(parts, regions, sizes, leftOut), leftOut, resume: null };
    },
  };
}

/** `N2D AMD Instance Ram running in Frankfurt` → family n2d, part ram; custom, reserved and sole-tenant SKUs are no match. */
function partOf(description: string): string | null {
  const plain = description.replace(/^(Spot )?Preemptible /, '').replace(/ running in .*$/, '');
  if (/^Micro Instance with burstable CPU$/.test(plain)) return 'whole f1-micro';
  if (/^Small Instance with 1 VCPU$/.test(plain)) return 'whole g1-small';
  if (/^Compute optimized (Instance )?(Core|Ram)$/.test(plain))
    return `c2 ${plain.endsWith('Core') ? 'core' : 'ram'}`;
  const match = /^([A-Z]\d+[A-Z]?) (?:Predefined )?(?:AMD |Arm )?Instance (Core|Ram)$/.exec(plain);
  return match === null ? null : `${match[1]!.toLowerCase()} ${match[2]!.toLowerCase()}`;
}

function readSku(sku: Sku, regions: ReadonlySet<string>, parts: Parts, leftOut: LeftOut): void {
  const usage = sku.category?.usageType;
  const market: Market | null = usage === 'OnDemand' ? 'onDemand' : usage === 'Preemptible' ? 'spot' : null;
  if (sku.category?.resourceFamily !== 'Compute' || market === null) return;
  const part = partOf(sku.description ?? '');
  if (part === null) return;
  const wanted = (sku.serviceRegions ?? []).filter((region) => regions.has(region));
  if (wanted.length === 0) return;
  const price = priceOf(sku, part);
  if (typeof price === 'string') {
    leaveOut(leftOut, price, wanted.length);
    return;
  }
  for (const region of wanted) {
    const key = `${market} ${part} ${region}`;
    const known = parts.get(key);
    if (known !== undefined && known !== price) {
      // Which of the two holds is not told; a machine priced by either could be wrong.
      parts.set(key, Number.NaN);
      leaveOut(leftOut, 'two prices for one part of a machine');
    } else if (known !== undefined) leaveOut(leftOut, 'given twice');
    else parts.set(key, price);
  }
}

/** USD per hour of a vCPU, a GiB or a machine; or why it cannot be used. */
function priceOf(sku: Sku, part: string): number | string {
  const { usageUnit, tieredRates } = sku.pricingInfo?.at(-1)?.pricingExpression ?? {};
  const unit = part.endsWith(' ram') ? 'GiBy.h' : 'h';
  if (usageUnit !== unit) return `a unit other than ${unit}`;
  if (tieredRates?.length !== 1) return tieredRates?.length ? 'a price for bulk use' : 'no price';
  const { currencyCode, units = 0, nanos = 0 } = tieredRates[0]!.unitPrice ?? {};
  if (currencyCode !== 'USD') return `a price in ${currencyCode ?? 'no currency'}`;
  const whole = decimal(units);
  const billionths = decimal(nanos);
  if (whole === null || billionths === null) return 'a price that is no number';
  const price = whole + billionths / 1e9;
  if (price < 0) return 'a negative price';
  return price === 0 ? 'a price of 0' : price;
}

/** Shared-core E2 machines see two vCPUs and are billed for a part of them: https://cloud.google.com/compute/vm-instance-pricing */
const BILLED_VCPUS: Record<string, number> = { 'e2-micro': 0.25, 'e2-small': 0.5, 'e2-medium': 1 };

function compose(
  parts: Parts,
  regions: readonly string[],
  sizes: KnownSizes,
  leftOut: LeftOut,
): { rows: CatalogueRow[] } {
  const rows: CatalogueRow[] = [];
  for (const instanceType of sizes.types()) {
    const size = sizes.of(instanceType)!;
    const family = instanceType.split('-')[0]!;
    for (const market of ['onDemand', 'spot'] as const)
      for (const region of regions) {
        const of = (part: string): number | undefined => parts.get(`${market} ${part} ${region}`);
        const whole = of(`whole ${instanceType}`);
        const core = of(`${family} core`);
        const ram = of(`${family} ram`);
        let price = whole;
        if (whole === undefined) {
          if (core === undefined && ram === undefined) continue;
          if (core === undefined || ram === undefined) {
            leaveOut(leftOut, 'only one of the vCPU and memory prices is known');
            continue;
          }
          price = core * (BILLED_VCPUS[instanceType] ?? size.vcpus) + ram * size.memoryGiB;
        }
        if (Number.isNaN(price)) leaveOut(leftOut, 'two prices for one part of the machine');
        else if (size.gpuCount > 0 || /^(a\d|g\d)-/.test(instanceType))
          leaveOut(leftOut, 'a machine with GPUs, which are priced apart');
        else if (/lssd|storage-opt/.test(instanceType))
          leaveOut(leftOut, 'a machine with local disks, which are priced apart');
        else
          rows.push({
            provider: 'gcp',
            region,
            zone: null,
            instanceType,
            market,
            ...size,
            pricePerHour: Math.round(price! * 1e9) / 1e9,
          });
      }
  }
  return { rows };
}
