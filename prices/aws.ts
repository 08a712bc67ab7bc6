import {
  type Filter,
  GetProductsCommand,
  PricingClient,
  type PricingClientConfig,
} from '@aws-sdk/client-pricing';
import { architectureOf, burstableOf } from '@landfall/policies/catalogue/instance-types.ts';
import { LOOP, PriceApiError, unreachableApi } from './get-json.ts';
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

/**
 * An entry of a PriceList, as far as it is read
 * (https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html).
 */
interface Entry {
  product?: { productFamily?: string; attributes?: Record<string, string | undefined> };
  terms?: {
    OnDemand?: Record<
      string,
      { priceDimensions?: Record<string, { unit?: string; pricePerUnit?: Record<string, unknown> }> }
    >;
  };
}

/** Names the API in messages. */
const API = 'https://api.pricing.us-east-1.amazonaws.com';

/** Shared-tenancy Linux without extra software, at the price of capacity in use. */
const WANTED = {
  operatingSystem: 'Linux',
  tenancy: 'Shared',
  capacitystatus: 'Used',
  preInstalledSw: 'NA',
};

/**
 * AWS Price List: on-demand prices of Linux machines, in USD, with the sizes that the list itself states. Needs
 * credentials with `pricing:GetProducts` (the SDK's usual chain). It has no spot prices.
 */
export function awsPrices(
  options: Pick<PricingClientConfig, 'endpoint' | 'credentials' | 'maxAttempts' | 'requestHandler'> = {},
): PriceSource {
  return {
    provider: 'aws',
    async *read({ regions, sizes, resume, signal }) {
      // The API is served from three regions, whatever the prices' own.
      const client = new PricingClient({ region: 'us-east-1', maxAttempts: 6, ...options });
      // A resume is `<place in regions> <NextToken>`.
      const [from = '0', ...rest] = resume?.split(' ') ?? [];
      try {
        for (let r = Number(from); r < regions.length; r++) {
          let token = r === Number(from) && rest.length > 0 ? rest.join(' ') : undefined;
          const asked = new Set([token ?? '']);
          do {
            const answer = await client
              .send(
                new GetProductsCommand({
                  ServiceCode: 'AmazonEC2',
                  FormatVersion: 'aws_v1',
                  MaxResults: 100,
                  NextToken: token,
                  Filters: Object.entries({ ...WANTED, regionCode: regions[r]! }).map(
                    ([Field, Value]): Filter => ({ Type: 'TERM_MATCH', Field, Value }),
                  ),
                }),
                { abortSignal: signal },
              )
              .catch((error: unknown) => {
                throw unreachableApi(API, error) ?? error;
              });
            if (!Array.isArray(answer.PriceList)) throw new PriceApiError(API, 'the answer has no PriceList');
            const page = readEntries(answer.PriceList.map(String), regions[r]!, sizes);
            if (answer.NextToken && asked.has(answer.NextToken)) throw new PriceApiError(API, LOOP);
            asked.add(answer.NextToken ?? '');
            token = answer.NextToken || undefined;
            const more = token !== undefined ? `${r} ${token}` : r + 1 < regions.length ? `${r + 1}` : null;
            yield { ...page, resume: more };
          } while (token !== undefined);
        }
      } finally {
        client.destroy();
      }
    },
  };
}

function readEntries(entries: string[], region: string, sizes: KnownSizes): Omit<PricePage, 'resume'> {
  const page: Omit<PricePage, 'resume'> = { rows: [], leftOut: {} };
  for (const text of entries) {
    const reason = readEntry(text, region, sizes, page);
    if (reason !== null) leaveOut(page.leftOut, reason);
  }
  return page;
}

function readEntry(
  text: string,
  region: string,
  sizes: KnownSizes,
  { rows }: Pick<PricePage, 'rows'>,
): string | null {
  let entry: Entry;
  try {
    entry = JSON.parse(text) as Entry;
  } catch {
    return 'an entry that is no JSON'; // counted, and the others stand
  }
  if (!isObject(entry)) return NO_OBJECT;
  const attributes = entry.product?.attributes ?? {};
  const instanceType = attributes.instanceType ?? '';
  if (!instanceType.includes('.')) return 'no instance type';
  for (const [name, wanted] of Object.entries({ ...WANTED, regionCode: region }))
    if (attributes[name] !== wanted) return `${name} is not ${name === 'regionCode' ? 'as asked' : wanted}`;
  if ((attributes.marketoption ?? 'OnDemand') !== 'OnDemand') return 'another market than OnDemand';
  if (attributes.locationType !== undefined && attributes.locationType !== 'AWS Region')
    return 'a local zone or Outpost';
  const dimensions = Object.values(entry.terms?.OnDemand ?? {}).flatMap((term) =>
    Object.values(term.priceDimensions ?? {}),
  );
  if (dimensions.length !== 1) return dimensions.length === 0 ? 'no price' : 'more than one price';
  const [{ unit, pricePerUnit = {} }] = dimensions as [(typeof dimensions)[number]];
  if (unit !== 'Hrs') return 'a unit other than an hour';
  if (!('USD' in pricePerUnit)) return `a price in ${Object.keys(pricePerUnit).join(', ') || 'no currency'}`;
  const problem = priceProblem(pricePerUnit.USD);
  if (problem !== null) return problem;
  const size = sizeOf(instanceType, attributes, sizes);
  if (typeof size === 'string') return size;
  rows.push({
    provider: 'aws',
    region,
    zone: null,
    instanceType,
    market: 'onDemand',
    ...size,
    pricePerHour: decimal(pricePerUnit.USD)!,
  });
  return null;
}

/** The size as the entry states it. What it does not state, the GPU's name, is taken from the known sizes. */
function sizeOf(
  instanceType: string,
  attributes: Record<string, string | undefined>,
  sizes: KnownSizes,
): MachineSize | string {
  const known = sizes.of(instanceType);
  const vcpus = decimal(attributes.vcpu);
  const memory = /^([\d,]+(?:\.\d+)?) GiB$/.exec(attributes.memory ?? '');
  if (vcpus === null || vcpus < 1 || memory === null) return known ?? 'no size known';
  const gpuCount = attributes.gpu === undefined ? (known?.gpuCount ?? 0) : decimal(attributes.gpu);
  if (gpuCount === null || !Number.isInteger(gpuCount)) return known ?? 'a part of a GPU';
  const gpuName = known?.gpuName ?? null;
  if (gpuCount > 0 && gpuName === null) return 'a GPU of unknown name';
  return {
    vcpus,
    memoryGiB: Number(memory[1]!.replaceAll(',', '')),
    architecture: architectureOf('aws', instanceType),
    gpuName,
    gpuCount,
    burstable: burstableOf('aws', instanceType),
  };
}
