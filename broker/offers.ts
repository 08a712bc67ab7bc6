import { createHash } from 'node:crypto';
import type { Offer, Schemas } from '@landfall/model';
import { cloudTable, compareOffers } from '@landfall/policies/place/offers.ts';
import { type Db, ledgerHosts } from '@landfall/store';
import { PageError, type PageRequest, parseFilter, type Term } from '@landfall/store/pages.ts';
import { catalogueInForce, siteViews } from '@landfall/workflows/placement.ts';

const texts = [
  'site',
  'provider',
  'region',
  'zone',
  'host',
  'instanceType',
  'market',
  'architecture',
  'gpuName',
  'jurisdiction',
  'currency',
] as const;
const numbers = ['vcpus', 'memoryGiB', 'gpuCount', 'pricePerHour'] as const;
const fields: readonly string[] = [...texts, ...numbers];

function matcher(terms: Term[]): (offer: Offer) => boolean {
  for (const term of terms) {
    if (!fields.includes(term.field)) {
      throw new PageError(
        'filter',
        `cannot filter by \`${term.field}\`: fields here are ${fields.join(', ')}`,
        term.field,
        fields,
      );
    }
  }
  return (offer) =>
    terms.every(({ field, equal, value }) => (String(offer[field as keyof Offer] ?? '') === value) === equal);
}

/**
 * One page of the catalogue, cheapest first: every cloud price at every site that may use it, prices of providers without
 * a site, and one vCPU with one GiB on each on-prem host (there any size is sold at that rate). A token holds a place in one
 * version of the catalogue with one set of sites; when either changes, it is refused and the reader starts again.
 */
export async function listOffers(
  db: Db,
  organization: string,
  page: Omit<PageRequest, 'orderBy'>,
): Promise<Schemas['OfferList']> {
  const matches = matcher(page.filter === undefined ? [] : parseFilter(page.filter));
  const sites = await siteViews(db, organization, await ledgerHosts(db));
  const catalogue = await catalogueInForce(db, organization);
  const table = cloudTable(catalogue, sites);
  const hosts = sites.flatMap((site) =>
    site.hosts
      .filter((host) => host.ready)
      .map((host): Offer => {
        const pricePerHour = (site.pricing?.vcpuHour ?? 0) + (site.pricing?.gibHour ?? 0);
        return {
          site: site.name,
          provider: 'onprem',
          region: host.region,
          zone: host.zone,
          host: host.name,
          instanceType: host.accel,
          market: 'onDemand',
          vcpus: 1,
          memoryGiB: 1,
          architecture: host.architecture as Offer['architecture'],
          gpuName: null,
          gpuCount: 0,
          burstable: false,
          pricePerHour,
          pricePerMonth: pricePerHour * 730,
          currency: site.pricing?.currency ?? 'USD',
          jurisdiction: site.jurisdiction ?? null,
        };
      }),
  );
  hosts.sort((a, b) =>
    compareOffers(a as Parameters<typeof compareOffers>[0], b as Parameters<typeof compareOffers>[0]),
  );
  const seal = createHash('sha256')
    .update(
      JSON.stringify([
        catalogue.version,
        page.filter ?? '',
        sites.map(({ name, provider, regions }) => [name, provider, regions]),
        hosts.map((host) => [host.host, host.pricePerHour]),
      ]),
    )
    .digest('base64url')
    .slice(0, 16);
  const size = page.pageSize ?? 50;
  const items: Offer[] = [];
  let nextPageToken: string | undefined;
  // A merge of the two sorted lists; only what is passed over is looked at.
  let { cloud, host } = readToken(page.pageToken, seal);
  while (cloud < table.length || host < hosts.length) {
    const ofCloud = cloud < table.length ? (table.offer(cloud) as Offer) : undefined;
    const ofHost = hosts[host];
    const hostFirst =
      ofHost !== undefined && (ofCloud === undefined || ofHost.pricePerHour <= ofCloud.pricePerHour);
    const offer = hostFirst ? ofHost : ofCloud!;
    if (matches(offer)) {
      if (items.length === size) {
        nextPageToken = Buffer.from(`${cloud}.${host}.${seal}`).toString('base64url');
        break;
      }
      items.push(offer);
    }
    if (hostFirst) host++;
    else cloud++;
  }
  return {
    items,
    ...(nextPageToken === undefined ? {} : { nextPageToken }),
    catalogue: { version: catalogue.version, date: catalogue.date, sources: catalogue.sources },
  };
}

function readToken(token: string | undefined, seal: string): { cloud: number; host: number } {
  if (token === undefined) return { cloud: 0, host: 0 };
  const match = /^([0-9]{1,9})\.([0-9]{1,9})\.([\w-]{16})$/.exec(
    Buffer.from(token, 'base64url').toString('latin1'),
  );
  if (!match || match[3] !== seal) {
    throw new PageError(
      'pageToken',
      'is not a token of this list with this filter, or prices or sites have changed since: start again without it',
      token,
    );
  }
  return { cloud: Number(match[1]), host: Number(match[2]) };
}
